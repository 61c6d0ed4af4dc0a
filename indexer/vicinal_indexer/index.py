"""The façade: one repository's index.

Owns when files are read, what is written in which batch, and what happens when the store cannot be trusted. Everything
else is asked of the other rooms. User files are only read.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from vicinal_indexer import languages, store
from vicinal_indexer.chunks import CHUNKER_VERSION, chunk
from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.errors import InputError, StoreDamaged, StoreLocked, StoreUnavailable
from vicinal_indexer.files import read_text, walk
from vicinal_indexer.plan import plan
from vicinal_indexer.search import find_candidates
from vicinal_indexer.store import SCHEMA_VERSION, FileRow, Store, StoreKey
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import (
    Candidate,
    Chunk,
    FileStat,
    IndexStatus,
    Progress,
    Region,
    Skipped,
    SkipReason,
    SyncReport,
    digest,
)

BATCH_CHUNKS = 2_000
LOCK_SECONDS = 10
RACY_NS = 2_000_000_000
"""A file that changed this short before it was read may change again within the clock's grain: read it again."""

Answer = TypeVar("Answer")
OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing."""


class RepositoryIndex:
    """The index of one repository; open it with `open`, close it or use it as a context manager."""

    def __init__(self, root: Path, folder: Path, embedder: Embedder) -> None:
        self.root = root
        self.folder = folder
        self._embedder = embedder
        self._key = StoreKey(SCHEMA_VERSION, embedder.name, embedder.dimensions, CHUNKER_VERSION)
        self._rebuilt_because: str | None = None
        self._skipped: tuple[Skipped, ...] = ()
        self._lock = FileLock(f"{folder}.lock")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=LOCK_SECONDS)
        except Timeout:
            raise StoreLocked(
                f"another vicinal is using the index of {root}", hint="wait until it is done, or end it"
            ) from None
        except OSError as error:
            raise StoreUnavailable(
                f"the index's folder {folder.parent} cannot be written: {error}",
                hint="mend its permissions or free disk space, or set index.data_dir to another folder",
            ) from error
        try:
            self._store = self._open_store()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def open(cls, root: Path, data_dir: Path, embedder: Embedder | None = None) -> Self:
        """Open or make the index of `root`, under `data_dir`, never inside the repository.

        Raises:
            InputError: `root` is no folder.
            StoreLocked: another process has it open.
            StoreUnavailable: `data_dir` cannot be written.
        """
        if not root.is_dir():
            raise InputError(f"{root} is not a folder", hint="name the repository's folder")
        resolved = root.resolve()
        name = f"{resolved.name or 'root'}-{digest(str(resolved))[:16]}"
        return cls(resolved, data_dir / "stores" / name, embedder or StaticEmbedder())

    def _open_store(self) -> Store:
        try:
            opened = Store(self.folder, self._key)
            opened.repair()
        except StoreDamaged as error:
            return self._start_anew(error)
        return opened

    def _start_anew(self, error: StoreDamaged) -> Store:
        self._rebuilt_because = error.message
        store.wipe(self.folder)
        return Store(self.folder, self._key)

    def sync(self, progress: OnProgress = ignore) -> SyncReport:
        """Bring the store up to date with the files; only what looks changed is read.

        Raises:
            StoreUnavailable: the store cannot be written; what was written so far is consistent.
        """
        started = time.perf_counter()
        try:
            counts, skipped, rows = self._sync(progress)
        except StoreDamaged as error:
            self._store = self._start_anew(error)
            counts, skipped, rows = self._sync(progress)
        stored_skips = [Skipped(row.path, SkipReason(row.reason), row.detail) for row in rows.values() if row.reason]
        self._skipped = tuple(sorted([*skipped, *stored_skips], key=lambda skip: skip.path))
        report = SyncReport(
            sum(not row.reason for row in rows.values()),
            *counts,
            self._store.count_chunks(),
            self._skipped,
            time.perf_counter() - started,
            self._rebuilt_because,
        )
        self._rebuilt_because = None
        return report

    def _sync(self, progress: OnProgress) -> tuple[tuple[int, int, int], list[Skipped], dict[str, FileRow]]:
        progress(Progress("scan", 0, 0))
        stats, skipped = walk(self.root)
        rows = self._store.files()
        todo = plan(stats, {path: row.stat for path, row in rows.items()})
        self._store.remove(todo.drop)
        writer = _Writer(self._store, self._embedder)
        changed = [*todo.add, *todo.replace]
        replaced = 0
        for done, stat in enumerate(changed):
            progress(Progress("index", done, len(changed)))
            row, chunks = self._read(stat)
            old = rows.get(stat.path)
            if row is None:
                if old is not None:
                    self._store.remove([stat.path])
            elif old is not None and (row.content_hash, row.reason) == (old.content_hash, old.reason):
                writer.refresh(row)
            else:
                replaced += old is not None
                writer.put(row, chunks, replaces=old is not None)
        progress(Progress("index", len(changed), len(changed)))
        writer.flush()
        if changed or todo.drop or not self._store.sealed:
            progress(Progress("optimize", 0, 0))
            self._store.compact()
            self._store.seal()
        return (len(todo.add), replaced, len(todo.drop)), skipped, self._store.files()

    def _read(self, stat: FileStat) -> tuple[FileRow | None, list[Chunk]]:
        text = read_text(self.root, stat.path)
        mtime = stat.mtime_ns if time.time_ns() - stat.mtime_ns > RACY_NS else -1
        if isinstance(text, Skipped):
            if text.reason is SkipReason.VANISHED:
                return None, []
            return FileRow(stat.path, stat.size, mtime, "", 0, text.reason.value, text.detail), []
        chunks = chunk(stat.path, text, languages.detect(stat.path, text[:200]))
        return FileRow(stat.path, stat.size, mtime, digest(text), len(chunks), "", ""), chunks

    def search(self, text: str, *, limit: int = 200, exclude: Sequence[Region] = ()) -> list[Candidate]:
        """Chunks for `text`, best first; none touches an excluded region, no content comes twice.

        A store that turns out to be damaged is rebuilt from the files first; the next sync's report says so.

        Raises:
            StoreUnavailable: the damaged store cannot be rebuilt.
        """
        return self._ask(lambda: find_candidates(self._store, self._embedder, text, limit=limit, exclude=exclude))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        """Ask the store; rebuild it once if it is damaged."""
        try:
            return question()
        except StoreDamaged as error:
            self._store = self._start_anew(error)
            self._sync(ignore)
            return question()

    def texts(self) -> Iterator[tuple[str, str]]:
        """(path, text) of every indexed file that has chunks and is still there, by path."""
        for path, row in sorted(self._ask(lambda: self._store.files()).items()):
            text = read_text(self.root, path) if row.chunks else None
            if isinstance(text, str):
                yield path, text

    def status(self) -> IndexStatus:
        """What the store holds."""
        rows, chunks = self._ask(lambda: (self._store.files(), self._store.count_chunks()))
        return IndexStatus(
            self.root,
            self.folder,
            sum(not row.reason for row in rows.values()),
            chunks,
            self._store.bytes_on_disk(),
            SCHEMA_VERSION,
            self._embedder.name,
            self._skipped,
        )

    def close(self) -> None:
        """Let others write."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Writer:
    """Collects what a sync writes into batches, so that memory is bounded and versions are few."""

    def __init__(self, store: Store, embedder: Embedder) -> None:
        self._store = store
        self._embedder = embedder
        self._clear()

    def _clear(self) -> None:
        self._rows: list[FileRow] = []
        self._chunks: list[Chunk] = []
        self._replaced: list[str] = []
        self._refreshed: list[FileRow] = []

    def put(self, row: FileRow, chunks: Sequence[Chunk], *, replaces: bool) -> None:
        self._rows.append(row)
        self._chunks.extend(chunks)
        if replaces:
            self._replaced.append(row.path)
        if len(self._chunks) >= BATCH_CHUNKS:
            self.flush()

    def refresh(self, row: FileRow) -> None:
        self._refreshed.append(row)

    def flush(self) -> None:
        if self._refreshed:
            self._store.refresh(self._refreshed)
        if self._rows:
            self._store.remove(self._replaced)
            texts = [f"{c.path}\n{c.symbol}\n{c.text}" for c in self._chunks]
            words = [" ".join(subwords(text)) for text in texts]
            self._store.put(self._rows, self._chunks, words, self._embedder.embed(texts))
        self._clear()
