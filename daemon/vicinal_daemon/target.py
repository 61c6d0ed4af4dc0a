"""The place to complete: a position in a file of a repository.

Owns the reading of `PATH:LINE[:COL]` and what makes a place impossible. It does not know how it is completed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from vicinal_indexer.errors import InputError

_LOCATION = re.compile(r"^(?P<path>.+?):(?P<line>\d+)(?::(?P<column>\d+))?$")
_REPOSITORY_MARKS = (".git", ".hg", ".svn", ".vicinal.toml")


@dataclass(frozen=True, slots=True)
class Location:
    """`PATH:LINE[:COL]` as written; line and column are 1-based, column counts characters."""

    path: Path
    line: int
    column: int | None


@dataclass(frozen=True, slots=True)
class Target:
    """A file's text cut at the cursor.

    Attributes:
        path: relative to the repository, with `/`.
        left: the file up to the cursor.
        hidden: what stands in the region that is completed anew, "" at the end of the file.
        right: the file after that region.
        line, column: of the cursor, 1-based, in characters.
        lines: how many lines are wanted.
    """

    path: str
    left: str
    hidden: str
    right: str
    line: int
    column: int
    lines: int

    @property
    def mid_line(self) -> bool:
        """Whether code stands before the cursor on its line."""
        return bool(self.left[self.left.rfind("\n") + 1 :].strip())

    @property
    def last_line(self) -> int:
        """The last line of the region, 1-based, inclusive."""
        return self.left.count("\n") + self.hidden.count("\n") + 1


def parse_location(text: str) -> Location:
    """Read `PATH:LINE[:COL]`; a drive letter (`C:\\x.py:3`) is part of the path.

    Raises:
        InputError: it has another form.
    """
    match = _LOCATION.match(text)
    if match is None or int(match["line"]) < 1 or (match["column"] is not None and int(match["column"]) < 1):
        raise InputError(
            f"{text!r} is not a place in a file",
            hint="write PATH:LINE or PATH:LINE:COL, counted from 1, for example src/app.py:42",
        )
    column = int(match["column"]) if match["column"] is not None else None
    return Location(Path(match["path"]), int(match["line"]), column)


def find_repository(path: Path) -> Path:
    """The nearest folder above `path` that is a repository's root, else the file's own folder."""
    folder = path.resolve().parent
    return next((f for f in (folder, *folder.parents) if is_repository(f)), folder)


def is_repository(folder: Path) -> bool:
    """Whether a folder looks like a repository's root."""
    return any((folder / mark).exists() for mark in _REPOSITORY_MARKS)


def locate_file(root: Path, location: Location) -> str:
    """The path of a location's file, relative to `root`, with `/`. It need not exist.

    Raises:
        InputError: it is not inside.
    """
    # Like any tool, take the path from the working directory first, then from the repository.
    path = location.path if location.path.exists() else root / location.path
    return path_inside(root, path, location.path)


def read_target(root: Path, location: Location, lines: int) -> Target:
    """Read the file and cut it at the location; the wanted lines are completed anew.

    Raises:
        InputError: the file is missing, unreadable, outside `root`, not text, or ends before the place.
    """
    relative = locate_file(root, location)
    text = read_document(root / relative, location.path)
    return cut(relative, text, location.line, location.column or 1, lines, hidden_lines=lines)


def cut(path: str, text: str, line: int, column: int, lines: int, *, hidden_lines: int = 0) -> Target:
    """Cut a document at the cursor. The rest of its line and what follows, `hidden_lines` in all, are completed anew.

    Secrets in it are masked: no prompt holds them, whoever sent the text.

    Raises:
        InputError: the document ends before the place, or is one that holds secrets by its name.
    """
    from vicinal_indexer.secrets import by_name, masked  # late: clients only locate

    refused = by_name(path)
    if refused is not None:
        raise InputError(
            f"{path} is not completed: {refused}, as of files with secrets", hint="no model is shown such files"
        )
    rows = text.split("\n")
    if line > len(rows):
        raise InputError(
            f"{path} has {len(rows)} lines; there is no line {line}", hint=f"give a line from 1 to {len(rows)}"
        )
    row = rows[line - 1].removesuffix("\r")
    if column > len(row) + 1:
        raise InputError(
            f"line {line} of {path} has {len(row)} characters; there is no column {column}",
            hint=f"give a column from 1 to {len(row) + 1}",
        )
    begin = sum(len(above) + 1 for above in rows[: line - 1])
    start, after = begin + column - 1, begin + len(rows[line - 1])
    # In parts: those that the user does not type in are masked once.
    text = masked(text[:begin]) + masked(text[begin:after]) + masked(text[after:])
    end = start
    if hidden_lines:
        end = sum(len(above) + 1 for above in rows[: line - 1 + hidden_lines]) - 1
    end = max(start, min(end, len(text)))
    return Target(path, text[:start], text[start:end], text[end:], line, column, lines)


def path_inside(root: Path, path: Path, shown: Path) -> str:
    """`path` relative to `root`, with `/`.

    Raises:
        InputError: it is not inside.
    """
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise InputError(
            f"{shown} is not inside the repository {root}", hint="name its repository with --repo DIR"
        ) from None
    except (OSError, RuntimeError) as error:
        raise InputError(f"{shown} cannot be resolved: {error}", hint="check for a loop of symbolic links") from error


def read_document(path: Path, shown: Path) -> str:
    """The text of a file; `shown` is what errors call it.

    Raises:
        InputError: it is missing, unreadable, too large or not text.
    """
    from vicinal_indexer.files import MAX_FILE_BYTES  # late: it takes a while to import, and clients only locate

    try:
        if not path.is_file():
            raise InputError(f"{shown} is not a file", hint="check the path; it is taken from here, then from --repo")
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(
                f"{shown} has {size:,} bytes; files over {MAX_FILE_BYTES:,} are not completed",
                hint="generated and data files are best left alone",
            )
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror}", hint="check its permissions") from error
    if b"\0" in data:
        raise InputError(f"{shown} is a binary file", hint="name a text file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{shown} is not UTF-8 (byte {error.start})", hint="convert it to UTF-8, or name another file"
        ) from None
