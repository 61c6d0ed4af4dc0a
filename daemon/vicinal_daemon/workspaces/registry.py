"""All repositories that are open.

Owns which they are: one for each folder, however it is spelled; which are closed because nobody uses them; which are
opened again after a restart. It does not know what happens inside one.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal_daemon.config import Settings
from vicinal_daemon.workspaces.board import OnEvent
from vicinal_daemon.workspaces.memory import Memory
from vicinal_daemon.workspaces.workspace import Workspace
from vicinal_indexer.errors import InputError

if TYPE_CHECKING:
    from vicinal_indexer.embed import Embedder

REMEMBERED_SECONDS = 86_400.0
"""A restarted daemon opens what was used within this time."""

CLOSE_SECONDS = 10.0
_Identity = tuple[int, int]
_NOTE_SECONDS = 300.0  # uses are noted on disk so often at most
_log = logging.getLogger(__name__)


class Workspaces:
    """The open repositories. Safe to use from many threads.

    Args:
        load_settings: of a repository.
        make_embedder: of its settings; the same embedder serves all that name it.
        data_dir: where indexes lie, and the memory of what was open.
        on_event, on_changed: see `Workspace`.
        clock: seconds, for idle times; must not jump.
        now: seconds since the epoch, for what is remembered; may jump.
    """

    def __init__(
        self,
        load_settings: Callable[[Path], Settings],
        make_embedder: "Callable[[Settings], Embedder]",
        data_dir: Path,
        *,
        on_event: OnEvent = lambda event: None,
        on_changed: Callable[[Workspace], None] = lambda workspace: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._load_settings = load_settings
        self._make_embedder = make_embedder
        self._data_dir = data_dir
        self._on_event = on_event
        self._on_changed = on_changed
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[Path, Workspace] = {}
        self._identities: dict[Path, _Identity | None] = {}  # as they were when it was last asked for
        self._embedders: dict[str, Embedder] = {}
        self._embedding = threading.Lock()
        self._memory = Memory(data_dir / "workspaces.json")

    def open(self, root: Path) -> Workspace:
        """The workspace of this folder, opened if it is not; it counts as used. A thread of its own opens the index.

        Not for an event loop: a disk that does not answer is waited for.

        Raises:
            InputError: there is no such folder, or it is the whole machine or the whole home folder.
            ConfigError: the repository's settings are wrong.
        """
        while True:
            with self._lock:
                workspace = self._open.get(root)
            if workspace is None:
                workspace = self._opened(root)
            workspace.use()
            with self._lock:
                if self._open.get(workspace.root) is workspace:  # else it was just closed, for it had not been used
                    break
        if abs(self._now() - self._memory.used().get(workspace.root, 0.0)) > _NOTE_SECONDS:
            self._memory.note(workspace.root, self._now())
        return workspace

    def _opened(self, root: Path) -> Workspace:
        resolved = _resolved(root)
        # A disk that hangs must not hold the lock: the others' repositories lie elsewhere.
        identity = _identity(resolved)
        with self._lock:
            workspace = self._find(resolved, identity)
        if workspace is None:
            made = self._made(root, resolved)
            with self._lock:
                workspace = self._find(resolved, identity)
                if workspace is None:
                    workspace = self._open[resolved] = made
                    made.start()
        with self._lock:
            if workspace.root == resolved:
                self._identities[resolved] = identity
        return workspace

    def _made(self, root: Path, resolved: Path) -> Workspace:
        """A workspace that does nothing yet."""
        if _holds_everything(resolved):
            raise InputError(
                f"{root} is not taken for a repository: every file of yours lies in it",
                hint="name the folder of one project; a file outside of one can be moved into a folder",
            )
        if not resolved.is_dir():
            raise InputError(f"{root} is not a folder", hint="name the repository's folder")
        return Workspace(
            resolved,
            self._data_dir,
            self._load_settings,
            self._embedder,
            self._on_event,
            self._on_changed,
            self._clock,
        )

    def get(self, root: Path) -> Workspace | None:
        """The workspace of this folder if it is open; does not count as a use. Asks the disk if it is not its root."""
        with self._lock:
            if root in self._open:
                return self._open[root]
        resolved = _resolved(root)
        identity = _identity(resolved)
        with self._lock:
            return self._find(resolved, identity)

    def all(self) -> tuple[Workspace, ...]:
        """Those that are open, by their roots."""
        with self._lock:
            return tuple(workspace for _, workspace in sorted(self._open.items()))

    def remembered(self) -> list[Path]:
        """What was used in the last day; anything else is not remembered any more."""
        used = self._memory.used()
        recent = [root for root, at in used.items() if self._now() - at <= REMEMBERED_SECONDS]
        for root in used.keys() - set(recent):
            self._memory.forget(root)
        return recent

    def reopen(self, root: Path) -> Workspace | None:
        """As `open`; None where it is not there any more."""
        return self.open(root) if root.is_dir() else None

    def remove(self, root: Path) -> bool:
        """Close it and forget it; its index is kept. Whether it was open or remembered."""
        workspace = self.get(root)
        known = workspace.root if workspace is not None else _resolved(root)
        with self._lock:
            self._open.pop(known, None)
        remembered = known in self._memory.used()
        if workspace is not None:
            _closed([workspace])
        self._memory.forget(known)
        return workspace is not None or remembered

    def tend(self) -> list[Path]:
        """Close those that were not used for `daemon.workspace_idle_minutes`; returns their roots. For a timer."""
        with self._lock:
            idle = [workspace for workspace in self._open.values() if _is_idle(workspace)]
            for workspace in idle:
                del self._open[workspace.root]
        _closed(idle)
        return [workspace.root for workspace in idle]

    def close(self) -> None:
        """Close all, in order, within some seconds."""
        with self._lock:
            leaving = list(self._open.values())
            self._open.clear()
        for workspace in leaving:
            self._memory.note(workspace.root, self._now() - workspace.idle_seconds)
        _closed(leaving)

    def _find(self, resolved: Path, identity: _Identity | None) -> Workspace | None:
        found = self._open.get(resolved)
        if found is not None or identity is None:
            return found
        for root, workspace in self._open.items():  # where case does not matter, one folder has many names
            if self._identities.get(root) == identity and _identity(root) == identity:
                return workspace
        return None

    def _embedder(self, settings: Settings) -> "Embedder":
        with self._embedding:
            name = settings.index.embedder
            if name not in self._embedders:
                self._embedders[name] = self._make_embedder(settings)
            return self._embedders[name]


def _identity(resolved: Path) -> _Identity | None:
    """What all names of a folder have in common while it is there; None if it is not, or the system cannot tell."""
    try:
        info = resolved.stat()
    except OSError:
        return None
    return (info.st_dev, info.st_ino) if info.st_ino else None


def _resolved(root: Path) -> Path:
    try:
        return root.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{root} cannot be resolved: {error}", hint="check for a loop of symbolic links") from error


def _holds_everything(resolved: Path) -> bool:
    """Whether a folder is a file system's root, or the home folder or one above it: to index that helps nobody."""
    if resolved.parent == resolved:
        return True
    try:
        return Path.home().resolve().is_relative_to(resolved)
    except (OSError, RuntimeError):  # a user without a home
        return False


def _is_idle(workspace: Workspace) -> bool:
    minutes = workspace.last_settings.daemon.workspace_idle_minutes
    return minutes > 0 and workspace.idle_seconds > 60 * minutes


def _closed(workspaces: list[Workspace]) -> None:
    for workspace in workspaces:
        workspace.stop()
    deadline = time.monotonic() + CLOSE_SECONDS
    for workspace in workspaces:
        if not workspace.join(max(0.0, deadline - time.monotonic())):
            _log.warning("the index of %s is still at work; it is left to end by itself", workspace.root)
