"""Small files that are replaced as a whole, and folders that are their user's alone.

Owns how that is done. It does not know what is in them.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, never a part.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):  # the first error says more
            temporary.unlink(missing_ok=True)
        raise


def private_folder(folder: Path) -> None:
    """Make a folder that nobody else can look into; one of the user's own that is there already is closed to others.

    The folder above it is made as private, but left as it is if it is there: it may be one that others use, too.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.stat()
    if hasattr(os, "getuid") and found.st_uid == os.getuid() and stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
