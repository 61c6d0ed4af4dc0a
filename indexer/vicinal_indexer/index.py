"""The façade: one repository's index.

Owns when files are read, what is written in which batch, who may write, and what happens when the store cannot be
trusted. Everything else is asked of the other rooms. User files are only read.

Any number of processes may have an index open and search it. One at a time writes, holding the lock file; a process
that wants a sync while another one holds the lock asks that one by a cookie, and waits for the answer or the lock.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from filelock import FileLock, Timeout

from vicinal_indexer import cookies, languages, store
from vicinal_indexer.atomic import private_folder
from vicinal_indexer.batch import Batch
from vicinal_indexer.chunks import CHUNKER_VERSION
from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.errors import InputError, StoreDamaged, StoreLocked, StoreUnavailable, WrittenByLater
from vicinal_indexer.files import EVERYTHING, read_text, walk
from vicinal_indexer.notebook import source_text
from vicinal_indexer.plan import Plan, plan
from vicinal_indexer.reports import all_skips, indexed, is_racy, report_from
from vicinal_indexer.rows import SCHEMA_VERSION
from vicinal_indexer.search import find_candidates
from vicinal_indexer.store import Store, StoreKey
from vicinal_indexer.stored import folder_of
from vicinal_indexer.traces import telling, texts_on_disk
from vicinal_indexer.types import (
    Candidate,
    FileStat,
    Filter,
    FloatArray,
    Glance,
    IndexStatus,
    Progress,
    Region,
    Skipped,
    SyncReport,
)
from vicinal_indexer.workers import FEW_FILES, batches, isolated_batches
from vicinal_indexer.writer import Writer

WAIT_SECONDS = 0.05
READ_PAUSES = (0.0, 0.05, 0.2, 0.5)
"""Seconds before a reader looks again: it may find a file gone because the writer has tidied up in between."""

Answer = TypeVar("Answer")
OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing."""


