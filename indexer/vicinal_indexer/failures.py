"""What the file system and lance raise, in our words.

Owns which failures are the machine's and which are damage. It does not know what was being done.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vicinal_indexer.errors import StoreDamaged, StoreUnavailable, VicinalError

_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR}
EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Of the machine: what is stored may be as good as ever. A failing disk is not among them: what it no longer gives is
built anew elsewhere on it."""

_HINTS = {
    **dict.fromkeys(EXHAUSTED, "raise the limit of open files (ulimit -n) or close other programs"),
    **dict.fromkeys(
        _UNWRITABLE, "free some disk space or mend the permissions, or set index.data_dir to another folder"
    ),
}
_IN_WORDS = {
    "permission denied": errno.EACCES,
    "no space left": errno.ENOSPC,
    "read-only file system": errno.EROFS,
    "quota exceeded": errno.EDQUOT,
}
_RUST_ERRNO = re.compile(r"\(os error (\d+)\)")


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """Turn what is raised about the store in `folder` into our two words.

    Raises:
        StoreUnavailable: the machine does not let us.
        StoreDamaged: the store cannot be read.
    """
    try:
        yield
    except VicinalError:
        raise
    except BaseException as error:
        # A damaged file may surface as nearly anything, a Rust panic (no `Exception`) included.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        number = _errno(error)
        if number in _HINTS:
            raise StoreUnavailable(f"the index in {folder} cannot be used: {error}", hint=_HINTS[number]) from error
        raise StoreDamaged(f"the index in {folder} cannot be read: {error}") from error


def _errno(error: BaseException) -> int | None:
    """What the system said; lance passes it on in words."""
    if isinstance(number := getattr(error, "errno", None), int):
        return number
    words = str(error)
    if said := _RUST_ERRNO.search(words):
        return int(said[1])
    return next((number for word, number in _IN_WORDS.items() if word in words.lower()), None)
