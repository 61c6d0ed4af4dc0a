"""Leaving files out for good: lines at the end of a repository's `.vicinalignore`.

Owns a place where Vicinal writes into a repository, only ever because its user asked for it. It does not know why.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from vicinal_indexer.errors import InputError
from vicinal_indexer.files import walk
from vicinal_indexer.ignore import OWN_IGNORE

_BY_HAND = f"write them into {OWN_IGNORE} by hand"


def exclude(root: Path, paths: Collection[str]) -> tuple[str, ...]:
    """Have files or folders left out from now on; returns the lines that were added, none for what is left out already.

    Args:
        paths: relative to `root`, with `/`; they need not exist.

    Raises:
        InputError: the file is a link or cannot be written, a path cannot be written into it, or another ignore file
            takes the path back.
    """
    file = root / OWN_IGNORE
    try:
        before = _read(file)
        known = set(before.decode("utf-8", "replace").splitlines())
        added = tuple(line for line in map(_pattern, sorted(paths)) if not known & {line, f"{line}/"})
        if added:
            start = "\n" if before and not before.endswith(b"\n") else ""
            _append(file, start + "".join(f"{line}\n" for line in added))
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error}", hint=_BY_HAND) from error
    if back := sorted(_taken_back(root, paths)):
        raise InputError(
            f"{back[0]} is taken back by another ignore file", hint=f"remove the ! line that names it, or {_BY_HAND}"
        )
    return added


def _read(file: Path) -> bytes:
    try:
        with open(os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as opened:  # noqa: PTH123
            return opened.read()
    except FileNotFoundError:
        return b""


def _append(file: Path, text: str) -> None:
    # A repository from elsewhere could have made it a link to a file of the user's.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    with open(os.open(file, flags, 0o644), "ab", buffering=0) as opened:  # noqa: PTH123
        before = opened.seek(0, os.SEEK_END)
        try:
            rest = text.encode()
            while rest:
                rest = rest[opened.write(rest) :]
        except OSError:
            with suppress(OSError):  # half a line would leave out something else
                opened.truncate(before)
            raise


def _pattern(path: str) -> str:
    """The line that names this path alone; a folder with all that is in it."""
    if "\n" in path or "\r" in path:
        raise InputError(f"{path!r} holds a line break, which no ignore file can name", hint="rename it")
    escaped = "".join(f"\\{letter}" if letter in "\\*?[]!#" else letter for letter in path)
    trailing = len(escaped) - len(escaped.rstrip(" "))
    return "/" + escaped[: len(escaped) - trailing] + "\\ " * trailing


def _taken_back(root: Path, paths: Collection[str]) -> Iterator[str]:
    found, _ = walk(root, paths)
    for stat in found:
        if any(stat.path == path or stat.path.startswith(f"{path}/") for path in paths):
            yield stat.path
