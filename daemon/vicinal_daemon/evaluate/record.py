"""Records: what was measured, one line of JSON for each task and mode, in a file that a run can go on from.

Owns the file's form, and that one file never mixes settings. It does not know how anything is measured.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from vicinal_daemon.errors import RecordsMismatch, RecordsUnusable
from vicinal_daemon.uncertainty.features import Clues, clues_of
from vicinal_indexer.errors import WrittenByLater

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a shown text without knowing the truth.

    Attributes:
        log_probabilities: natural log p of each token shown, under the model that wrote it.
        first_entropy: nats, of the distribution at the first token that counts; None if it is not known.
        sigma_0, sigma_n, sigma_inf: of the mode's own selection, else of what SIFT would select.
        similarity: the largest kernel value between a candidate and the prompt.
        change: mean log p of the shown text under the adapted model minus that under the base, with the same prompt;
            None where nothing was adapted.
        base_text_same: whether the base writes the same with the same prompt.
        unmixed: as `log_probabilities`, without the memory's share; None in what was measured before it was noted.
    """

    log_probabilities: tuple[float, ...]
    first_entropy: float | None
    sigma_0: float
    sigma_n: float
    sigma_inf: float
    similarity: float
    change: float | None
    base_text_same: bool
    unmixed: tuple[float, ...] | None = None

    def clues(self, text: str) -> Clues | None:
        """What the confidence in `text` rests on; None if nothing is shown, or the entropy is not known."""
        if self.first_entropy is None:
            return None
        return clues_of(
            text,
            self.log_probabilities,
            first_entropy=self.first_entropy,
            sigma_0=self.sigma_0,
            sigma_n=self.sigma_n,
            sigma_inf=self.sigma_inf,
            similarity=self.similarity,
            change=self.change,
            unmixed=self.unmixed,
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One task in one mode.

    Attributes:
        task: its id.
        mode: its name.
        text: what was shown, of the guarded adapter.
        exact: whether that is the truth (`metrics.is_exact`).
        similarity: edit similarity in [0, 1].
        bits: per byte of the truth, with the guard's choice of scale.
        bytes: of the truth, with the newline before it.
        unguarded_bits: bits per byte with all of the adapter; equal to `bits` where nothing was tuned.
        steps: gradient steps taken.
        scale: what is worn of the adapter, 0 where it is the base.
        seconds: all that this mode has to do for the text: search, tuning, guard, reading, writing.
        confidence: as the product tells it.
        curve: steps -> unguarded bits per byte after so many; empty where it was not asked for.
        context_loss: scale -> nats per token of the visible context, as the guard saw it; 0.0 is the base.
    """

    repo: str
    task: str
    kind: str
    path: str
    line: int
    language: str
    mode: str
    truth: str
    text: str
    exact: bool
    similarity: float
    bits: float
    bytes: int
    unguarded_bits: float
    steps: int
    scale: float
    seconds: float
    confidence: float
    evidence: Evidence
    curve: dict[int, float] = field(default_factory=dict)
    context_loss: dict[float, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Header:
    """What all records of a file have in common.

    Attributes:
        commit: what is checked out, "" outside of git.
        tree: a digest of the files as they were; with uncommitted changes it is not the commit's.
        fingerprint: a digest of every setting that a result depends on.
        settings: those settings, for people.
    """

    repo: str
    commit: str
    tree: str
    model: str
    seed: int
    lines: int
    fingerprint: str
    settings: dict[str, Any]
    format: int = FORMAT


_HEADER = TypeAdapter(Header)
_RECORD = TypeAdapter(Record)


class RecordFile:
    """A file of records that is open for more.

    Args:
        header: of this run; a file that exists must have the same.

    Attributes:
        records: all that are in it, in the order in which they were measured.

    Raises:
        RecordsMismatch: the file is of another repository, state or setting; the hint names what differs.
        RecordsUnusable: it is no file of records, or cannot be written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.records: list[Record] = []
        try:
            there = path.exists() and path.stat().st_size > 0
            if there:
                found, self.records = read_records(path)
                _check_same(path, found, header)
            path.parent.mkdir(parents=True, exist_ok=True)
            if there:
                _drop_torn_line(path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecordsUnusable(
                f"{path} cannot be written: {error.strerror}", hint="name another file with --out"
            ) from error
        if not there:
            self._write({"header": asdict(header)})

    def append(self, record: Record) -> None:
        """Add a record; it is in the file when this returns."""
        self.records.append(record)
        self._write(record.to_json())

    def done(self) -> set[tuple[str, str]]:
        """(task, mode) of all records."""
        return {(record.task, record.mode) for record in self.records}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()


def read_records(path: Path) -> tuple[Header, list[Record]]:
    """The header and the records of a file. A last line that was cut off, by a crash, is left out.

    Raises:
        RecordsUnusable: it cannot be read, or holds anything else.
        WrittenByLater: a later version wrote it.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordsUnusable(f"{path} cannot be read: {error}", hint="name a file that --out made") from error
    whole = [line for line in lines[:-1] if line]  # what follows the last newline was cut off
    try:
        said = json.loads(whole[0])["header"]
        if isinstance(said, dict) and isinstance(said.get("format"), int) and said["format"] > FORMAT:
            raise WrittenByLater(
                f"{path} was measured by a later Vicinal (format {said['format']}, this one reads {FORMAT})",
                hint="update this one, or name a new file with --out",
            )
        header = _HEADER.validate_python(said)
        return header, [_RECORD.validate_json(line) for line in whole[1:]]
    except (IndexError, KeyError, TypeError, ValueError, ValidationError) as error:
        raise RecordsUnusable(
            f"{path} holds no records of `vicinal eval`", hint="name a file that --out made, or a new one"
        ) from error


def read_all(paths: Sequence[Path]) -> tuple[list[Header], list[Record]]:
    """The headers and records of several files.

    Raises:
        RecordsUnusable: one of them cannot be read, or two hold the same task in the same mode.
    """
    headers: list[Header] = []
    records: list[Record] = []
    seen: dict[tuple[str, str, str], Path] = {}
    for path in paths:
        header, found = read_records(path)
        headers.append(header)
        for record in found:
            other = seen.setdefault((record.repo, record.task, record.mode), path)
            if other != path:
                raise RecordsUnusable(
                    f"{other} and {path} hold the same task in the same mode", hint="leave one of them out"
                )
        records += found
    return headers, records


def _check_same(path: Path, found: Header, wanted: Header) -> None:
    first, second = asdict(found), asdict(wanted)
    differing = [name for name in first if first[name] != second[name] and name not in ("settings", "fingerprint")]
    if found.fingerprint != wanted.fingerprint:
        keys = sorted({*found.settings, *wanted.settings})
        differing += [key for key in keys if found.settings.get(key) != wanted.settings.get(key)] or ["fingerprint"]
    if differing:
        raise RecordsMismatch(
            f"{path} was measured with another {', '.join(differing)}",
            hint="name a new file with --out, or go back to what it was measured with",
        )


def _drop_torn_line(path: Path) -> None:
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        path.write_bytes(whole)


def by_mode(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each mode, each mode with the same tasks in the same order: those that all modes have measured."""
    found: dict[str, dict[tuple[str, str], Record]] = {}
    for record in records:
        found.setdefault(record.mode, {})[record.repo, record.task] = record
    common = sorted(set.intersection(*(set(tasks) for tasks in found.values()))) if found else []
    return {mode: [tasks[key] for key in common] for mode, tasks in found.items()}
