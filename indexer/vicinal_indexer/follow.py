"""Keeping an index fresh: the loop behind `vicinal index --watch`.

Owns when something is scanned: what was signalled, at once; everything, when another process asks for it by a cookie,
when the rules changed, and every now and then, since events get lost. Tidies up when it is quiet. It does not know
where signals come from, nor the terminal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vicinal_indexer.errors import IndexingError, VicinalError
from vicinal_indexer.files import EVERYTHING
from vicinal_indexer.index import OnProgress, RepositoryIndex, ignore
from vicinal_indexer.types import SyncReport

TICK_SECONDS = 1.0
IDLE_SECONDS = 5.0
"""So long after the last change the store is tidied."""

RECHECK_SECONDS = 300.0
"""At most so long until an event that was lost is noticed."""

RECHECK_SHARE = 0.01
"""A re-check that takes t seconds is not repeated before t / this: it may cost this share of one core."""

RETRY_SECONDS = 10.0


class Source(Protocol):
    """Where signals come from: `watch.Signals`, or a fake."""

    def take(self, timeout: float) -> frozenset[str]:
        """The paths that were signalled within `timeout` seconds; "" is everything; empty if none were."""
        ...


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
    """

    index: RepositoryIndex
    source: Source
    on_sync: Callable[[SyncReport], None]
    on_error: Callable[[VicinalError], None]
    paused: Callable[[], bool]
    stopped: Callable[[], bool]
    progress: OnProgress = ignore

    def run(self) -> None:
        """Follow until `stopped`. Everything is scanned first: what changed before the watch began.

        Raises:
            InputError: the root has gone; its index is kept.
        """
        due: set[str] = set(EVERYTHING)
        last_change = next_check = time.monotonic()
        untidy = False
        retry_at = 0.0
        while not self.stopped():
            self.index.check_root()
            now = time.monotonic()
            if now >= next_check:
                due = set(EVERYTHING)
            if now >= retry_at and not self.paused():
                try:
                    begun = time.monotonic()
                    if self._scan(frozenset(due)):
                        last_change, untidy = time.monotonic(), True
                    if "" in due:
                        spent = time.monotonic() - begun
                        next_check = time.monotonic() + max(RECHECK_SECONDS, spent / RECHECK_SHARE)
                    due.clear()
                    if untidy and time.monotonic() - last_change > IDLE_SECONDS:
                        self.index.tidy()
                        untidy = False
                except IndexingError as error:
                    self.on_error(error)
                    due = set(EVERYTHING)  # what the failed scan had seen is seen again
                    retry_at = time.monotonic() + RETRY_SECONDS
            due |= self.source.take(TICK_SECONDS)

    def _scan(self, due: frozenset[str]) -> bool:
        """Answer cookies by a full scan, else scan what is due; whether anything changed."""
        report = self.index.answer_cookies(self.progress)
        if report is None and due:
            report = self.index.sync(self.progress, scope=due)
        if report is None:
            return False
        changed = bool(report.added or report.replaced or report.dropped or report.rebuilt_because)
        if changed:
            self.on_sync(report)
        return changed
