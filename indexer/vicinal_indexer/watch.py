"""What the operating system says has changed: the only importer of watchdog.

Owns the observer and the waiting. Events only signal: they are merged into a set of paths, or "everything" where there
are too many or the rules themselves changed, and are forgotten; a rescan decides what is true. It does not know what is
indexed.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileClosedEvent, FileCreatedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from vicinal_indexer.files import EVERYTHING
from vicinal_indexer.ignore import IGNORE_FILES, TOOL_FOLDERS

MANY_PATHS = 400
"""From here on (a branch switch, a rebase) everything is scanned once instead."""

QUIET_SECONDS = 0.03
LONGEST_SECONDS = 0.15
"""A burst is one signal: wait until it has been quiet for so long, but not longer than so long in all."""

WOKEN = "\0"
"""No path: somebody wants to be looked at."""

_CHANGES = frozenset({"created", "modified", "moved", "deleted", "closed"})  # "closed" after writing


class Signals(FileSystemEventHandler):
    """What was signalled since it was last taken: paths relative to `root`, "" for everything. Thread-safe.

    A storm, more than `MANY_PATHS` at once, is over when it has been quiet for a whole `take`. Until then, and once
    more at its end, everything is signalled: the system's own queue may have been full, and what it lost is not told.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._paths: set[str] = set()
        self._storm = False
        self._changed = threading.Condition()
        self._last = 0.0

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer's thread."""
        if event.event_type not in _CHANGES or (event.is_directory and event.event_type == "modified"):
            return  # a folder is "modified" whenever a file in it is; that file has an event of its own
        for name in (event.src_path, event.dest_path):
            if name:
                self.signal(str(name))

    def signal(self, name: str) -> None:
        """Something is said to have happened at this absolute path."""
        try:
            path = Path(name).relative_to(self._root)
        except ValueError:
            return
        rules_changed = path.name in IGNORE_FILES or path.parts[-2:] == ("info", "exclude")
        if not rules_changed and not TOOL_FOLDERS.isdisjoint(path.parts):
            return
        with self._changed:
            if len(self._paths) >= MANY_PATHS:
                self._paths, self._storm = set(EVERYTHING), True
            elif rules_changed or not path.parts:
                self._paths = set(EVERYTHING)
            elif self._paths != EVERYTHING:
                self._paths.add(path.as_posix())
            self._last = time.monotonic()
            self._changed.notify_all()

    def wake(self) -> None:
        """End a `take` now, without a path."""
        with self._changed:
            self._last = time.monotonic()
            self._paths.add(WOKEN)
            self._changed.notify_all()

    def take(self, timeout: float) -> frozenset[str]:
        """Wait for a signal for up to `timeout` seconds, then for the burst to end; the paths, empty if none came."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._paths), timeout):
                over, self._storm = self._storm, self._storm and timeout < QUIET_SECONDS
                return EVERYTHING if over else frozenset()
            begun = time.monotonic()
            while WOKEN not in self._paths:
                now = time.monotonic()
                left = min(self._last + QUIET_SECONDS, begun + LONGEST_SECONDS) - now
                if left <= 0:
                    break
                self._changed.wait(left)
            taken = frozenset(self._paths - {WOKEN})
            self._paths.clear()
            return EVERYTHING if self._storm else taken


@contextmanager
def watching(root: Path, cookies: Path) -> Iterator[Signals]:
    """Signals of what changes under `root`, and a wake-up for each new file in the folder `cookies`.

    Raises:
        OSError: the system cannot watch so many folders; a periodic scan has to do.
    """
    signals = Signals(root)
    cookies.mkdir(parents=True, exist_ok=True)
    observer = Observer()
    observer.schedule(signals, str(root), recursive=True)
    observer.schedule(_Wake(signals), str(cookies), event_filter=[FileCreatedEvent, FileClosedEvent])
    try:
        observer.start()
    except OSError:
        observer.unschedule_all()  # one of the two may have begun
        raise
    try:
        yield signals
    finally:
        observer.stop()
        observer.join()


class _Wake(FileSystemEventHandler):
    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not event.is_directory:
            self._signals.wake()
