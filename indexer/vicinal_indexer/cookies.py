"""Cookies: how one process asks the process that keeps an index fresh to prove that everything up to now is indexed.

Owns the request and answer files next to the store. The owner answers a cookie only after a full scan that began when
the cookie already lay there; so every file as it was when the cookie was laid has been seen, whatever events were lost.
It does not know what a scan is.
"""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vicinal_indexer.atomic import replace_text

_ASKED, _ANSWERED = ".ask", ".done"


@contextmanager
def asking(folder: Path) -> Iterator["Cookie"]:
    """Lay a cookie into `folder`, made if absent; it is taken away at the end.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cookie = Cookie(folder / uuid.uuid4().hex)
    cookie.lay()
    try:
        yield cookie
    finally:
        cookie.remove()


class Cookie:
    """One request. `path` has no suffix; the request and the answer add theirs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def lay(self) -> None:
        """Ask."""
        self._path.with_suffix(_ASKED).write_text(str(os.getpid()), encoding="utf-8")

    def answer(self) -> object | None:
        """What the owner said, None if it has not answered yet."""
        try:
            value: object = json.loads(self._path.with_suffix(_ANSWERED).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return value

    def remove(self) -> None:
        """Leave nothing behind."""
        for suffix in (_ASKED, _ANSWERED):
            self._path.with_suffix(suffix).unlink(missing_ok=True)


def asked(folder: Path) -> list[Path]:
    """The cookies that wait for an answer."""
    return sorted(folder.glob(f"*{_ASKED}"))


def answer(cookie: Path, value: object) -> None:
    """Answer a cookie from `asked`; one whose asker has gone is dropped."""
    replace_text(cookie.with_suffix(_ANSWERED), json.dumps(value))
    if not cookie.exists():  # the asker gave up in the meantime
        cookie.with_suffix(_ANSWERED).unlink(missing_ok=True)
    cookie.unlink(missing_ok=True)
