"""The thread that keeps one repository's index fresh.

Owns when the index is opened, who writes it (this process, if no other does), what happens when it fails or the
repository goes away, and what is put on the board. It does not know who reads the board.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal_daemon.protocol.state import Trouble
from vicinal_daemon.workspaces.board import Board
from vicinal_indexer.errors import InputError, StoreLocked, VicinalError

if TYPE_CHECKING:
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.types import Progress, SyncReport

RETRY_SECONDS = 10.0
RETURN_SECONDS = 1.0
"""So often it is looked for a repository that has gone."""

READER_SECONDS = 5.0
"""So often one that another process writes is looked at, and its place asked for."""

UNWATCHED_SECONDS = 30.0
"""So often everything is scanned where the system cannot watch."""

_log = logging.getLogger(__name__)


class _Closing(Exception):
    """The workspace is being closed; ends a sync."""


class Keeper:
    """One thread for one index; runs from `start` until `board.closing` is set.

    Args:
        open_index: called by the thread; may take long and fail.
        on_changed: called by the thread that indexed when the store may hold something else than before.
    """

    def __init__(
        self, board: Board, open_index: "Callable[[], RepositoryIndex]", on_changed: Callable[[], None]
    ) -> None:
        self._board = board
        self._open_index = open_index
        self._on_changed = on_changed
        self._thread = threading.Thread(target=self._live, name=f"workspace {board.root.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end, up to `timeout` seconds; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def scanned(self, report: "SyncReport") -> None:
        """Everything was looked at, by another thread."""
        self._looked(report)
        if report.changed:
            self._synced(report)

    def rewritten(self) -> None:
        """Another thread has taken something out of the index."""
        self._look()
        self._changed()

    # What follows runs in the thread.

    def _live(self) -> None:
        board = self._board
        board.tell("opening")
        while not board.closing.is_set():
            try:
                self._serve()
            except _Closing:
                break
            except VicinalError as error:
                self._lose(error)
            except Exception as error:  # noqa: BLE001 - one repository must not take the daemon with it
                _log.exception("the index of %s failed", board.root)
                self._lose(VicinalError(f"the index of {board.root} failed: {error!r}", hint="the log tells more"))
        if board.index is not None:
            board.index.close()

    def _lose(self, error: VicinalError) -> None:
        """Note why it cannot go on, and wait until it may."""
        board = self._board
        gone = type(error) is InputError  # what `check_root` says; wrong settings are another kind of it
        with board.news:
            board.error, board.lost = error, "gone" if gone else "failed"
            board.complete, board.progress = False, None
            board.news.notify_all()
        board.tell("gone" if gone else "failed", detail=error.message)
        board.closing.wait(RETURN_SECONDS if gone else RETRY_SECONDS)
        while gone and not board.root.is_dir() and not board.closing.wait(RETURN_SECONDS):
            pass

    def _serve(self) -> None:
        """Open the index, and keep it fresh until closing."""
        board = self._board
        index = board.index or self._open_index()
        index.check_root()
        with board.news:
            board.index, board.error, board.lost = index, None, None
            board.news.notify_all()
        while not board.closing.is_set():
            try:
                with index.holding():
                    self._write(index)
            except StoreLocked:
                self._read(index)

    def _write(self, index: "RepositoryIndex") -> None:
        """Follow the repository until closing."""
        from vicinal_indexer.follow import RECHECK_SECONDS, Follower, Source, Unwatched
        from vicinal_indexer.watch import watching

        board = self._board
        self._look()
        with ExitStack() as stack:
            source: Source
            seconds, notice = RECHECK_SECONDS, None
            try:
                source = stack.enter_context(watching(index.root, index.cookies))
            except OSError as error:
                source, seconds, notice = Unwatched(), UNWATCHED_SECONDS, _unwatched(index.root, error)
                _log.warning("%s", notice.message)
            follower = Follower(
                index,
                source,
                on_sync=self._synced,
                on_error=self._failed,
                paused=board.pause_flag.exists,
                stopped=board.closing.is_set,
                progress=self._progressed,
                on_full_scan=self._looked,
                on_settled=self._settled,
                recheck_seconds=seconds,
            )
            with board.news:
                board.follower, board.notice = follower, notice
            try:
                follower.run()
            finally:
                with board.news:
                    board.follower = None

    def _read(self, index: "RepositoryIndex") -> None:
        """Read what another process writes, until closing or until its place is free."""
        board = self._board
        with board.news:
            board.notice = None
        self._looked(index.sync(self._progressed))
        self._look()
        self._settled()
        while not board.closing.wait(READER_SECONDS):
            index.check_root()
            try:
                with index.holding():
                    return
            except StoreLocked:
                pass
            before = board.glance
            self._look()
            if before != board.glance:
                self._changed()
                board.tell("changed", detail="by another process")

    def _looked(self, report: "SyncReport") -> None:
        with self._board.news:
            self._board.skipped = len(report.skipped)

    def _synced(self, report: "SyncReport") -> None:
        """A sync changed something."""
        self._look()
        self._changed()
        told = f"{report.added} added, {report.replaced} replaced, {report.dropped} dropped"
        self._board.tell("changed", detail=told)

    def _look(self) -> None:
        index = self._board.index
        if index is not None:
            glance = index.glance()
            with self._board.news:
                self._board.glance = glance

    def _changed(self) -> None:
        try:
            self._on_changed()
        except VicinalError as error:  # theirs, not the index's
            _log.warning("after a change in %s: %s", self._board.root, error.message)

    def _settled(self) -> None:
        board = self._board
        first = not board.complete
        if first:
            self._look()
            self._changed()  # another process may have indexed while this one was not there
        with board.news:
            board.complete = True
            board.error, board.progress = None, None
            board.news.notify_all()
        if first:
            board.tell("ready")

    def _failed(self, error: VicinalError) -> None:
        with self._board.news:
            self._board.error, self._board.progress = error, None
        self._board.tell("failed", detail=error.message)

    def _progressed(self, progress: "Progress") -> None:
        if self._board.closing.is_set():
            raise _Closing
        self._board.show(progress)


def _unwatched(root: Path, error: OSError) -> Trouble:
    return Trouble(
        type="not-watched",
        message=f"the system cannot watch {root}: {error}; it is scanned every {UNWATCHED_SECONDS:.0f} s instead",
        hint="on Linux raise fs.inotify.max_user_watches",
    )
