"""An index that nobody has open: where it lies, what it holds, and how it goes.

Owns the names of what belongs to an index on disk. It does not know how one is opened.
"""

import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from vicinal_indexer import store
from vicinal_indexer.errors import StoreLocked, StoreUnavailable
from vicinal_indexer.traces import telling
from vicinal_indexer.types import digest


def erase(root: Path, data_dir: Path) -> bool:
    """Delete the index of a repository, which need not be there any more; whether there was one.

    Raises:
        StoreLocked: a process keeps it fresh.
        StoreUnavailable: it cannot be deleted.
    """
    folder = folder_of(root.resolve(), data_dir)
    if not folder.exists():
        return False
    try:
        with FileLock(f"{folder}.lock", timeout=0):
            store.wipe(folder)
            shutil.rmtree(folder.with_name(f"{folder.name}.cookies"), ignore_errors=True)
            folder.with_name(f"{folder.name}.reading").unlink(missing_ok=True)
    except Timeout as error:
        raise StoreLocked(f"another vicinal keeps the index of {root} fresh", hint="end it, and try again") from error
    except OSError as error:
        raise StoreUnavailable(
            f"the index in {folder} cannot be deleted: {error}", hint="mend its permissions"
        ) from error
    return True


def stored_lines(root: Path, data_dir: Path) -> frozenset[str]:
    """The lines that could tell a repository's code, as far as its index holds it; empty without an index.

    Raises:
        StoreDamaged: it cannot be read.
    """
    folder = folder_of(root.resolve(), data_dir)
    if not store.exists(folder):
        return frozenset()
    return telling((text for _, column, text in store.stored_texts(folder) if column == "text"), ())


def folder_of(resolved: Path, data_dir: Path) -> Path:
    """Where the index of a repository lies."""
    return data_dir / "stores" / f"{resolved.name or 'root'}-{digest(str(resolved))[:16]}"
