"""The façade: one repository's index.

Owns what happens when the store cannot be trusted, and how processes that want a sync wait for the one that writes.
Everything else is asked of the other rooms. User files are only read.

Any number of processes may have an index open and search it. One at a time writes, holding the lock file; a process
that wants a sync while another one holds the lock asks that one by a cookie, and waits for the answer or the lock.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from vicinal_indexer import cookies, languages
from vicinal_indexer.chunks import CHUNKER_VERSION
from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.errors import InputError, StoreDamaged, WrittenByLater
from vicinal_indexer.files import EVERYTHING, read_text, walk
from vicinal_indexer.lock import WritingRight, writing_beside
from vicinal_indexer.notebook import source_text
from vicinal_indexer.opened import OpenStore
from vicinal_indexer.plan import Plan, plan
from vicinal_indexer.reports import all_skips, indexed, is_racy, report_from
from vicinal_indexer.rows import SCHEMA_VERSION
from vicinal_indexer.search import find_candidates
from vicinal_indexer.store import Store, StoreKey
from vicinal_indexer.stored import folder_of
from vicinal_indexer.traces import telling, texts_on_disk
from vicinal_indexer.types import (
    Candidate,
    Filter,
    FloatArray,
    Glance,
    IndexStatus,
    Progress,
    Region,
    Skipped,
    SyncReport,
)
from vicinal_indexer.update import OnProgress, bring_up_to_date, check_root, ignore, is_in, tidy

WAIT_SECONDS = 0.05
READ_PAUSES = (0.0, 0.05, 0.2, 0.5)
"""Seconds before a reader looks again: it may find a file gone because the writer has tidied up in between."""

Answer = TypeVar("Answer")


class RepositoryIndex:
    """The index of one repository; open it with `open`, close it or use it as a context manager."""

    def __init__(self, root: Path, folder: Path, embedder: Embedder) -> None:
        self.root = root
        self.folder = folder
        self.cookies = folder.with_name(f"{folder.name}.cookies")
        self._embedder = embedder
        self._right = WritingRight(folder)
        self._store = OpenStore(folder, StoreKey(SCHEMA_VERSION, embedder.name, embedder.dimensions, CHUNKER_VERSION))
        if self._right.take():
            try:
                with suppress(WrittenByLater):  # told when it is used; who wants to can `rebuild`
                    self._store.for_writing()
            finally:
                self._right.give_back()

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

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Stay the writer for the time of the block.

        Raises:
            StoreLocked: another process is it.
        """
        with self._right.held(f"the index of {self.root}"):
            yield

    def rebuild(self, progress: OnProgress = ignore) -> SyncReport:
        """Throw the store away and index everything anew.

        Raises:
            StoreLocked: another process is writing.
            StoreUnavailable: the store cannot be written.
        """
        with self.holding(), self._right.thread:
            self._store.start_anew(StoreDamaged("it was asked for"))
            return self.sync(progress)

    def verify(self, progress: OnProgress = ignore) -> SyncReport:
        """Compare every byte of the store with what was written, build it anew if one differs, and sync.

        Opening a store does so up to `seal.HASHED_BYTES`; of a larger one it looks at sizes and times only.

        Raises:
            StoreLocked: another process is writing.
            StoreUnavailable: the store cannot be written.
        """
        with self.holding(), self._right.thread:
            progress(Progress("verify", 0, 0))
            opened = self._store.for_writing()
            try:
                opened.verify()
            except StoreDamaged as error:
                self._store.start_anew(error)
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
        if self._right.take():
            return self._sync_and_release(progress, scope)
        return self._sync_through_owner(progress)

    def _sync_and_release(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        try:
            return self._sync(progress, scope)
        finally:
            self._right.give_back()

    def _sync_through_owner(self, progress: OnProgress) -> SyncReport:
        with writing_beside(self.cookies), cookies.asking(self.cookies) as cookie:
            while True:
                progress(Progress("wait", 0, 0))
                if (said := cookie.answer()) is not None:
                    return report_from(said)
                if self._right.take():
                    return self._sync_and_release(progress, EVERYTHING)
                time.sleep(WAIT_SECONDS)

    def answer_cookies(self, progress: OnProgress = ignore) -> SyncReport | None:
        """Scan everything if another process has asked for it, and say so; the caller is `holding`."""
        with writing_beside(self.cookies):
            waiting = cookies.asked(self.cookies)
        if not waiting:
            return None
        report = self.sync(progress)
        with writing_beside(self.cookies):
            for cookie in waiting:
                cookies.answer(cookie, asdict(report))
        return report

    def _sync(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        check_root(self.root)
        with self._right.thread:
            return self._sync_alone(progress, scope)

    def _sync_alone(self, progress: OnProgress, scope: Collection[str]) -> SyncReport:
        started = time.perf_counter()
        opened = self._store.for_writing()
        try:
            done, skipped = self._update(opened, progress, scope)
        except StoreDamaged as error:
            opened = self._store.start_anew(error)
            with self._store.last_resort():
                done, skipped = self._update(opened, progress, EVERYTHING)
        rows = opened.files()
        report = SyncReport(
            indexed(rows),
            len(done.add),
            len(done.replace),
            len(done.drop),
            opened.count_chunks(),
            all_skips(skipped, rows),
            time.perf_counter() - started,
            self._store.rebuilt_because,
        )
        self._store.rebuilt_because = None
        return report

    def check_root(self) -> None:
        """See `update.check_root`."""
        check_root(self.root)

    def _update(self, opened: Store, progress: OnProgress, scope: Collection[str]) -> tuple[Plan, list[Skipped]]:
        return bring_up_to_date(opened, self.root, self.folder, self._embedder, progress, scope)

    def tidy(self, progress: OnProgress = ignore) -> None:
        """Compact what many small syncs left behind, if anything; the caller is `holding`."""
        with self._right.thread:
            opened = self._store.for_writing()
            tidy(opened, progress)
            opened.seal()

    def telling(self, paths: Collection[str]) -> frozenset[str]:
        """The lines of these files and folders, stored or on disk, that no other indexed file has.

        Raises:
            IndexingError: the store cannot be read.
        """
        stored = list(self._ask(lambda opened: list(opened.texts()))) if self._store.exists else []
        own = [text for path, column, text in stored if column == "text" and is_in(path, paths)]
        others = (text for path, _, text in stored if not is_in(path, paths))
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
        with self.holding(), self._right.thread:
            opened = self._store.for_writing()
            try:
                gone = tuple(sorted(path for path in opened.files() if is_in(path, paths)))
                opened.remove(gone)
                opened.rewrite()
            except StoreDamaged as error:
                self._store.start_anew(error)  # what cannot be sorted goes as a whole
                return ()
            tidy(opened, progress)
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
                return question(self._store.for_reading())
            except StoreDamaged:
                self._store.let_go()
                time.sleep(pause)
        with self.holding(), self._right.thread:
            try:
                self._sync(ignore, EVERYTHING)
                return question(self._store.for_writing())
            except StoreDamaged as error:
                self._store.start_anew(error)
            self._sync(ignore, EVERYTHING)
            return question(self._store.for_writing())

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
            self._right.is_taken,
        )

    def close(self) -> None:
        """Let go of everything."""
        self._store.let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
