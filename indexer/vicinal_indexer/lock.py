"""Who writes an index: one process at a time, which holds the lock file, and one thread of it.

Owns the lock file. It does not know what is written.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vicinal_indexer.atomic import private_folder
from vicinal_indexer.errors import StoreLocked, StoreUnavailable


class WritingRight:
    """The right to write what is in `folder`; it is held as often as it is taken.

    Attributes:
        thread: held by the thread of this process that writes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Not thread-local: whichever thread of this process took it, this process is the writer.
        self._lock = FileLock(f"{folder}.lock", thread_local=False)
        self._locking = threading.Lock()  # filelock counts, but not for many threads at once
        self.thread = threading.RLock()

    def take(self) -> bool:
        """Take it if it is free; says whether.

        Raises:
            StoreUnavailable: the lock file cannot be written.
        """
        try:
            with writing_beside(self._folder.parent), self._locking:
                private_folder(self._folder.parent)
                self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def give_back(self) -> None:
        """Once for each time that it was taken."""
        with self._locking:
            self._lock.release()

    @contextmanager
    def held(self, what: str) -> Iterator[None]:
        """Hold it for the time of the block.

        Raises:
            StoreLocked: another process does; `what` it keeps.
        """
        if not self.take():
            raise StoreLocked(f"another vicinal keeps {what} fresh", hint="use that one, or end it")
        try:
            yield
        finally:
            self.give_back()

    @property
    def is_taken(self) -> bool:
        """Whether another process holds it."""
        if self.take():
            self.give_back()
            return False
        return True


@contextmanager
def writing_beside(place: Path) -> Iterator[None]:
    """Say in our words that a file next to the store cannot be made, written or removed."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise StoreUnavailable(
            f"{place} cannot be written: {error}",
            hint="mend its permissions or free disk space, or set index.data_dir to another folder",
        ) from error
