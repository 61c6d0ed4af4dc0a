"""One repository that is kept fresh.

Owns its thread, which opens the index, writes it if nobody else does, and follows what changes; and the state that
others read without waiting for it. It does not know who uses the index, nor other repositories.
"""

import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vicinal_daemon.config import REPO_FILE, Settings
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.protocol.state import Event, Trouble, WorkspaceState
from vicinal_daemon.workspaces.pause import pause_flag
from vicinal_indexer.errors import InputError, StoreLocked, StoreUnavailable, VicinalError

if TYPE_CHECKING:
    from vicinal_indexer.embed import Embedder
    from vicinal_indexer.follow import Follower
    from vicinal_indexer.index import OnProgress, RepositoryIndex
    from vicinal_indexer.types import Glance, Progress, SyncReport

    Stamp = tuple[int, int] | None

RETRY_SECONDS = 10.0
RETURN_SECONDS = 1.0
"""So often it is looked for a repository that has gone."""

READER_SECONDS = 5.0
"""So often one that another process writes is looked at, and its place asked for."""

UNWATCHED_SECONDS = 30.0
"""So often everything is scanned where the system cannot watch."""

_WAIT_SECONDS = 0.1
_log = logging.getLogger(__name__)

Lost = Literal["gone", "failed"]
Word = Literal["opening", "indexing", "ready", "paused", "gone", "failed"]
Cancelled = Callable[[], bool]
OnEvent = Callable[[Event], None]


def never() -> bool:
    """Nobody cancels."""
    return False


