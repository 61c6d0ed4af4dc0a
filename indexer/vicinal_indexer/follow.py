"""Keeping an index fresh: the loop behind `vicinal index --watch`.

Owns when something is scanned: what was signalled, at once; everything, when another process asks for it by a cookie,
when the rules changed, and every now and then, since events get lost. Tidies up when it is quiet. It does not know
where signals come from, nor the terminal.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from vicinal_indexer.errors import IndexingError, VicinalError
from vicinal_indexer.files import EVERYTHING
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SyncReport
from vicinal_indexer.update import OnProgress, ignore

TICK_SECONDS = 1.0
IDLE_SECONDS = 5.0
"""So long after the last change the store is tidied."""

RECHECK_SECONDS = 300.0
"""At most so long until an event that was lost is noticed."""

RECHECK_SHARE = 0.01
"""A re-check that takes t seconds is not repeated before t / this: it may cost this share of one core."""

RETRY_SECONDS = 10.0
WAIT_SECONDS = 0.1
"""So often a waiting thread asks whether it should give up."""


class Source(Protocol):
    """Where signals come from: `watch.Signals`, or a fake."""

    def take(self, timeout: float) -> frozenset[str]:
        """The paths that were signalled within `timeout` seconds; "" is everything; empty if none were."""
        ...

    def wake(self) -> None:
        """End a `take` now."""
        ...


class Unwatched:
    """The source where the system cannot watch: it knows nothing, so whoever is woken looks at everything."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def take(self, timeout: float) -> frozenset[str]:
        """Everything, if woken within `timeout` seconds."""
        if not self._woken.wait(timeout):
            return frozenset()
        self._woken.clear()
        return EVERYTHING

    def wake(self) -> None:
        """End a `take` now."""
        self._woken.set()


@dataclass
class Follower:
    """One loop over one index; the caller is `holding` it.

    Args:
        index: what is kept fresh.
        source: signals what may have changed.
        on_sync: told of each sync that changed something.
        on_error: told of an error that a later try may get over (a full disk); the loop goes on.
        paused: asked before each scan; while it says yes nothing is done, and nothing is lost.
        stopped: asked at every turn.
        on_full_scan: told of each scan of everything, whether or not it changed something.
        on_settled: told at the end of every turn after which everything that was signalled is indexed.
        recheck_seconds: everything is scanned so often, or seldomer where that takes long (`RECHECK_SHARE`).
    """

    index: RepositoryIndex
    source: Source
    on_sync: Callable[[SyncReport], None]
    on_error: Callable[[VicinalError], None]
    paused: Callable[[], bool]
    stopped: Callable[[], bool]
    progress: OnProgress = ignore
    on_full_scan: Callable[[SyncReport], None] = lambda report: None
    on_settled: Callable[[], None] = lambda: None
    recheck_seconds: float = RECHECK_SECONDS
    _turned: threading.Condition = field(default_factory=threading.Condition, init=False, repr=False)
    _asked: int = field(default=0, init=False, repr=False)
    _settled: int = field(default=-1, init=False, repr=False)
    _running: bool = field(default=True, init=False, repr=False)
    _doubtful: bool = field(default=False, init=False, repr=False)

    def recheck(self) -> None:
        """Scan everything soon: the store may not hold what it should. For any thread."""
        self._doubtful = True
        self.source.wake()

    def settle(self, timeout: float, cancelled: Callable[[], bool] = lambda: False) -> bool:
        """Wait until everything that was signalled before this call is indexed; for any thread but that of `run`.

        Returns:
            Whether it is. False after `timeout` seconds, when `cancelled` says so, and when `run` has ended.
        """
        deadline = time.monotonic() + timeout
        with self._turned:
            self._asked += 1
            ticket = self._asked
            self.source.wake()  # under the lock: whoever sees the ticket finds the source woken
        with self._turned:
            while self._settled < ticket:
                left = deadline - time.monotonic()
                if left <= 0 or not self._running or cancelled():
                    return False
                self._turned.wait(min(left, WAIT_SECONDS))
        return True

    def run(self) -> None:
        """Follow until `stopped`. Everything is scanned first: what changed before the watch began.

        Raises:
            InputError: the root has gone; its index is kept.
        """
        try:
            self._follow()
        finally:
            with self._turned:
                self._running = False
                self._turned.notify_all()

    def _follow(self) -> None:
        due: set[str] = set(EVERYTHING)
        heard = self._asked  # who asked before signals were taken waits for those alone
        last_change = next_check = time.monotonic()
        untidy = False
        retry_at = 0.0
        while not self.stopped():
            self.index.check_root()
            now = time.monotonic()
            if now >= next_check or self._doubtful:
                due, self._doubtful = set(EVERYTHING), False
            if now >= retry_at and not self.paused():
                try:
                    begun = time.monotonic()
                    if self._scan(frozenset(due)):
                        last_change, untidy = time.monotonic(), True
                    if "" in due:
                        spent = time.monotonic() - begun
                        next_check = time.monotonic() + max(self.recheck_seconds, spent / RECHECK_SHARE)
                    due.clear()
                    if not self._doubtful:
                        self._settle(heard)
                    if untidy and time.monotonic() - last_change > IDLE_SECONDS:
                        self.index.tidy()
                        untidy = False
                except IndexingError as error:
                    self.on_error(error)
                    due = set(EVERYTHING)  # what the failed scan had seen is seen again
                    retry_at = time.monotonic() + RETRY_SECONDS
            heard = self._asked
            due |= self.source.take(TICK_SECONDS)
            with self._turned:
                asked = self._asked
            if asked != heard:  # somebody asked meanwhile: what was signalled until now is what they wait for
                heard = asked
                due |= self.source.take(0)

    def _settle(self, heard: int) -> None:
        with self._turned:
            self._settled = heard
            self._turned.notify_all()
        self.on_settled()

    def _scan(self, due: frozenset[str]) -> bool:
        """Answer cookies by a full scan, else scan what is due; whether anything changed."""
        report = self.index.answer_cookies(self.progress)
        full = report is not None or "" in due
        if report is None and due:
            report = self.index.sync(self.progress, scope=due)
        if report is None:
            return False
        if full:
            self.on_full_scan(report)
        if report.changed:
            self.on_sync(report)
        return report.changed
