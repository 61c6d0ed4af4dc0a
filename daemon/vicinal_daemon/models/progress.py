"""How the long steps of this package report how far they are.

Owns the callback's shape and a meter for work whose only visible sign is a growing folder.
It does not know how progress is shown.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`: bytes for downloads and hashing, steps otherwise; `total` 0 means unknown.

It may be called from another thread than the caller's and must not raise."""

_POLL_SECONDS = 0.2


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing; the default where a caller shows no progress."""
    del stage, done, total


@contextmanager
def growing(folder: Path, stage: str, total: int, progress: Progress) -> Iterator[None]:
    """Report the bytes under `folder` while the body runs, and `total` when it ends without an error.

    Package and hub clients draw bars for people; the size of what they write is the one measure that every
    one of them gives.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            progress(stage, min(folder_bytes(folder), total), total)

    progress(stage, 0, total)
    meter = threading.Thread(target=watch, name=f"vicinal-{stage}-meter", daemon=True)
    meter.start()
    try:
        yield
    finally:
        ended.set()
        meter.join()
    progress(stage, total, total)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below `folder`; files that vanish while it looks count as nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
