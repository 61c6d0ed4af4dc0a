"""Chunks, vectors and the manifest on disk: the only importer of lancedb.

Owns the schema, the order of writes, compaction and the check that what is stored is consistent. It does not know how
chunks are made or what a query means.

A file's manifest row is written last and deleted first, and counts its chunks. So after a kill at any moment a file is
either whole or recognisably not, and `repair` removes what is not; the next sync reads those files again.

A finished sync seals the store: the hash of every file. The seal is broken before the next write and checked on
opening, so that a single flipped bit is noticed before anything is read through lance.
"""

import errno
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from hashlib import file_digest
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS
from lancedb.query import MatchQuery

from vicinal_indexer.errors import StoreDamaged, StoreUnavailable, VicinalError
from vicinal_indexer.types import Chunk, FileStat, FloatArray, Region, digest

SCHEMA_VERSION = 1
"""1: the first."""

_META = "meta.json"
_SEAL = "seal.json"
_CHUNK_FIELDS = tuple(field.name for field in fields(Chunk))
_KEEP_VERSIONS = timedelta(milliseconds=1)  # every write is a version; nobody reads old ones
_PATHS_PER_DELETE = 500
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}
_UNWRITABLE_WORDS = (
    "permission denied",
    "no space left",
    "read-only file system",
    "quota exceeded",
    "os error 28",
)


