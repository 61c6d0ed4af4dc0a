"""One repository that is open.

Owns what others may ask of it: its state, its settings, its index, to wait for it and to sync it now. The work is its
keeper's. It does not know who uses the index, nor other repositories.
"""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal_daemon.config import REPO_FILE, Settings
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.protocol.state import WorkspaceState
from vicinal_daemon.workspaces.board import Board, Cancelled, OnEvent, never
from vicinal_daemon.workspaces.keeper import Keeper
from vicinal_daemon.workspaces.pause import pause_flag
from vicinal_indexer.errors import StoreUnavailable, VicinalError

if TYPE_CHECKING:
    from vicinal_indexer.embed import Embedder
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.types import Progress, SyncReport
    from vicinal_indexer.update import OnProgress


class Workspace:
    """One open repository. `Workspaces` makes it; its thread runs from then on until `stop`.

    Args:
        root: resolved.
        load_settings: asked again when the repository's settings file has changed.
        make_embedder: called by the thread; may take long and fail.
        on_event: told of progress, by any thread; must not block.
        on_changed: called by the thread that indexed when the store may hold something else than before.
        clock: seconds, for idle times; must not jump.

    Raises:
        ConfigError: the repository's settings are wrong.
    """

    def __init__(
        self,
        root: Path,
        data_dir: Path,
        load_settings: Callable[[Path], Settings],
        make_embedder: "Callable[[Settings], Embedder]",
        on_event: OnEvent,
        on_changed: "Callable[[Workspace], None]",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.root = root
        self._data_dir = data_dir
        self._load_settings = load_settings
        self._make_embedder = make_embedder
        self._clock = clock
        self._settings = self._stamp(), load_settings(root)
        self._used = clock()
        self._board = Board(root, pause_flag(data_dir), on_event)
        self._keeper = Keeper(self._board, self._open_index, lambda: on_changed(self))

    def start(self) -> None:
        """Open its index and keep it fresh, in a thread of its own."""
        self._keeper.start()

    def _open_index(self) -> "RepositoryIndex":
        from vicinal_indexer.index import RepositoryIndex

        return RepositoryIndex.open(self.root, self._data_dir, self._make_embedder(self.settings))

    @property
    def settings(self) -> Settings:
        """The repository's settings as they are now.

        Raises:
            ConfigError: they are wrong.
        """
        stamp = self._stamp()
        with self._board.news:
            if stamp == self._settings[0]:
                return self._settings[1]
        loaded = self._load_settings(self.root)  # nobody else waits for the disk
        with self._board.news:
            self._settings = stamp, loaded
        return loaded

    @property
    def last_settings(self) -> Settings:
        """The settings as they were when somebody last asked for them; never fails."""
        with self._board.news:
            return self._settings[1]

    def _stamp(self) -> tuple[int, int] | None:
        try:
            info = (self.root / REPO_FILE).stat()
        except OSError:
            return None
        return info.st_mtime_ns, info.st_size

    def use(self) -> None:
        """It is used now."""
        with self._board.news:
            self._used = self._clock()

    @property
    def idle_seconds(self) -> float:
        """How long it was not used."""
        with self._board.news:
            return max(0.0, self._clock() - self._used)

    def state(self) -> WorkspaceState:
        """What is known of it now; waits for nothing."""
        return self._board.state(self.idle_seconds)

    @property
    def at_hand(self) -> "RepositoryIndex | None":
        """The index if it is open already."""
        return self._board.index

    @property
    def revision(self) -> object:
        """Another value whenever the index may hold something else."""
        return self._board.glance

    def index(self, timeout: float, cancelled: Cancelled = never) -> "RepositoryIndex":
        """The index, as soon as it is open; what it holds may not be complete (`wait_ready`).

        Raises:
            Withdrawn: `cancelled` said so, or the workspace is closed.
            StoreUnavailable: not within `timeout` seconds.
            VicinalError: it cannot be opened.
        """
        board = self._board
        board.wait(lambda: board.index is not None or board.lost is not None, timeout, cancelled)
        with board.news:
            if board.index is not None:
                return board.index
            if board.error is not None:
                raise board.error
        if cancelled() or board.closing.is_set():
            raise Withdrawn(f"nobody waits for the index of {self.root} any more")
        raise StoreUnavailable(f"the index of {self.root} is still being opened", hint="ask again in a moment")

    def wait_ready(self, timeout: float, cancelled: Cancelled = never) -> bool:
        """Wait until the first scan since it was opened is complete; whether it is.

        Ends early, with False, where that will not come by itself: the repository has gone, the index cannot be
        written, indexing is paused. `state` tells which.
        """
        board = self._board
        board.wait(lambda: board.complete or board.word() in ("gone", "failed", "paused"), timeout, cancelled)
        return board.complete

    def settle(self, timeout: float, cancelled: Cancelled = never) -> bool:
        """Wait until everything that was signalled before this call is indexed; whether it is.

        Where another process writes, it is asked to scan everything.
        """
        deadline = time.monotonic() + timeout
        if not self.wait_ready(timeout, cancelled):
            return False
        follower = self._board.follower
        if follower is not None:
            return follower.settle(deadline - time.monotonic(), cancelled)
        try:
            self.sync(lambda: cancelled() or time.monotonic() > deadline)
        except Withdrawn:
            return False
        return True

    def sync(self, cancelled: Cancelled = never) -> "SyncReport":
        """Look at all files now, also while paused; by the caller's thread.

        Raises:
            Withdrawn: `cancelled` said so; what was done so far is kept.
            VicinalError: as `RepositoryIndex.sync`.
        """
        return self._by_caller(lambda index, progress: index.sync(progress), cancelled)

    def rebuild(self, cancelled: Cancelled = never) -> "SyncReport":
        """Throw the index away and build it anew; by the caller's thread.

        Raises:
            Withdrawn: `cancelled` said so; the rest is done later.
            VicinalError: as `RepositoryIndex.rebuild`.
        """
        return self._by_caller(lambda index, progress: index.rebuild(progress), cancelled)

    def verify(self, cancelled: Cancelled = never) -> "SyncReport":
        """Compare every byte of the index with what was written, and build it anew if one differs.

        Raises:
            Withdrawn: `cancelled` said so; the rest is done later.
            VicinalError: as `RepositoryIndex.verify`.
        """
        return self._by_caller(lambda index, progress: index.verify(progress), cancelled)

    def forget(self, paths: Collection[str]) -> tuple[str, ...]:
        """Remove files and folders from the index down to the last byte; by the caller's thread.

        Raises:
            VicinalError: as `RepositoryIndex.forget`.
        """
        board = self._board
        gone = self.index(float("inf")).forget(paths, board.show)
        with board.news:
            board.progress = None
        self._keeper.rewritten()
        return gone

    def _by_caller(
        self, work: "Callable[[RepositoryIndex, OnProgress], SyncReport]", cancelled: Cancelled
    ) -> "SyncReport":
        board = self._board

        def progress(now: "Progress") -> None:
            if cancelled() or board.closing.is_set():
                raise Withdrawn(f"indexing {self.root} was cancelled")
            board.show(now)

        index = self.index(float("inf"), cancelled)
        try:
            report = work(index, progress)
        except VicinalError:
            self._doubt()
            raise
        finally:
            with board.news:
                board.progress = None
        self._keeper.scanned(report)
        return report

    def _doubt(self) -> None:
        """The store may hold less than it should: the keeper has to finish what was begun."""
        board = self._board
        with board.news:
            if board.follower is not None:
                board.follower.recheck()
                board.complete = False

    def stop(self) -> None:
        """Begin to close; waits for nothing."""
        board = self._board
        board.closing.set()
        with board.news:
            if board.follower is not None:
                board.follower.source.wake()
            board.news.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for its thread to end, up to `timeout` seconds; whether it has."""
        return self._keeper.join(timeout)
