"""The rows of the store, as Arrow tables.

Owns the columns and how values become them. It knows pyarrow but not lancedb, so that worker processes can make rows
without loading a database.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pyarrow as pa

from vicinal_indexer.types import Chunk, FileStat, FloatArray

SCHEMA_VERSION = 3
"""3: more kinds of secrets are refused: files that were indexed before they were known must be read again.
2: chunks carry their header, vectors are float16 (half the disk; the rounding changes no ranking that was seen)."""

CHUNK_FIELDS = tuple(field.name for field in fields(Chunk))
_NUMBERS = {"start_line", "end_line", "start_byte", "end_byte"}


@dataclass(frozen=True, slots=True)
class FileRow:
    """A manifest row: a file as it was read. `reason` is "" or why it has no chunks; `detail` is for people."""

    path: str
    size: int
    mtime_ns: int
    content_hash: str
    chunks: int
    reason: str
    detail: str

    @property
    def stat(self) -> FileStat:
        """What the listing said of it."""
        return FileStat(self.path, self.size, self.mtime_ns)


def chunk_schema(dimensions: int) -> pa.Schema:
    """The columns of a chunk; `terms` are the words that full-text search finds it by."""
    columns = [(name, pa.int64() if name in _NUMBERS else pa.string()) for name in CHUNK_FIELDS]
    return pa.schema([*columns, ("terms", pa.string()), ("vector", pa.list_(pa.float16(), dimensions))])


FILE_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("size", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("content_hash", pa.string()),
        ("chunks", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


def chunk_table(chunks: Sequence[Chunk], terms: Sequence[str], vectors: FloatArray) -> pa.Table:
    """Rows of chunks.

    Args:
        chunks: n of them.
        terms: (n,) words separated by spaces.
        vectors: (n, dimensions).
    """
    dimensions = vectors.shape[1]
    flat = pa.array(np.ascontiguousarray(vectors, np.float16).ravel(), pa.float16())
    columns: dict[str, object] = {name: [getattr(chunk, name) for chunk in chunks] for name in CHUNK_FIELDS}
    columns |= {"terms": terms, "vector": pa.FixedSizeListArray.from_arrays(flat, dimensions)}
    return pa.table(columns, schema=chunk_schema(dimensions))


def file_table(rows: Sequence[FileRow]) -> pa.Table:
    """Rows of the manifest."""
    return pa.Table.from_pylist([asdict(row) for row in rows], schema=FILE_SCHEMA)
