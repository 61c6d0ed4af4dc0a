"""Rows into the store, some thousand at a time.

Owns how many rows make a batch, and which of them are new, changed or only looked at again. It does not know files.
"""

from collections.abc import Sequence

import pyarrow as pa

from vicinal_indexer.rows import FileRow
from vicinal_indexer.store import Store

BATCH_CHUNKS = 4_000


class Writer:
    """Collects what a sync writes into batches, so that memory is bounded and versions are few.

    Attributes:
        seen: the paths of all rows that were taken.
        replaced: the paths whose content or reason is not what was stored.
    """

    def __init__(self, opened: Store, old: dict[str, FileRow]) -> None:
        self._store = opened
        self._old = old
        self.seen: set[str] = set()
        self.replaced: set[str] = set()
        self._clear()

    def _clear(self) -> None:
        self._rows: list[FileRow] = []
        self._tables: list[pa.Table] = []
        self._chunks = 0
        self._outdated: list[str] = []
        self._refreshed: list[FileRow] = []

    def take(self, rows: Sequence[FileRow], chunks: pa.Table) -> None:
        """Take rows and the chunks of all of them; chunks of files that did not change are left out."""
        unchanged = []
        for row in rows:
            self.seen.add(row.path)
            old = self._old.get(row.path)
            if old is not None and (row.content_hash, row.reason) == (old.content_hash, old.reason):
                unchanged.append(row.path)
                if row != old:
                    self._refreshed.append(row)
                continue
            self._rows.append(row)
            if old is not None:
                self._outdated.append(row.path)
                self.replaced.add(row.path)
        if unchanged:
            chunks = chunks.filter(pa.compute.invert(pa.compute.is_in(chunks["path"], pa.array(unchanged))))
        self._tables.append(chunks)
        self._chunks += chunks.num_rows
        if self._chunks >= BATCH_CHUNKS:
            self.flush()

    def flush(self) -> None:
        """Write what was taken."""
        if self._refreshed:
            self._store.refresh(self._refreshed)
        if self._rows:
            self._store.remove(self._outdated)
            self._store.put(self._rows, pa.concat_tables(self._tables).combine_chunks())
        self._clear()
