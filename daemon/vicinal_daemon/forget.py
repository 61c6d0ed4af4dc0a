"""Forgetting files: what is on disk of them and of what was learned from them goes.

Owns which stores that concerns, and their order: the index first, so that nothing new is learned meanwhile. It does not
know what a daemon has in memory, nor who asks.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.checkpoints import Checkpoints
from vicinal_daemon.uncertainty.beliefs import name_of
from vicinal_daemon.uncertainty.feedback import FeedbackStore
from vicinal_indexer.errors import InputError


@dataclass(frozen=True, slots=True)
class Learned:
    """What had been learned from forgotten files and is gone: keys of adapters; counts of the others."""

    adapters: tuple[str, ...]
    checkpoints: int
    answers: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be forgotten of a repository.

    Attributes:
        root: of the repository; it need not be there.
        paths: files and folders, relative to it, with `/`; None for everything.
    """

    root: Path
    paths: frozenset[str] | None

    def holds(self, path: str) -> bool:
        """Whether a file is one of them, or lies in one of them."""
        return self.paths is None or any(path == part or path.startswith(f"{part}/") for part in self.paths)


def wanted(root: Path, paths: Collection[str] | None) -> Wanted:
    """What is to be forgotten.

    Raises:
        InputError: a path is not that of something inside of the repository, or there is none.
    """
    for path in paths if paths is not None else ():
        parts = PurePosixPath(path).parts
        if not parts or path != "/".join(parts) or ".." in parts or parts[0].startswith("/") or "\0" in path:
            raise InputError(f"{path!r} is not a path inside of the repository", hint="name files and folders in it")
    if paths is not None and not paths:
        raise InputError("nothing is named", hint="name files or folders, or everything")
    return Wanted(root.resolve(), frozenset(paths) if paths is not None else None)


def forget_learned(wanted: Wanted, adapters: AdapterStore, feedback: FeedbackStore) -> Learned:
    """Delete what was learned from the files, whatever of it is on disk. Nothing may write there meanwhile.

    Raises:
        StoreUnavailable: something cannot be deleted; trying again goes on from there.
    """
    root = str(wanted.root)
    keys = adapters.forget(root, wanted.holds)
    checkpoints = Checkpoints(adapters.folder / "checkpoints")
    found = checkpoints.load(root)
    going = found is None or any(wanted.holds(pick.path) for pick in found.picks)  # one that cannot be read goes, too
    if going:
        checkpoints.clear(root)
    answers = feedback.forget(name_of(root), wanted.paths)
    return Learned(tuple(keys), int(going and found is not None), answers)
