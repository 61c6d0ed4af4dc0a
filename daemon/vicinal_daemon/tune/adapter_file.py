"""What an adapter on disk says of itself.

Owns the values, the key (a content address) and the strings in the header of its safetensors file. Reads headers, never
tensors, and imports no torch. It does not know where the files lie or how long they are kept.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

FORMAT: Final = "vicinal-adapter-1"
SUFFIX: Final = ".safetensors"
BASE: Final = "base"
"""The start of an adapter that starts from none."""

OBJECTIVE: Final = 3
"""Counts what a step above the trunk has lowered (`tune/objective.py`): what another one taught is not taken for this
one's. In the `settings_digest` of what is tuned for a request."""

_LONGEST_HEADER = 100_000_000  # safetensors' own limit


class Pick(NamedTuple):
    """A chunk that an adapter was tuned on, and its share of the reduction in variance."""

    path: str
    content_hash: str
    share: float


@dataclass(frozen=True, slots=True)
class AdapterInfo:
    """One adapter.

    Attributes:
        key: `adapter_key` of what follows.
        workspace: the repository's root.
        kind: `tuned` for a request, or `warm`: the repository's own.
        picks: what it was tuned on, in order, repeats included.
        fingerprint: of the base model.
        tuning: `settings_digest` of how it was tuned.
        steps: gradient steps taken.
        scale: in (0, 1], what the guard kept of it.
        bytes: of the file.
        created, used: seconds since the epoch.
        pinned: whether it is spared when space is needed.
        file: where it lies.
    """

    key: str
    workspace: str
    kind: Literal["tuned", "warm"]
    picks: tuple[Pick, ...]
    fingerprint: str
    tuning: str
    steps: int
    scale: float
    bytes: int
    created: float
    used: float
    pinned: bool
    file: Path


class HeaderError(ValueError):
    """A file is not a whole safetensors file."""


class ForeignFile(ValueError):
    """A whole safetensors file, but none that we wrote."""


def settings_digest(values: Mapping[str, object]) -> str:
    """32 hexadecimal digits that stand for these settings; the order of the keys does not matter."""
    return _digest(dict(sorted(values.items())))


def adapter_key(workspace: str, fingerprint: str, tuning: str, picks: Iterable[Pick], start: str = BASE) -> str:
    """The content address of an adapter, 32 hexadecimal digits: the same inputs give the same adapter.

    Args:
        workspace: the repository's root; what was learned in one is not used in another.
        fingerprint: of the base model.
        tuning: `settings_digest` of rank, rate, steps, seed and the like.
        picks: in order; shares do not count, as training does not see them.
        start: the key of the adapter that tuning started from.
    """
    return _digest([workspace, fingerprint, tuning, [[pick.path, pick.content_hash] for pick in picks], start])


def _digest(value: object) -> str:
    return blake2b(json.dumps(value).encode(), digest_size=16).hexdigest()


def nearness(first: Iterable[Pick], second: Iterable[Pick]) -> float:
    """How much of two selections is shared, in [0, 1]: sum(min) / sum(max) over content hashes by share."""
    a, b = _weights(first), _weights(second)
    pairs = [(a.get(content, 0.0), b.get(content, 0.0)) for content in a.keys() | b.keys()]
    either = math.fsum(map(max, pairs))
    return math.fsum(map(min, pairs)) / either if either > 0 else float(bool(a) and a.keys() == b.keys())


def _weights(picks: Iterable[Pick]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for pick in picks:
        weights[pick.content_hash] = weights.get(pick.content_hash, 0.0) + pick.share
    return weights


def metadata(info: AdapterInfo) -> dict[str, str]:
    """The strings for the file's header. Who writes the file sets `scale` anew if a guard decides on it."""
    return {
        "format": FORMAT,
        "key": info.key,
        "workspace": info.workspace,
        "kind": info.kind,
        "picks": json.dumps(info.picks),
        "fingerprint": info.fingerprint,
        "tuning": info.tuning,
        "steps": str(info.steps),
        "scale": repr(info.scale),
        "created": repr(info.created),
    }


def read_info(file: Path, pinned: frozenset[str] = frozenset()) -> AdapterInfo:
    """What the file's header tells; its modification time is when it was last used.

    Raises:
        OSError: it cannot be read.
        HeaderError: it is damaged or not whole.
        ForeignFile: we did not write it.
    """
    with file.open("rb") as opened:
        info = os.fstat(opened.fileno())
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= min(_LONGEST_HEADER, info.st_size - 8):
            raise HeaderError("the header is not whole")
        try:
            header = json.loads(opened.read(length))
        except (ValueError, RecursionError) as error:
            raise HeaderError(f"the header is not JSON: {error}") from error
    said = _said(header)
    try:
        end = max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)
        if 8 + length + end != info.st_size:
            raise HeaderError(f"{info.st_size} bytes, but the header tells of {8 + length + end}")
        if said.get("format") != FORMAT:
            raise ForeignFile("not one of Vicinal's adapters")
        return AdapterInfo(
            key=said["key"],
            workspace=said["workspace"],
            kind="warm" if said["kind"] == "warm" else "tuned",
            picks=tuple(
                Pick(str(path), str(content), float(share)) for path, content, share in json.loads(said["picks"])
            ),
            fingerprint=said["fingerprint"],
            tuning=said["tuning"],
            steps=int(said["steps"]),
            scale=float(said["scale"]),
            bytes=info.st_size,
            created=float(said["created"]),
            used=info.st_mtime_ns / 1e9,
            pinned=said["key"] in pinned,
            file=file,
        )
    except (HeaderError, ForeignFile):
        raise
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise HeaderError(f"the header is not as we write it: {error!r}") from error


def _said(header: Any) -> dict[str, str]:
    said = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(said, dict):
        raise HeaderError("the header is no table")
    return said
