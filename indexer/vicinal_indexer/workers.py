"""Worker processes that turn files into rows, at low priority.

Owns the processes: how many there are, what they may hold in memory, and what happens when one of them dies. A file
that kills its worker (a crash in a parser's native code) is recorded as skipped, and the others go on.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path

from vicinal_indexer.batch import Batch, read_batch
from vicinal_indexer.embed import Embedder
from vicinal_indexer.priority import step_behind_all
from vicinal_indexer.rows import FileRow, chunk_table
from vicinal_indexer.types import FileStat, SkipReason

FEW_FILES = 150
"""Fewer are read in the caller's process: starting a worker takes longer."""

MAX_WORKERS = 4
NICENESS = 10
GROUP_BYTES = 400_000
GROUP_FILES = 64
_IN_FLIGHT = 2  # groups a worker: enough to keep it busy, few enough to bound the memory

_job: tuple[Path, Embedder]


def batches(root: Path, stats: Sequence[FileStat], embedder: Embedder) -> Iterator[Batch]:
    """The rows of all files, in their order, some files at a time; few files are read in this process."""
    if len(stats) < FEW_FILES or not embedder.in_workers:
        for group in _groups(stats):
            yield read_batch(root, group, embedder)
    else:
        yield from isolated_batches(root, stats, embedder)


def isolated_batches(root: Path, stats: Sequence[FileStat], embedder: Embedder) -> Iterator[Batch]:
    """The same by worker processes alone: no file can kill this process."""
    count = min(os.cpu_count() or 1, MAX_WORKERS, 1 + len(stats) // FEW_FILES)
    waiting = deque(_groups(stats))
    while waiting:
        yield from _pool(root, waiting, embedder, count)


def _groups(stats: Iterable[FileStat]) -> Iterator[list[FileStat]]:
    group: list[FileStat] = []
    size = 0
    for stat in stats:
        group.append(stat)
        size += stat.size
        if size >= GROUP_BYTES or len(group) >= GROUP_FILES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _pool(root: Path, waiting: deque[list[FileStat]], embedder: Embedder, count: int) -> Iterator[Batch]:
    """Work off `waiting` until it is empty or a worker dies; then the groups at work are done one file at a time."""
    working: deque[tuple[list[FileStat], Future[Batch]]] = deque()
    # Else they import from the folder that somebody stands in, which may be a repository with a multiprocessing.py.
    os.environ["PYTHONSAFEPATH"] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_start, initargs=(root, embedder)) as pool:
        try:
            while waiting or working:
                while waiting and len(working) < count * _IN_FLIGHT:
                    working.append((waiting[0], pool.submit(_work, waiting[0])))
                    waiting.popleft()
                yield working[0][1].result()
                working.popleft()
        except BrokenProcessPool:
            pass
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    for group, _ in working:
        for stat in group:
            yield _alone(root, stat, embedder, context)


def _alone(root: Path, stat: FileStat, embedder: Embedder, context: multiprocessing.context.SpawnContext) -> Batch:
    """The rows of one file by a worker of its own, which it may kill."""
    try:
        with ProcessPoolExecutor(1, context, initializer=_start, initargs=(root, embedder)) as pool:
            return pool.submit(_work, [stat]).result()
    except BrokenProcessPool:
        row = FileRow(
            stat.path, stat.size, stat.mtime_ns, "", 0, SkipReason.CRASHED.value, "reading it killed the process"
        )
        return Batch((row,), chunk_table([], [], embedder.embed([])))


def _start(root: Path, embedder: Embedder) -> None:
    global _job
    _job = root, embedder
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    threading.Thread(target=_die_with_parent, daemon=True).start()
    step_behind_all(NICENESS)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(stats: list[FileStat]) -> Batch:
    root, embedder = _job
    return read_batch(root, stats, embedder)
