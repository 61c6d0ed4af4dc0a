"""Chunks, vectors and the manifest on disk: the only importer of lancedb.

Owns the schema, the order of writes, compaction and the check that what is stored is consistent. It does not know how
chunks are made or what a query means.

A file's manifest row is written last and deleted first, and counts its chunks. So after a kill at any moment a file is
either whole or recognisably not, and `repair` removes what is not; the next sync reads those files again.

A finished sync seals the store: the hash of every file. The seal is broken before the next write and checked on
opening, so that a single flipped bit is noticed before anything is read through lance.
"""

import heapq
import json
import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, IvfSq
from lancedb.query import MatchQuery

from vicinal_indexer.atomic import replace_text
from vicinal_indexer.errors import StoreDamaged, WrittenByLater
from vicinal_indexer.failures import translated
from vicinal_indexer.globs import to_regex
from vicinal_indexer.rows import CHUNK_FIELDS, FILE_SCHEMA, FileRow, chunk_schema, file_table
from vicinal_indexer.seal import Seal
from vicinal_indexer.types import Chunk, Filter, FloatArray, Region, digest

VECTOR_INDEX_CHUNKS = 100_000
"""From here on a vector index pays; below, comparing with every vector takes less than about 100 ms."""

PROBES = 20
MANY_VERSIONS = 128
"""So many writes are left untidied at most: each is a small fragment that every search has to look at."""

_META = "meta.json"
_KEEP_VERSIONS = timedelta(milliseconds=1)  # every write is a version; nobody reads old ones for long
_ALTERNATIVES = 500


@dataclass(frozen=True, slots=True)
class StoreKey:
    """What a store was made with; a store with another key is not read."""

    schema: int
    embedder: str
    dimensions: int
    chunker: int


