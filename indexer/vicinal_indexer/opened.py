"""The store that an index has open: current, repaired, or built anew if it cannot be trusted.

Owns the open store, and why it was built anew last. It does not know who may write, nor what files there are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vicinal_indexer import store
from vicinal_indexer.errors import StoreDamaged, StoreUnavailable
from vicinal_indexer.store import Store, StoreKey


class OpenStore:
    """The store in `folder`, of what `key` says.

    Attributes:
        rebuilt_because: why it was built anew; None if it was not since somebody told of it.
    """

    def __init__(self, folder: Path, key: StoreKey) -> None:
        self.folder = folder
        self._key = key
        self._store: Store | None = None
        self.rebuilt_because: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is one."""
        return store.exists(self.folder)

    def for_writing(self) -> Store:
        """Repaired and current; empty if what was there cannot be trusted. The caller has the right to write.

        Raises:
            WrittenByLater: it is a later version's.
            StoreUnavailable: it cannot be written.
        """
        try:
            opened = self._opened()
            opened.repair()  # another writer may have died since it was opened
        except StoreDamaged as error:
            return self.start_anew(error)
        return opened

    def for_reading(self) -> Store:
        """As it is.

        Raises:
            StoreDamaged: it is, or there is none: only a writer may make it.
        """
        if not self.exists:
            raise StoreDamaged("the index is not there")
        return self._opened()

    def start_anew(self, error: StoreDamaged) -> Store:
        """Throw away what is there; the caller has the right to write."""
        self.rebuilt_because = error.message
        self._store = None
        with self.last_resort():
            store.wipe(self.folder)
            self._store = Store(self.folder, self._key)
        return self._store

    @contextmanager
    def last_resort(self) -> Iterator[None]:
        """What is damaged while it is built anew is not the store's fault but the disk's."""
        try:
            yield
        except StoreDamaged as error:
            self.let_go()
            raise StoreUnavailable(
                f"the index in {self.folder} cannot be built anew: {error.message}",
                hint="if it recurs the disk may be failing: check it, or set index.data_dir to another folder",
            ) from error

    def let_go(self) -> None:
        """Have nothing open; the next one who asks opens it again."""
        self._store = None

    def _opened(self) -> Store:
        if self._store is None or not self._store.is_current or self._store.was_refused:
            self._store = Store(self.folder, self._key)
        return self._store