@dataclass(frozen=True, slots=True)
class StoreKey:
    """What a store was made with; a store with another key is not read."""

    schema: int
    embedder: str
    dimensions: int
    chunker: int


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


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Turn what the file system and lance raise into our two words: unavailable or damaged."""
    try:
        yield
    except VicinalError:
        raise
    except BaseException as error:
        # A damaged file may surface as nearly anything, a Rust panic (no `Exception`) included.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        number = getattr(error, "errno", None)
        words = str(error).lower()
        if number in _UNWRITABLE or any(word in words for word in _UNWRITABLE_WORDS):
            raise StoreUnavailable(
                f"the index in {folder} cannot be written: {error}",
                hint="free some disk space or mend the permissions, or set index.data_dir to another folder",
            ) from error
        raise StoreDamaged(f"the index in {folder} cannot be read: {error}") from error


class Store:
    """An open store. One process writes; the caller holds the lock.

    Args:
        folder: made if absent.
        key: what the store must have been made with.

    Raises:
        StoreDamaged: what is there cannot be read, or was made with another key; `wipe` and open again.
        StoreUnavailable: the folder cannot be written.
    """

    def __init__(self, folder: Path, key: StoreKey) -> None:
        self.folder = folder
        self._key = key
        with _translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            meta = folder / _META
            if meta.exists():
                self._check(json.loads(meta.read_text(encoding="utf-8")))
            elif any(folder.iterdir()):
                raise StoreDamaged("the index was never finished")
            self._check_seal()
            self._db = lancedb.connect(folder / "tables", read_consistency_interval=timedelta(0))
            self._chunks = self._table("chunks", _chunk_schema(key.dimensions))
            self._files = self._table("files", _FILE_SCHEMA)
            if not meta.exists():
                _write(meta, asdict(key))

    def _check(self, found: object) -> None:
        wanted = asdict(self._key)
        if not isinstance(found, dict) or found.keys() != wanted.keys():
            raise StoreDamaged("the index's description is not one of ours")
        for name, value in wanted.items():
            if found[name] != value:
                raise StoreDamaged(f"the index was made with {name} {found[name]}, now it is {value}")

    @property
    def sealed(self) -> bool:
        """Whether the last write was finished."""
        return (self.folder / _SEAL).exists()

    def seal(self) -> None:
        """Say that all writes are finished, and what they wrote."""
        with _translated(self.folder):
            _write(self.folder / _SEAL, self._hashes())

    def _break_seal(self) -> None:
        (self.folder / _SEAL).unlink(missing_ok=True)

    def _check_seal(self) -> None:
        if self.sealed and json.loads((self.folder / _SEAL).read_text(encoding="utf-8")) != self._hashes():
            raise StoreDamaged("the index's files are not what was written")

    def _hashes(self) -> dict[str, str]:
        files = sorted(path for path in (self.folder / "tables").rglob("*") if path.is_file())
        found = {}
        for path in files:
            with path.open("rb") as file:
                found[path.relative_to(self.folder).as_posix()] = file_digest(file, "blake2b").hexdigest()
        return found

    def _table(self, name: str, schema: pa.Schema) -> lancedb.table.Table:
        if name not in self._db.list_tables().tables:
            return self._db.create_table(name, schema=schema)
        table = self._db.open_table(name)
        if table.schema.names != schema.names:
            raise StoreDamaged(f"the table {name} has other columns")
        return table

    def repair(self) -> int:
        """Remove what a killed writer left half done; returns how many files were affected."""
        with _translated(self.folder):
            rows = self.files()
            counted = Counter(self._chunks.search().select(["path"]).limit(None).to_arrow()["path"].to_pylist())
            broken = {path for path in counted if path not in rows}
            broken |= {path for path, row in rows.items() if counted[path] != row.chunks}
            self.remove(sorted(broken))
            return len(broken)

    def files(self) -> dict[str, FileRow]:
        """The manifest by path."""
        with _translated(self.folder):
            table = self._files.search().limit(None).to_arrow()
            return {row["path"]: FileRow(**row) for row in table.to_pylist()}

    def count_chunks(self) -> int:
        """How many chunks are stored."""
        with _translated(self.folder):
            return int(self._chunks.count_rows())

    def remove(self, paths: Sequence[str]) -> None:
        """Forget files: the manifest rows first."""
        with _translated(self.folder):
            if paths:
                self._break_seal()
            for start in range(0, len(paths), _PATHS_PER_DELETE):
                some = ", ".join(_quoted(path) for path in paths[start : start + _PATHS_PER_DELETE])
                self._files.delete(f"path IN ({some})")
                self._chunks.delete(f"path IN ({some})")

    def put(self, rows: Sequence[FileRow], chunks: Sequence[Chunk], terms: Sequence[str], vectors: FloatArray) -> None:
        """Add files that are not stored: their chunks first.

        Args:
            rows: manifest rows; `chunks` are theirs.
            terms: for each chunk, the words that full-text search finds it by.
            vectors: (len(chunks), dimensions), float32.
        """
        with _translated(self.folder):
            self._break_seal()
            if chunks:
                columns: dict[str, object] = {name: [getattr(c, name) for c in chunks] for name in _CHUNK_FIELDS}
                flat = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
                columns |= {
                    "terms": terms,
                    "vector": pa.FixedSizeListArray.from_arrays(flat, self._key.dimensions),
                }
                self._chunks.add(pa.table(columns, schema=self._chunks.schema))
            self._files.add(pa.Table.from_pylist([asdict(row) for row in rows], schema=_FILE_SCHEMA))

    def refresh(self, rows: Sequence[FileRow]) -> None:
        """Replace manifest rows of files whose chunks stay."""
        with _translated(self.folder):
            self._break_seal()
            data = pa.Table.from_pylist([asdict(row) for row in rows], schema=_FILE_SCHEMA)
            self._files.merge_insert("path").when_matched_update_all().execute(data)

    def compact(self) -> None:
        """Fold new rows into the full-text index, join fragments, drop old versions from the disk."""
        with _translated(self.folder):
            self._break_seal()
            if not self._chunks.list_indices() and self._chunks.count_rows():
                words = FTS(
                    base_tokenizer="whitespace",
                    stem=False,
                    remove_stop_words=False,
                    lower_case=False,
                    ascii_folding=False,
                )
                self._chunks.create_index("terms", config=words)
            self._chunks.optimize(cleanup_older_than=_KEEP_VERSIONS)
            self._files.optimize(cleanup_older_than=_KEEP_VERSIONS)

    def nearest(self, vector: FloatArray, limit: int, exclude: Iterable[Region]) -> list[tuple[Chunk, FloatArray]]:
        """The chunks of largest cosine similarity to `vector` (d,), best first."""
        with _translated(self.folder):
            query = self._chunks.search(vector, vector_column_name="vector").distance_type("cosine")
            return self._rows(query, "_distance", limit, exclude)

    def matching(self, terms: Sequence[str], limit: int, exclude: Iterable[Region]) -> list[tuple[Chunk, FloatArray]]:
        """The chunks that match the words best by BM25, best first."""
        with _translated(self.folder):
            query = self._chunks.search(MatchQuery(" ".join(terms), "terms"), query_type="fts")
            return self._rows(query, "_score", limit, exclude)

    def _rows(
        self, query: lancedb.query.LanceQueryBuilder, score: str, limit: int, exclude: Iterable[Region]
    ) -> list[tuple[Chunk, FloatArray]]:
        conditions = [
            f"NOT (path = {_quoted(r.path)} AND start_line <= {r.last_line} AND end_line >= {r.first_line})"
            for r in exclude
        ]
        if conditions:
            query = query.where(" AND ".join(conditions), prefilter=True)
        found = []
        for row in query.select([*_CHUNK_FIELDS, "vector", score]).limit(limit).to_arrow().to_pylist():
            chunk = Chunk(**{name: row[name] for name in _CHUNK_FIELDS})
            if digest(chunk.text) != chunk.content_hash:
                raise StoreDamaged(f"the stored text of {chunk.path} is not what was written")
            found.append((chunk, np.asarray(row["vector"], np.float32)))
        return found

    def bytes_on_disk(self) -> int:
        """The size of everything in the store's folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def _write(path: Path, value: object) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(path)


def wipe(folder: Path) -> None:
    """Delete a store; it is rebuilt from the user's files.

    Raises:
        StoreUnavailable: it cannot be deleted.
    """
    with _translated(folder):
        if folder.exists():
            shutil.rmtree(folder)


def _chunk_schema(dimensions: int) -> pa.Schema:
    numbers = {"start_line", "end_line", "start_byte", "end_byte"}
    columns = [(name, pa.int64() if name in numbers else pa.string()) for name in _CHUNK_FIELDS]
    return pa.schema([*columns, ("terms", pa.string()), ("vector", pa.list_(pa.float32(), dimensions))])


_FILE_SCHEMA = pa.schema(
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


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