class Store:
    """An open store. Any number of processes read; one, which holds the caller's lock, writes.

    Args:
        folder: made if absent.
        key: what the store must have been made with.

    Raises:
        StoreDamaged: what is there cannot be read, or was made with another key; `wipe` and open again.
        WrittenByLater: it was made with a later schema or chunker.
        StoreUnavailable: the folder cannot be written.
    """

    def __init__(self, folder: Path, key: StoreKey) -> None:
        self.folder = folder
        self._key = key
        self._seal = Seal(folder)
        self._manifest: tuple[int, dict[str, FileRow]] | None = None
        with translated(folder):
            folder.mkdir(parents=True, exist_ok=True)
            meta = folder / _META
            self.generation = ""
            if meta.exists():
                self.generation = self._check(json.loads(meta.read_text(encoding="utf-8")))
            elif any(folder.iterdir()):
                raise StoreDamaged("the index was never finished")
            # Hashing runs beside whatever the caller does next; nothing is read through lance before it is done.
            background = ThreadPoolExecutor(1)
            self._checked: Future[None] = background.submit(self._seal.check)
            background.shutdown(wait=False)
            self._connect()
            if not self.generation:
                self._describe()

    def _connect(self) -> None:
        """Begin a session with lance, and end the one before.

        A session's cache keeps the files of full-text indexes open, also when they are deleted since a newer index has
        taken their place: handles, memory and disk would grow with each tidying.
        """
        self._db = lancedb.connect(self.folder / "tables", read_consistency_interval=timedelta(0))
        self._chunks = self._table("chunks", chunk_schema(self._key.dimensions))
        self._files = self._table("files", FILE_SCHEMA)
        self._connected_at = self._files.version

    def _describe(self) -> None:
        """Say what it was made with, and that it is another one than before."""
        self.generation = uuid.uuid4().hex
        replace_text(self.folder / _META, json.dumps({**asdict(self._key), "generation": self.generation}))

    def _check(self, found: object) -> str:
        wanted = asdict(self._key)
        if not isinstance(found, dict):
            raise StoreDamaged("the index's description is not one of ours")
        for name in ("schema", "chunker"):
            said = found.get(name)
            if isinstance(said, int) and said > wanted[name]:
                raise WrittenByLater(
                    f"the index in {self.folder} was made by a later Vicinal ({name} {said}, not {wanted[name]})",
                    hint="update this one, or build the index anew for it: vicinal index --rebuild",
                )
        for name, value in wanted.items():
            if found.get(name, value) != value:
                raise StoreDamaged(f"the index was made with {name} {found[name]}, now it is {value}")
        if found.keys() != {*wanted, "generation"}:
            raise StoreDamaged("the index's description is not one of ours")
        return str(found["generation"])

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        with translated(self.folder):
            self._checked.result()
            yield

    @property
    def is_current(self) -> bool:
        """Whether the folder still holds the store that was opened, and not one that was built anew since."""
        try:
            found = json.loads((self.folder / _META).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(found, dict) and found.get("generation") == self.generation

    @property
    def was_refused(self) -> bool:
        """Whether its files were looked at and could not be trusted, or not be read just then: open it anew."""
        return self._checked.done() and self._checked.exception() is not None

    @property
    def sealed(self) -> bool:
        """Whether the last write was finished."""
        return self._seal.is_there

    def seal(self) -> None:
        """Say that all writes are finished, and what they wrote."""
        with self._guarded():
            self._seal.set()

    def verify(self) -> None:
        """Compare every byte with the seal, however large the store is.

        Raises:
            StoreDamaged: the files are not what was written.
        """
        with self._guarded():
            self._seal.verify()

    def _table(self, name: str, schema: pa.Schema) -> lancedb.table.Table:
        if name not in self._db.list_tables().tables:
            if self.generation:
                raise StoreDamaged(f"the table {name} is missing")
            return self._db.create_table(name, schema=schema)
        table = self._db.open_table(name)
        if table.schema != schema:
            raise StoreDamaged(f"the table {name} has other columns")
        return table

    def repair(self) -> int:
        """Remove what a killed writer left half done; returns how many files were affected."""
        with self._guarded():
            if self.sealed:
                return 0
            rows = self.files()
            counted = Counter(self._chunks.search().select(["path"]).limit(None).to_arrow()["path"].to_pylist())
            broken = {path for path in counted if path not in rows}
            broken |= {path for path, row in rows.items() if counted[path] != row.chunks}
            self.remove(sorted(broken))
            return len(broken)

    def files(self) -> dict[str, FileRow]:
        """The manifest by path. It is read once a version of its table."""
        with self._guarded():
            version = self._files.version
            if version - self._connected_at > MANY_VERSIONS:  # another process writes, and tidies up
                self._connect()
            if self._manifest is None or self._manifest[0] != version:
                table = self._files.search().limit(None).to_arrow()
                self._manifest = version, {row["path"]: FileRow(**row) for row in table.to_pylist()}
            return dict(self._manifest[1])

    def count_chunks(self) -> int:
        """How many chunks are stored."""
        with self._guarded():
            return int(self._chunks.count_rows())

    def remove(self, paths: Sequence[str]) -> None:
        """Forget files: the manifest rows first."""
        if not paths:
            return
        with self._guarded():
            known = self.files()
            self._seal.lift()
            for some in _alternatives(paths):
                self._files.delete(f"path IN ({some})")
                self._chunks.delete(f"path IN ({some})")
            gone = set(paths)
            self._remember({path: row for path, row in known.items() if path not in gone})

    def put(self, rows: Sequence[FileRow], chunks: pa.Table) -> None:
        """Add files that are not stored: their chunks first.

        Args:
            rows: manifest rows.
            chunks: the chunks of all of them, with the columns of `chunk_schema`.
        """
        with self._guarded():
            known = self.files()
            self._seal.lift()
            if chunks.num_rows:
                self._chunks.add(chunks)
            self._files.add(file_table(rows))
            self._remember(known | {row.path: row for row in rows})

    def refresh(self, rows: Sequence[FileRow]) -> None:
        """Replace manifest rows of files whose chunks stay."""
        with self._guarded():
            known = self.files()
            self._seal.lift()
            self._files.merge_insert("path").when_matched_update_all().execute(file_table(rows))
            self._remember(known | {row.path: row for row in rows})

    def _remember(self, rows: dict[str, FileRow]) -> None:
        self._manifest = self._files.version, rows

    @property
    def is_untidy(self) -> bool:
        """Whether so many small writes lie on disk that searching and space suffer."""
        versions = self.folder / "tables" / "chunks.lance" / "_versions"
        with translated(self.folder):
            return sum(1 for _ in versions.iterdir()) > MANY_VERSIONS

    def tidy(self) -> None:
        """Fold new rows into the indexes, join fragments, drop old versions from the disk."""
        with self._guarded():
            self._seal.lift()
            count = self._chunks.count_rows()
            indexed = {column for index in self._chunks.list_indices() for column in index.columns}
            if "terms" not in indexed and count:
                words = FTS(
                    base_tokenizer="whitespace",
                    stem=False,
                    remove_stop_words=False,
                    lower_case=False,
                    ascii_folding=False,
                    with_position=False,
                )
                self._chunks.create_index("terms", config=words)
            if "vector" not in indexed and count >= VECTOR_INDEX_CHUNKS:
                self._chunks.create_index("vector", config=IvfSq(distance_type="cosine"))
            self._chunks.optimize(cleanup_older_than=_KEEP_VERSIONS)
            self._files.optimize(cleanup_older_than=_KEEP_VERSIONS)
            self._connect()
            if self._manifest is not None:  # the same rows under a new version
                self._remember(self._manifest[1])

    def rewrite(self) -> None:
        """Write the tables anew and delete their files: what was removed is in none of them any more, in no version.

        Compaction would not do: it leaves fragments of which little was deleted as they are, and what a killed writer
        left lies for days. A kill in between leaves what is no whole store: it is built anew from the user's files.
        """
        with self._guarded():
            self._seal.lift()
            chunks, files = self._chunks.to_arrow(), self._files.to_arrow()
            (self.folder / _META).unlink()
            for name in self._db.list_tables().tables:
                self._db.drop_table(name)
            self._db.create_table("chunks", chunks, schema=chunk_schema(self._key.dimensions))
            self._db.create_table("files", files, schema=FILE_SCHEMA)
            self._manifest = None
            self._connect()
            self._describe()

    def nearest(
        self, vector: FloatArray, limit: int, exclude: Iterable[Region], wanted: Filter
    ) -> list[tuple[Chunk, FloatArray]]:
        """The chunks of largest cosine similarity to `vector` (d,), best first."""
        with self._guarded():
            query = self._chunks.search(vector, vector_column_name="vector").distance_type("cosine").nprobes(PROBES)
            return self._rows(query, "_distance", limit, exclude, wanted)

    def matching(
        self, terms: Sequence[str], limit: int, exclude: Iterable[Region], wanted: Filter
    ) -> list[tuple[Chunk, FloatArray]]:
        """The chunks that match the words best by BM25, best first."""
        with self._guarded():
            query = self._chunks.search(MatchQuery(" ".join(terms), "terms"), query_type="fts")
            return self._rows(query, "_score", limit, exclude, wanted)

    def _rows(
        self, query: lancedb.query.LanceQueryBuilder, score: str, limit: int, exclude: Iterable[Region], wanted: Filter
    ) -> list[tuple[Chunk, FloatArray]]:
        conditions = [
            f"NOT (path = {_quoted(r.path)} AND start_line <= {r.last_line} AND end_line >= {r.first_line})"
            for r in exclude
        ]
        if wanted.languages:
            conditions.append(f"language IN ({', '.join(map(_quoted, wanted.languages))})")
        if wanted.paths:
            conditions.append(f"regexp_like(path, {_quoted('|'.join(map(to_regex, wanted.paths)))})")
        if conditions:
            query = query.where(" AND ".join(conditions), prefilter=True)
        return self._found(query.select([*CHUNK_FIELDS, "vector", score]).limit(limit).to_arrow())

    def _found(self, table: pa.Table) -> list[tuple[Chunk, FloatArray]]:
        flat = table["vector"].combine_chunks().flatten().to_numpy()
        vectors = flat.reshape(-1, self._key.dimensions).astype(np.float32)
        chunks = [Chunk(**row) for row in table.select(CHUNK_FIELDS).to_pylist()]
        for chunk in chunks:
            if digest(chunk.text) != chunk.content_hash:
                raise StoreDamaged(f"the stored text of {chunk.path} is not what was written")
        return list(zip(chunks, vectors, strict=True))

    def hashes(self, paths: Sequence[str]) -> dict[str, frozenset[str]]:
        """The content hashes of the chunks of these files; a file without chunks is left out."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        with self._guarded():
            for some in _alternatives(paths):
                query = self._chunks.search().where(f"path IN ({some})").select(["path", "content_hash"]).limit(None)
                for row in query.to_arrow().to_pylist():
                    found[row["path"]].add(row["content_hash"])
        return {path: frozenset(hashes) for path, hashes in found.items()}

    def sample(self, count: int, seed: int) -> list[tuple[Chunk, FloatArray]]:
        """Up to `count` chunks of different content, in an order that depends on content and seed alone.

        Of all chunks only the hashes are read: they are as good as random numbers, the seed turns them into others.
        """
        turn = int(digest(str(seed))[:16], 16)

        def order(content_hash: str) -> int:
            return int(content_hash[:16], 16) ^ turn

        with self._guarded():
            listed = self._chunks.search().select(["content_hash"]).limit(None).to_arrow()["content_hash"]
            wanted = heapq.nsmallest(count, listed.unique().to_pylist(), key=order)
            found: list[tuple[Chunk, FloatArray]] = []
            for some in _alternatives(wanted):
                query = self._chunks.search().where(f"content_hash IN ({some})").select([*CHUNK_FIELDS, "vector"])
                found += self._found(query.limit(None).to_arrow())
        # Of chunks with the same content the first in the repository stands for all.
        found.sort(key=lambda row: (row[0].path, row[0].start_line), reverse=True)
        first = {chunk.content_hash: (chunk, vector) for chunk, vector in found}
        return [first[content_hash] for content_hash in wanted if content_hash in first]

    def texts(self) -> Iterator[tuple[str, str, str]]:
        """(path, column, text) of all that is stored of every file as text: its code, and what it is found by."""
        columns = ["text", "header", "symbol", "terms"]
        with self._guarded():
            rows = self._chunks.search().select(["path", *columns]).limit(None).to_arrow()
            files = self.files().values()
        for batch in rows.to_batches():
            for column in columns:
                paths, texts = batch["path"].to_pylist(), batch[column].to_pylist()
                yield from ((path, column, text) for path, text in zip(paths, texts, strict=True))
        yield from ((row.path, "path", f"{row.path}\n{row.detail}") for row in files)

    @property
    def revision(self) -> str:
        """Another one after every write."""
        with self._guarded():
            return f"{self.generation}:{self._files.version}:{self._chunks.version}"

    def bytes_on_disk(self) -> int:
        """The size of everything in the store's folder."""
        size = 0
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # another process tidies up
                size += path.stat().st_size if path.is_file() else 0
        return size


def exists(folder: Path) -> bool:
    """Whether a store was made here and described; what it holds may still be damaged."""
    return (folder / _META).exists()


def stored_texts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """(table and version, column, text) of all that a store holds as text, in every version that is left of its tables.

    Raises:
        StoreDamaged: it cannot be read.
    """
    with translated(folder):
        database = lancedb.connect(folder / "tables")
        for name in database.list_tables().tables:
            table = database.open_table(name)
            columns = [field.name for field in table.schema if pa.types.is_string(field.type)]
            for version in table.list_versions():
                table.checkout(version["version"])
                for batch in table.search().select(columns).limit(None).to_arrow().to_batches():
                    for column, values in zip(columns, batch.columns, strict=True):
                        yield from (
                            (f"{name}@{version['version']}", column, text) for text in values.to_pylist() if text
                        )


def wipe(folder: Path) -> None:
    """Delete a store; it is rebuilt from the user's files.

    Raises:
        StoreUnavailable: it cannot be deleted.
    """
    with translated(folder):
        if folder.exists():
            shutil.rmtree(folder)


def _alternatives(values: Sequence[str]) -> Iterator[str]:
    """`'a', 'b', ..`, some hundred at a time: for `IN` in a condition."""
    for start in range(0, len(values), _ALTERNATIVES):
        yield ", ".join(_quoted(value) for value in values[start : start + _ALTERNATIVES])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