class _Closing(Exception):
    """The workspace is being closed; ends a sync."""


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
        self._on_event = on_event
        self._on_changed = on_changed
        self._clock = clock
        self._flag = pause_flag(data_dir)
        self._closing = threading.Event()
        self._news = threading.Condition()  # guards what follows
        self._settings = self._stamp(), load_settings(root)
        self._used = clock()
        self._index: RepositoryIndex | None = None
        self._follower: Follower | None = None
        self._glance: Glance | None = None
        self._skipped = 0
        self._progress: Progress | None = None
        self._complete = False
        self._writer = False
        self._error: VicinalError | None = None  # of the last try; a later one clears it
        self._lost: Lost | None = None  # why the thread cannot go on at all until something outside changes
        self._notice: Trouble | None = None
        self._thread = threading.Thread(target=self._live, name=f"workspace {root.name}", daemon=True)
        self._thread.start()

    @property
    def settings(self) -> Settings:
        """The repository's settings as they are now.

        Raises:
            ConfigError: they are wrong.
        """
        with self._news:
            stamp = self._stamp()
            if stamp != self._settings[0]:
                self._settings = stamp, self._load_settings(self.root)
            return self._settings[1]

    @property
    def last_settings(self) -> Settings:
        """The settings as they were when somebody last asked for them; never fails."""
        with self._news:
            return self._settings[1]

    def _stamp(self) -> "Stamp":
        try:
            info = (self.root / REPO_FILE).stat()
        except OSError:
            return None
        return info.st_mtime_ns, info.st_size

    def use(self) -> None:
        """It is used now."""
        with self._news:
            self._used = self._clock()

    @property
    def idle_seconds(self) -> float:
        """How long it was not used."""
        with self._news:
            return max(0.0, self._clock() - self._used)

    def state(self) -> WorkspaceState:
        """What is known of it now; waits for nothing."""
        with self._news:
            glance, progress = self._glance, self._progress
            return WorkspaceState(
                root=str(self.root),
                state=self._word(),
                files=glance.files if glance else 0,
                chunks=glance.chunks if glance else 0,
                skipped=self._skipped,
                bytes_on_disk=glance.bytes_on_disk if glance else 0,
                done=progress.done if progress else 0,
                total=progress.total if progress else 0,
                writer=self._writer,
                idle_seconds=max(0.0, self._clock() - self._used),
                problem=_trouble(self._error) if self._error else self._notice,
            )

    def _word(self) -> Word:
        if self._lost:
            return self._lost
        if self._index is None:
            return "opening"
        if self._flag.exists():
            return "paused"
        busy = self._progress is not None and self._progress.total > 0
        return "ready" if self._complete and not busy else "indexing"

    def index(self, timeout: float, cancelled: Cancelled = never) -> "RepositoryIndex":
        """The index, as soon as it is open; what it holds may not be complete (`wait_ready`).

        Raises:
            Withdrawn: `cancelled` said so, or the workspace is closed.
            StoreUnavailable: not within `timeout` seconds.
            VicinalError: it cannot be opened.
        """

        def failed() -> bool:
            return self._lost is not None and self._index is None

        self._wait(lambda: self._index is not None or failed(), timeout, cancelled)
        with self._news:
            if self._index is not None:
                return self._index
            if self._error is not None:
                raise self._error
        if cancelled() or self._closing.is_set():
            raise Withdrawn(f"nobody waits for the index of {self.root} any more")
        raise StoreUnavailable(f"the index of {self.root} is still being opened", hint="ask again in a moment")

    def wait_ready(self, timeout: float, cancelled: Cancelled = never) -> bool:
        """Wait until the first scan since it was opened is complete; whether it is.

        Ends early, with False, where that will not come by itself: the repository has gone, the index cannot be
        written, indexing is paused. `state` tells which.
        """
        self._wait(lambda: self._complete or self._word() in ("gone", "failed", "paused"), timeout, cancelled)
        return self._complete

    def settle(self, timeout: float, cancelled: Cancelled = never) -> bool:
        """Wait until everything that was signalled before this call is indexed; whether it is.

        Where another process writes, it is asked to scan everything.
        """
        deadline = time.monotonic() + timeout
        if not self.wait_ready(timeout, cancelled):
            return False
        follower = self._follower
        if follower is not None:
            return follower.settle(deadline - time.monotonic(), cancelled)
        try:
            self.sync(lambda: cancelled() or time.monotonic() > deadline)
        except Withdrawn:
            return False
        return True

    def _wait(self, come: Callable[[], bool], timeout: float, cancelled: Cancelled) -> None:
        deadline = time.monotonic() + timeout
        with self._news:
            while not (come() or cancelled() or self._closing.is_set()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._news.wait(min(left, _WAIT_SECONDS))

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

    def _by_caller(
        self, work: "Callable[[RepositoryIndex, OnProgress], SyncReport]", cancelled: Cancelled
    ) -> "SyncReport":
        def progress(now: "Progress") -> None:
            if cancelled() or self._closing.is_set():
                raise Withdrawn(f"indexing {self.root} was cancelled")
            self._show(now)

        index = self.index(float("inf"), cancelled)
        try:
            report = work(index, progress)
        except VicinalError:
            self._doubt()
            raise
        finally:
            with self._news:
                self._progress = None
        self._scanned(report)
        if report.changed:
            self._synced(report)
        return report

    def _doubt(self) -> None:
        """The store may hold less than it should: the workspace's thread has to finish what was begun."""
        with self._news:
            if self._follower is not None:
                self._follower.recheck()
                self._complete = False

    def stop(self) -> None:
        """Begin to close; waits for nothing."""
        self._closing.set()
        follower = self._follower
        if follower is not None:
            follower.source.wake()
        with self._news:
            self._news.notify_all()

    def join(self, timeout: float) -> bool:
        """Wait for the thread to end, up to `timeout` seconds; whether it has."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # What follows runs in the workspace's own thread.

    def _live(self) -> None:
        self._tell("opening")
        while not self._closing.is_set():
            try:
                self._serve()
            except _Closing:
                break
            except VicinalError as error:
                self._lose(error)
            except Exception as error:  # noqa: BLE001 - one repository must not take the daemon with it
                _log.exception("the index of %s failed", self.root)
                self._lose(VicinalError(f"the index of {self.root} failed: {error!r}", hint="the log tells more"))
        if self._index is not None:
            self._index.close()

    def _lose(self, error: VicinalError) -> None:
        """Note why it cannot go on, and wait until it may."""
        gone = type(error) is InputError  # what `check_root` says; wrong settings are another kind of it
        with self._news:
            self._error, self._lost = error, "gone" if gone else "failed"
            self._complete, self._writer, self._follower, self._progress = False, False, None, None
            self._news.notify_all()
        self._tell("gone" if gone else "failed", detail=error.message)
        self._closing.wait(RETURN_SECONDS if gone else RETRY_SECONDS)
        while gone and not self.root.is_dir() and not self._closing.wait(RETURN_SECONDS):
            pass

    def _serve(self) -> None:
        """Open the index, and keep it fresh until closing."""
        from vicinal_indexer.index import RepositoryIndex

        index = self._index
        if index is None:
            index = RepositoryIndex.open(self.root, self._data_dir, self._make_embedder(self.settings))
        index.check_root()
        with self._news:
            self._index, self._error, self._lost = index, None, None
            self._news.notify_all()
        while not self._closing.is_set():
            try:
                with index.holding():
                    self._write(index)
            except StoreLocked:
                self._read(index)

    def _write(self, index: "RepositoryIndex") -> None:
        """Follow the repository until closing."""
        from vicinal_indexer.follow import RECHECK_SECONDS, Follower, Source, Unwatched
        from vicinal_indexer.watch import watching

        self._look(index)
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
                self._synced,
                self._failed,
                paused=self._flag.exists,
                stopped=self._closing.is_set,
                progress=self._progressed,
                on_full_scan=self._scanned,
                on_settled=self._settled,
                recheck_seconds=seconds,
            )
            with self._news:
                self._follower, self._writer, self._notice = follower, True, notice
            try:
                follower.run()
            finally:
                with self._news:
                    self._follower, self._writer = None, False

    def _read(self, index: "RepositoryIndex") -> None:
        """Read what another process writes, until closing or until its place is free."""
        with self._news:
            self._notice = None
        self._scanned(index.sync(self._progressed))
        self._look(index)
        self._settled()
        while not self._closing.wait(READER_SECONDS):
            index.check_root()
            try:
                with index.holding():
                    return
            except StoreLocked:
                pass
            before = self._glance
            self._look(index)
            if before != self._glance:
                self._changed()

    def _look(self, index: "RepositoryIndex") -> None:
        glance = index.glance()
        with self._news:
            self._glance = glance

    def _scanned(self, report: "SyncReport") -> None:
        with self._news:
            self._skipped = len(report.skipped)

    def _synced(self, report: "SyncReport") -> None:
        if self._index is not None:
            self._look(self._index)
        self._changed()
        told = f"{report.added} added, {report.replaced} replaced, {report.dropped} dropped"
        self._tell("changed", detail=told)

    def _changed(self) -> None:
        try:
            self._on_changed(self)
        except VicinalError as error:  # theirs, not the index's
            _log.warning("after a change in %s: %s", self.root, error.message)

    def _settled(self) -> None:
        first = not self._complete
        if first:
            if self._index is not None:
                self._look(self._index)
            self._changed()  # another process may have indexed while this one was not there
        with self._news:
            self._complete = True
            self._error, self._progress = None, None
            self._news.notify_all()
        if first:
            self._tell("ready")

    def _failed(self, error: VicinalError) -> None:
        with self._news:
            self._error, self._progress = error, None
        self._tell("failed", detail=error.message)

    def _progressed(self, progress: "Progress") -> None:
        if self._closing.is_set():
            raise _Closing
        self._show(progress)

    def _show(self, progress: "Progress") -> None:
        with self._news:
            if progress == self._progress:
                return
            self._progress = progress
            routine = self._complete and not progress.total
        if not routine:
            self._tell(progress.stage, progress.done, progress.total)

    def _tell(self, stage: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        self._on_event(
            Event(name="index", workspace=str(self.root), stage=stage, done=done, total=total, detail=detail)
        )


def _trouble(error: VicinalError) -> Trouble:
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
    return Trouble(type=kind, message=error.message, hint=error.hint, exit_code=error.exit_code)


def _unwatched(root: Path, error: OSError) -> Trouble:
    return Trouble(
        type="not-watched",
        message=f"the system cannot watch {root}: {error}; it is scanned every {UNWATCHED_SECONDS:.0f} s instead",
        hint="on Linux raise fs.inotify.max_user_watches",
    )
