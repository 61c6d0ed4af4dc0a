"""Checkpoints: how far the training of a repository's own adapter has come.

Owns one folder, with a small JSON file and a safetensors file for each workspace. The engine process writes the
tensors, then the JSON file names them: whoever is killed in between, the JSON file tells of a whole one. Imports no
torch. It does not know what is trained or when.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.tune.adapter_file import SUFFIX, Pick
from vicinal_indexer.atomic import replace_text
from vicinal_indexer.errors import StoreUnavailable
from vicinal_indexer.types import digest

FORMAT = 1
"""Of the JSON file; without it, it is 1. Of another one a checkpoint is not read: training begins anew."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Training that can go on.

    Attributes:
        key: of the adapter that it will be.
        workspace: the repository's root.
        fingerprint, tuning: as in `AdapterInfo`.
        picks: what is learned, in order.
        done: steps taken.
        file: what has been learned so far.
    """

    key: str
    workspace: str
    fingerprint: str
    tuning: str
    picks: tuple[Pick, ...]
    done: int
    file: Path


class Checkpoints:
    """The checkpoints in one folder, at most one for each workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_for(self, workspace: str, done: int) -> Path:
        """Where the engine is to write what it has learned after `done` steps; the folder is made."""
        with self._translated():
            self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{_name(workspace)}-{done}{SUFFIX}"

    def save(self, checkpoint: Checkpoint) -> None:
        """Note that `checkpoint.file` has been written; what was saved before goes.

        Raises:
            StoreUnavailable: the folder cannot be written; the earlier checkpoint still stands.
        """
        with self._translated():
            told = {
                "format": FORMAT,
                "key": checkpoint.key,
                "workspace": checkpoint.workspace,
                "fingerprint": checkpoint.fingerprint,
                "tuning": checkpoint.tuning,
                "picks": checkpoint.picks,
                "done": checkpoint.done,
                "bytes": checkpoint.file.stat().st_size,
            }
            replace_text(self._json(checkpoint.workspace), json.dumps(told))
            self._remove_tensors(checkpoint.workspace, keep=checkpoint.file)

    def load(self, workspace: str) -> Checkpoint | None:
        """The workspace's checkpoint; None if there is none, or it is not whole."""
        try:
            told = json.loads(self._json(workspace).read_text(encoding="utf-8"))
            if told.get("format", 1) != FORMAT:
                raise ValueError(f"it is of format {told['format']}, this Vicinal reads {FORMAT}")
            file = self.folder / f"{_name(workspace)}-{int(told['done'])}{SUFFIX}"
            if told["workspace"] != workspace or file.stat().st_size != told["bytes"]:
                raise ValueError("what was learned is not whole")
            picks = tuple(Pick(str(path), str(content), float(share)) for path, content, share in told["picks"])
            return Checkpoint(
                str(told["key"]),
                workspace,
                str(told["fingerprint"]),
                str(told["tuning"]),
                picks,
                int(told["done"]),
                file,
            )
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, AttributeError, ValueError) as error:
            _log.warning("the checkpoint of %s cannot be used: %s", workspace, error)
            return None

    def workspaces(self) -> tuple[str, ...]:
        """The roots of all workspaces that have one; what cannot be read is nobody's, and is deleted.

        Raises:
            StoreUnavailable: it cannot be deleted.
        """
        found = []
        with self._translated():
            for file in sorted(self.folder.glob("*.json")):
                try:
                    found.append(str(json.loads(file.read_text(encoding="utf-8"))["workspace"]))
                except (KeyError, TypeError, ValueError) as error:
                    _log.warning("the checkpoint %s cannot be read, and is deleted: %s", file.name, error)
                    for part in (file, *self.folder.glob(f"{file.stem}-*")):
                        part.unlink(missing_ok=True)
        return tuple(found)

    def clear(self, workspace: str) -> None:
        """Forget it.

        Raises:
            StoreUnavailable: it cannot be deleted.
        """
        with self._translated():
            self._json(workspace).unlink(missing_ok=True)
            self._remove_tensors(workspace, keep=None)

    def _json(self, workspace: str) -> Path:
        return self.folder / f"{_name(workspace)}.json"

    def _remove_tensors(self, workspace: str, keep: Path | None) -> None:
        for file in [*self.folder.glob(f"{_name(workspace)}-*"), *self.folder.glob(f".{_name(workspace)}-*")]:
            if file != keep:
                file.unlink(missing_ok=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"the checkpoints in {self.folder} cannot be written: {error}",
                hint="free some disk space or mend the permissions, or set index.data_dir to another folder",
            ) from error


def _name(workspace: str) -> str:
    return digest(workspace)