class RepositoryIndex:
    """The index of one repository; open it with `open`, close it or use it as a context manager."""

    def __init__(self, root: Path, folder: Path, embedder: Embedder) -> None:
        self.root = root
        self.folder = folder
        self.cookies = folder.with_name(f"{folder.name}.cookies")
        self._embedder = embedder
        self._key = StoreKey(SCHEMA_VERSION, embedder.name, embedder.dimensions, CHUNKER_VERSION)
        self._rebuilt_because: str | None = None
        self._store: Store | None = None
        # Not thread-local: whichever thread of this process took it, this index is the writer.
        self._lock = FileLock(f"{folder}.lock", thread_local=False)
        self._locking = threading.Lock()  # filelock counts, but not for many threads at once
        self._writing = threading.RLock()  # one thread of it at a time
        if self._acquire():
            try:
                with suppress(WrittenByLater):  # told when it is used; who wants to can `rebuild`
                    self._open_for_writing()
            finally:
                self._release()

    @classmethod
    def open(cls, root: Path, data_dir: Path, embedder: Embedder | None = None) -> Self:
        """Open or make the index of `root`, under `data_dir`, never inside the repository.

        Raises:
            InputError: `root` is no folder.
            StoreUnavailable: `data_dir` cannot be written.
        """
        if not root.is_dir():
            raise InputError(f"{root} is not a folder", hint="name the repository's folder")
        resolved = root.resolve()
        return cls(resolved, folder_of(resolved, data_dir), embedder or StaticEmbedder())

    def _acquire(self) -> bool:
        """Take the writer's lock if it is free."""
        try:
            with _translated(self.folder.parent), self._locking:
                private_folder(self.folder.parent)
                self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def _release(self) -> None:
        with self._locking:
            self._lock.release()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Stay the writer for the time of the block.

        Raises:
            StoreLocked: another process is it.
        """
        if not self._acquire():
            raise StoreLocked(f"another vicinal keeps the index of {self.root} fresh", hint="use that one, or end it")
        try:
            yield
        finally:
            self._release()

    def _open_for_writing(self) -> Store:
        """The store, repaired and current; built anew if it cannot be trusted. The caller holds the lock."""
        try:
            opened = self._open()
            opened.repair()  # another writer may have died since it was opened
        except StoreDamaged as error:
            return self._start_anew(error)
        return opened

    def _open_for_reading(self) -> Store:
        if not store.exists(self.folder):
            raise StoreDamaged("the index is not there")  # only a writer may make it
        return self._open()

    def _open(self) -> Store:
        if self._store is None or not self._store.is_current or self._store.was_refused:
            self._store = Store(self.folder, self._key)
        return self._store

    def _start_anew(self, error: StoreDamaged) -> Store:
        self._rebuilt_because = error.message
        self._store = None
        with self._last_resort():
            store.wipe(self.folder)
            self._store = Store(self.folder, self._key)
        return self._store

    @contextmanager
    def _last_resort(self) -> Iterator[None]:
        """What is damaged while it is built anew is not the store's fault but the disk's."""
        try:
            yield
        except StoreDamaged as error:
            self._store = None
            raise StoreUnavailable(
                f"the index in {self.folder} cannot be built anew: {error.message}",
                hint="if it recurs the disk may be failing: check it, or set index.data_dir to another folder",
            ) from error

    def rebuild(self, progress: OnProgress = ignore) -> SyncReport:
        """Throw the store away and index everything anew.

        Raises:
            StoreLocked: another process is writing.
            StoreUnavailable: the store cannot be written.
        """
        with self.holding(), self._writing:
            self._start_anew(StoreDamaged("it was asked for"))
            return self.sync(progress)

    def verify(self, progress: OnProgress = ignore) -> SyncReport:
        """Compare every byte of the store with what was written, build it anew if one differs, and sync.

        Opening a store does so up to `seal.HASHED_BYTES`; of a larger one it looks at sizes and times only.

        Raises:
            StoreLocked: another process is writing.
            StoreUnavailable: the store cannot be written.
        """
        with self.holding(), self._writing:
            progress(Progress("verify", 0, 0))
            opened = self._open_for_writing()
            try:
                opened.verify()
            except StoreDamaged as error:
                self._start_anew(error)
            return self.sync(progress)

    def sync(self, progress: OnProgress = ignore, *, scope: Collection[str] = EVERYTHING) -> SyncReport:
        """Bring the store up to date with the files; only what looks changed is read.

        Where another process holds the lock, it is asked to, and this call waits until that is done.

        Args:
            progress: may raise to end the sync; what was written so far is consistent.
            scope: paths of the files or folders to look at, relative to the root; all if not given.

        Raises:
            StoreUnavailable: the store cannot be written; what was written so far is consistent.
            WrittenByLater: the store is a later version's; it is left as it is.
            InputError: the root has gone; the index is kept as it is.
        """
        if self._acquire():
            return self._sync_and_release(progress, scope)
        return self._sync_through_owner(progress)

    def _sync_and_release(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        try:
            return self._sync(progress, scope)
        finally:
            self._release()

    def _sync_through_owner(self, progress: OnProgress) -> SyncReport:
        with _translated(self.cookies), cookies.asking(self.cookies) as cookie:
            while True:
                progress(Progress("wait", 0, 0))
                if (said := cookie.answer()) is not None:
                    return report_from(said)
                if self._acquire():
                    return self._sync_and_release(progress, EVERYTHING)
                time.sleep(WAIT_SECONDS)

    def answer_cookies(self, progress: OnProgress = ignore) -> SyncReport | None:
        """Scan everything if another process has asked for it, and say so; the caller is `holding`."""
        with _translated(self.cookies):
            waiting = cookies.asked(self.cookies)
        if not waiting:
            return None
        report = self.sync(progress)
        with _translated(self.cookies):
            for cookie in waiting:
                cookies.answer(cookie, asdict(report))
        return report

    def _sync(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        self.check_root()
        with self._writing:
            return self._sync_alone(progress, scope)

    def _sync_alone(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        started = time.perf_counter()
        opened = self._open_for_writing()
        try:
            done, skipped = self._bring_up_to_date(opened, progress, scope)
        except StoreDamaged as error:
            opened = self._start_anew(error)
            with self._last_resort():
                done, skipped = self._bring_up_to_date(opened, progress, EVERYTHING)
        rows = opened.files()
        report = SyncReport(
            indexed(rows),
            len(done.add),
            len(done.replace),
            len(done.drop),
            opened.count_chunks(),
            all_skips(skipped, rows),
            time.perf_counter() - started,
            self._rebuilt_because,
        )
        self._rebuilt_because = None
        return report

    def check_root(self) -> None:
        """Whether the repository is still there: an unmounted disk must not look like a repository without files.

        Raises:
            InputError: it is not.
        """
        if not self.root.is_dir():
            raise InputError(
                f"{self.root} is no longer there", hint="its index is kept; come back when the folder is back"
            )

    def _bring_up_to_date(
        self, opened: Store, progress: OnProgress, scope: Collection[str]
    ) -> tuple[Plan, list[Skipped]]:
        """Carry out the plan; what comes back is what was really new, replaced and dropped."""
        progress(Progress("scan", 0, 0))
        stats, skipped = walk(self.root, scope)
        self.check_root()  # had it gone meanwhile, everything would look deleted
        rows = opened.files()
        todo = plan(stats, {path: row.stat for path, row in rows.items() if _is_in(path, scope)})
        opened.remove(todo.drop)
        changed = [*todo.add, *todo.replace]
        writer = Writer(opened, rows)
        seen = 0
        progress(Progress("index", 0, len(changed)))
        for batch in self._read(changed):
            writer.take(batch.rows, batch.chunks)
            seen += len(batch.rows)
            progress(Progress("index", seen, len(changed)))
        writer.flush()
        vanished = {stat.path for stat in changed} - writer.seen
        opened.remove(sorted(vanished & rows.keys()))
        progress(Progress("index", len(changed), len(changed)))
        if len(changed) + len(todo.drop) >= FEW_FILES or opened.is_untidy:
            self._tidy(opened, progress)
        if not opened.sealed:
            opened.seal()
        return Plan(todo.add, tuple(s for s in todo.replace if s.path in writer.replaced), todo.drop), skipped

    def _read(self, changed: Sequence[FileStat]) -> Iterator[Batch]:
        """The rows of files. Should reading one kill this process, the next one reads at a safe distance.

        A crash in a parser's native code cannot be caught. A marker file tells that reading began and did not end.
        """
        if not changed:
            return
        marker = self.folder.with_name(f"{self.folder.name}.reading")
        with _translated(marker):
            died = marker.exists() and self._embedder.in_workers
            marker.touch()
        try:
            yield from (isolated_batches if died else batches)(self.root, changed, self._embedder)
        finally:  # an error, or a sync that was ended, is no crash
            with suppress(OSError):  # it stays, and the next read is only slower
                marker.unlink(missing_ok=True)

    def tidy(self, progress: OnProgress = ignore) -> None:
        """Compact what many small syncs left behind, if anything; the caller is `holding`."""
        with self._writing:
            opened = self._open_for_writing()
            self._tidy(opened, progress)
            opened.seal()

    def _tidy(self, opened: Store, progress: OnProgress) -> None:
        progress(Progress("optimize", 0, 0))
        opened.tidy()

    def telling(self, paths: Collection[str]) -> frozenset[str]:
        """The lines of these files and folders, stored or on disk, that no other indexed file has.

        Raises:
            IndexingError: the store cannot be read.
        """
        stored = list(self._ask(lambda opened: list(opened.texts()))) if store.exists(self.folder) else []
        own = [text for path, column, text in stored if column == "text" and _is_in(path, paths)]
        others = (text for path, _, text in stored if not _is_in(path, paths))
        return telling([*own, *texts_on_disk(self.root, paths)], others)

    def forget(self, paths: Collection[str], progress: OnProgress = ignore) -> tuple[str, ...]:
        """Remove files and folders so that no byte of them stays in the store; returns the files that it held.

        They come back with the next sync unless an ignore file leaves them out.

        Args:
            paths: relative to the root, with `/`.

        Raises:
            StoreLocked: another process is writing.
            StoreUnavailable: the store cannot be written.
        """
        with self.holding(), self._writing:
            opened = self._open_for_writing()
            try:
                gone = tuple(sorted(path for path in opened.files() if _is_in(path, paths)))
                opened.remove(gone)
                opened.rewrite()
            except StoreDamaged as error:
                self._start_anew(error)  # what cannot be sorted goes as a whole
                return ()
            self._tidy(opened, progress)
            opened.seal()
            return gone

    def search(
        self, text: str, *, limit: int = 200, exclude: Sequence[Region] = (), wanted: Filter | None = None
    ) -> list[Candidate]:
        """Chunks for `text`, best first; none touches an excluded region, no content comes twice.

        A store that turns out to be damaged is rebuilt from the files first; the next sync's report says so.

        Raises:
            StoreUnavailable: the damaged store cannot be rebuilt.
            StoreLocked: another process is building the store.
        """
        return self._ask(
            lambda opened: find_candidates(
                opened, self._embedder, text, limit=limit, exclude=exclude, wanted=wanted or Filter()
            )
        )

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """(n, d): the vectors of queries, comparable with those of candidates."""
        vectors: FloatArray = self._embedder.embed(texts)
        return vectors

    def _ask(self, question: Callable[[Store], Answer]) -> Answer:
        """Ask the store; look again if it is in motion, and rebuild it if it is damaged."""
        for pause in READ_PAUSES:
            try:
                return question(self._open_for_reading())
            except StoreDamaged:
                self._store = None
                time.sleep(pause)
        with self.holding(), self._writing:
            try:
                self._sync(ignore, EVERYTHING)
                return question(self._open_for_writing())
            except StoreDamaged as error:
                self._start_anew(error)
            self._sync(ignore, EVERYTHING)
            return question(self._open_for_writing())

    def hashes(self, paths: Collection[str]) -> dict[str, frozenset[str]]:
        """The content hashes of the chunks of each of these files; a file without chunks is left out."""
        return self._ask(lambda opened: opened.hashes(sorted(paths)))

    def sample(self, count: int, seed: int) -> list[Candidate]:
        """Up to `count` chunks of different content, in random order; the same for the same content and seed.

        An edit changes the sample only where it changes a chunk that is in it, or brings one that belongs into it.
        """
        return self._ask(
            lambda opened: [Candidate(chunk, vector, None, None) for chunk, vector in opened.sample(count, seed)]
        )

    def glance(self) -> Glance:
        """How much the store holds now; the files are not looked at."""
        return self._ask(
            lambda opened: Glance(
                opened.revision, indexed(opened.files()), opened.count_chunks(), opened.bytes_on_disk()
            )
        )

    def texts(self) -> Iterator[tuple[str, str]]:
        """(path, text) of every indexed file that has chunks and is still there, by path."""
        for path, row in sorted(self._ask(Store.files).items()):
            text = read_text(self.root, path) if row.chunks else None
            if isinstance(text, str):
                yield path, text

    def digests(self) -> dict[str, str]:
        """The digest of every indexed file that has chunks, as it was read, by path."""
        return {path: row.content_hash for path, row in sorted(self._ask(Store.files).items()) if row.chunks}

    def source(self, path: str) -> str | None:
        """What counts of an indexed file as it is now: its text, of a notebook the cells' sources.

        None if it must not be read any more (it holds a secret by now) or is gone.
        """
        text = read_text(self.root, path)
        if isinstance(text, Skipped):
            return None
        cells = source_text(text) if languages.detect(path) == languages.NOTEBOOK else None
        return text if cells is None else cells

    def sources(self) -> Iterator[tuple[str, str]]:
        """(path, what counts of it) of every file in `digests`, by path."""
        for path in self.digests():
            if (text := self.source(path)) is not None:
                yield path, text

    def status(self) -> IndexStatus:
        """What the store holds, and what has changed on disk since; nothing is read but listings."""
        rows, chunks, size = self._ask(lambda opened: (opened.files(), opened.count_chunks(), opened.bytes_on_disk()))
        stats, skipped = walk(self.root)
        todo = plan(stats, {path: row.stat for path, row in rows.items()})
        return IndexStatus(
            self.root,
            self.folder,
            indexed(rows),
            chunks,
            size,
            SCHEMA_VERSION,
            self._embedder.name,
            all_skips(skipped, rows),
            len(todo.add) + sum(not is_racy(rows[stat.path], stat) for stat in todo.replace) + len(todo.drop),
            self._is_held(),
        )

    def _is_held(self) -> bool:
        if self._acquire():
            self._release()
            return False
        return True

    def close(self) -> None:
        """Let go of everything."""
        self._store = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _translated(place: Path) -> Iterator[None]:
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


def _is_in(path: str, scope: Collection[str]) -> bool:
    return any(not part or path == part or path.startswith(f"{part}/") for part in scope)
