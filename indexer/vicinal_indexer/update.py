"""Files into an open store: what looks changed is read, what has gone is removed.

Owns when files are read and what is written in which batch. It does not know who may write, nor what becomes of a store
that is damaged.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vicinal_indexer.batch import Batch
from vicinal_indexer.embed import Embedder
from vicinal_indexer.errors import InputError
from vicinal_indexer.files import walk
from vicinal_indexer.lock import writing_beside
from vicinal_indexer.plan import Plan, plan
from vicinal_indexer.store import Store
from vicinal_indexer.types import FileStat, Progress, Skipped
from vicinal_indexer.workers import FEW_FILES, batches, isolated_batches
from vicinal_indexer.writer import Writer

OnProgress = Callable[[Progress], None]


def ignore(progress: Progress) -> None:
    """Show nothing."""


def check_root(root: Path) -> None:
    """Whether the repository is still there: an unmounted disk must not look like a repository without files.

    Raises:
        InputError: it is not.
    """
    if not root.is_dir():
        raise InputError(f"{root} is no longer there", hint="its index is kept; come back when the folder is back")


def bring_up_to_date(
    opened: Store, root: Path, folder: Path, embedder: Embedder, progress: OnProgress, scope: Collection[str]
) -> tuple[Plan, list[Skipped]]:
    """Look at what is in `scope`; what comes back is what was really new, replaced and dropped, and what was left out.

    Args:
        folder: of the store.
        scope: paths of files and folders relative to the root.

    Raises:
        InputError: the root has gone.
        StoreDamaged, StoreUnavailable: the store cannot be read or written.
    """
    progress(Progress("scan", 0, 0))
    stats, skipped = walk(root, scope)
    check_root(root)  # had it gone meanwhile, everything would look deleted
    rows = opened.files()
    todo = plan(stats, {path: row.stat for path, row in rows.items() if is_in(path, scope)})
    opened.remove(todo.drop)
    changed = [*todo.add, *todo.replace]
    writer = Writer(opened, rows)
    seen = 0
    progress(Progress("index", 0, len(changed)))
    for batch in _read(root, folder, embedder, changed):
        writer.take(batch.rows, batch.chunks)
        seen += len(batch.rows)
        progress(Progress("index", seen, len(changed)))
    writer.flush()
    vanished = {stat.path for stat in changed} - writer.seen
    opened.remove(sorted(vanished & rows.keys()))
    progress(Progress("index", len(changed), len(changed)))
    if len(changed) + len(todo.drop) >= FEW_FILES or opened.is_untidy:
        tidy(opened, progress)
    if not opened.sealed:
        opened.seal()
    return Plan(todo.add, tuple(s for s in todo.replace if s.path in writer.replaced), todo.drop), skipped


def tidy(opened: Store, progress: OnProgress) -> None:
    """Compact what many small syncs left behind."""
    progress(Progress("optimize", 0, 0))
    opened.tidy()


def is_in(path: str, scope: Collection[str]) -> bool:
    """Whether a path is one of these files, or below one of these folders; "" is the root."""
    return any(not part or path == part or path.startswith(f"{part}/") for part in scope)


def _read(root: Path, folder: Path, embedder: Embedder, changed: Sequence[FileStat]) -> Iterator[Batch]:
    """The rows of files. Should reading one kill this process, the next one reads at a safe distance.

    A crash in a parser's native code cannot be caught. A marker file tells that reading began and did not end.
    """
    if not changed:
        return
    marker = folder.with_name(f"{folder.name}.reading")
    with writing_beside(marker):
        died = marker.exists() and embedder.in_workers
        marker.touch()
    try:
        yield from (isolated_batches if died else batches)(root, changed, embedder)
    finally:  # an error, or a sync that was ended, is no crash
        with suppress(OSError):  # it stays, and the next read is only slower
            marker.unlink(missing_ok=True)
