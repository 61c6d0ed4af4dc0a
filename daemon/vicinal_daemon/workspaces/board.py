"""What is known of one repository, for everybody to read.

Owns the values, the lock around them and the one word that sums them up. Nobody waits here for a scan or for the store.
It does not know how the values come about.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vicinal_daemon.protocol.state import Event, Trouble, WorkspaceState
from vicinal_indexer.errors import VicinalError

if TYPE_CHECKING:
    from vicinal_indexer.follow import Follower
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.types import Glance, Progress

WAIT_SECONDS = 0.1
"""So often a waiting thread asks whether it should give up."""

Lost = Literal["gone", "failed"]
Word = Literal["opening", "indexing", "ready", "paused", "gone", "failed"]
Cancelled = Callable[[], bool]
OnEvent = Callable[[Event], None]


def never() -> bool:
    """Nobody cancels."""
    return False


@dataclass(eq=False)
class Board:
    """The state of one workspace. Read or write it only with `news` in hand; notify `news` of what others wait for.

    Attributes:
        pause_flag: while this file is there, nothing is indexed unless asked for.
        follower: set while this process writes the index.
        progress: of the running sync.
        complete: whether everything was indexed at least once since the repository was opened or came back.
        error: of the last try; a later one clears it.
        lost: why nothing can go on until something outside changes.
        notice: something that goes on, but worse than it should.
    """

    root: Path
    pause_flag: Path
    on_event: OnEvent
    news: threading.Condition = field(default_factory=threading.Condition)
    closing: threading.Event = field(default_factory=threading.Event)
    index: "RepositoryIndex | None" = None
    follower: "Follower | None" = None
    glance: "Glance | None" = None
    skipped: int = 0
    progress: "Progress | None" = None
    complete: bool = False
    error: VicinalError | None = None
    lost: Lost | None = None
    notice: Trouble | None = None

    def word(self) -> Word:
        """The state in one word."""
        if self.lost:
            return self.lost
        if self.index is None:
            return "opening"
        if self.pause_flag.exists():
            return "paused"
        busy = self.progress is not None and self.progress.total > 0
        return "ready" if self.complete and not busy else "indexing"

    def state(self, idle_seconds: float) -> WorkspaceState:
        """All of it, as the API says it."""
        with self.news:
            glance, progress = self.glance, self.progress
            return WorkspaceState(
                root=str(self.root),
                state=self.word(),
                files=glance.files if glance else 0,
                chunks=glance.chunks if glance else 0,
                skipped=self.skipped,
                bytes_on_disk=glance.bytes_on_disk if glance else 0,
                done=progress.done if progress else 0,
                total=progress.total if progress else 0,
                writer=self.follower is not None,
                idle_seconds=idle_seconds,
                problem=Trouble.of(self.error) if self.error else self.notice,
            )

    def wait(self, come: Callable[[], bool], timeout: float, cancelled: Cancelled) -> None:
        """Wait until `come`, for up to `timeout` seconds; also ends when cancelled or closing."""
        deadline = time.monotonic() + timeout
        with self.news:
            while not (come() or cancelled() or self.closing.is_set()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self.news.wait(min(left, WAIT_SECONDS))

    def show(self, progress: "Progress") -> None:
        """A sync has come so far."""
        with self.news:
            if progress == self.progress:
                return
            self.progress = progress
            routine = self.complete and not progress.total
        if not routine:
            self.tell(progress.stage, progress.done, progress.total)

    def tell(self, stage: str, done: int = 0, total: int = 0, detail: str = "") -> None:
        """Send an event."""
        self.on_event(Event(name="index", workspace=str(self.root), stage=stage, done=done, total=total, detail=detail))
