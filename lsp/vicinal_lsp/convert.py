"""Positions and URIs of the protocol, to offsets and paths and back.

Owns what a line, a character and a file URI are to an LSP client and to the daemon; the only place that knows UTF-16.
Texts are Python strings and offsets count their code points. It does not know documents. Pure.
"""

import os
import re
from bisect import bisect_right
from itertools import islice
from pathlib import Path, PurePath, PureWindowsPath
from typing import Final, Literal
from urllib.parse import unquote_to_bytes, urlsplit

Encoding = Literal["utf-8", "utf-16", "utf-32"]
"""In whose units a client counts the characters of a line."""

_LINE_END: Final = re.compile(r"\r\n?|\n")
_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+\Z")
_CODEC: Final = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}
_MOST_UNITS: Final = {"utf-8": 4, "utf-16": 2, "utf-32": 1}
_DRIVE: Final = re.compile(r"/[A-Za-z]:(?=/|\Z)")


def split_lines(text: str) -> list[str]:
    r"""The lines of a text with their ends; there is always a last one, which has no end and may be empty.

    Lines end at `\n`, `\r\n` and `\r` alone, not where `str.splitlines` sees more.

    >>> split_lines("a\x0cb\r\nc\n")
    ['a\x0cb\r\n', 'c\n', '']
    """
    if "\r" not in text:
        *ended, last = text.split("\n")
        return [line + "\n" for line in ended] + [last]
    lines = _LINE.findall(text)
    return [*lines, ""] if text[-1] in "\r\n" else lines


def units(text: str, encoding: Encoding) -> int:
    """How many units of `encoding` a text takes.

    >>> [units("a😋", encoding) for encoding in ("utf-8", "utf-16", "utf-32")]
    [5, 3, 2]
    """
    if encoding == "utf-32" or text.isascii():
        return len(text)
    codec, size = _CODEC[encoding]
    return len(text.encode(codec, "surrogatepass")) // size


def characters(text: str, count: int, encoding: Encoding) -> int:
    """How many characters of `text` fit into `count` units; one that is cut in two does not count.

    >>> [characters("a😋b", count, "utf-16") for count in range(6)]
    [0, 1, 1, 2, 3, 3]
    """
    count = max(0, count)
    if encoding == "utf-32" or text.isascii():
        return min(count, len(text))
    fewest = min(count // _MOST_UNITS[encoding], len(text))
    possible = range(fewest, min(count, len(text)) + 1)
    return fewest + bisect_right(possible, count, key=lambda length: units(text[:length], encoding)) - 1


def offset_at(text: str, line: int, character: int, encoding: Encoding) -> int:
    """The offset of a position; `line` counts from 0, `character` in units of `encoding`.

    Clamps as the protocol says: beyond a line is before its end, beyond the last line is the end of the text, and
    inside a character is before it.
    """
    start = _line_start(text, line)
    if start is None:
        return len(text)
    ending = _LINE_END.search(text, start)
    row = text[start : ending.start() if ending else len(text)]
    return start + characters(row, character, encoding)


def position_at(text: str, offset: int, encoding: Encoding) -> tuple[int, int]:
    r"""Line and character of an offset, both from 0; between `\r` and `\n` is before both, beyond the text its end."""
    offset = max(0, min(offset, len(text)))
    if text[offset - 1 : offset + 1] == "\r\n":
        offset -= 1
    if _ends_with_newlines(text):
        line, start = text.count("\n", 0, offset), text.rfind("\n", 0, offset) + 1
    else:
        ends = [ending.end() for ending in _LINE_END.finditer(text, 0, offset)]
        line, start = len(ends), ends[-1] if ends else 0
    return line, units(text[start:offset], encoding)


def apply_change(text: str, start: tuple[int, int], end: tuple[int, int], new: str, encoding: Encoding) -> str:
    """`text` with what stands between two positions replaced by `new`; positions in either order."""
    first, last = sorted(offset_at(text, line, character, encoding) for line, character in (start, end))
    return text[:first] + new + text[last:]


def daemon_place(text: str, offset: int) -> tuple[int, int]:
    r"""Line and column of an offset as the daemon counts: from 1, lines end at `\n` alone, columns in code points.

    A column is never behind the `\r` of its line's end.

    >>> daemon_place("a\r\nbc", 2), daemon_place("a\r\nbc", 4)
    ((1, 2), (2, 2))
    """
    offset = max(0, min(offset, len(text)))
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    row = text[start : end if end != -1 else len(text)].removesuffix("\r")
    return text.count("\n", 0, offset) + 1, min(offset - start, len(row)) + 1


def path_of(uri: str) -> Path | None:
    """The absolute path of a file URI; None for what is no file of this machine: `untitled:`, a notebook's cell."""
    pure = pure_path_of(uri, type(Path()))
    return None if pure is None else Path(pure)


def pure_path_of(uri: str, flavour: type[PurePath]) -> PurePath | None:
    """As `path_of`, for any system: `flavour` says which kind of paths it has.

    >>> pure_path_of("file:///c%3A/a%20b.py", PureWindowsPath), pure_path_of("vscode-notebook-cell:/a#1", PurePath)
    (PureWindowsPath('c:/a b.py'), None)
    """
    try:
        parts = urlsplit(uri)
        name = os.fsdecode(unquote_to_bytes(parts.path))
    except ValueError:  # a malformed host, or text that is no Unicode
        return None
    host = "" if parts.netloc == "localhost" else parts.netloc
    if issubclass(flavour, PureWindowsPath):
        name = f"//{host}{name}" if host else name[1:] if _DRIVE.match(name) else name
    elif host:
        return None
    path = flavour(name)
    return path if parts.scheme == "file" and path.is_absolute() and "\0" not in name else None


def uri_of(path: Path) -> str:
    """The file URI of a path.

    Raises:
        ValueError: the path is relative.
    """
    return path.as_uri()


def _line_start(text: str, line: int) -> int | None:
    """Where a line begins, None if the text has fewer lines."""
    if line <= 0:
        return 0
    if line > len(text):
        return None
    if _ends_with_newlines(text):
        rows = text.split("\n", line)
        return len(text) - len(rows[-1]) if len(rows) > line else None
    ending = next(islice(_LINE_END.finditer(text), line - 1, None), None)
    return None if ending is None else ending.end()


def _ends_with_newlines(text: str) -> bool:
    r"""Whether every line ends with `\n`, with or without a `\r` before it, so that `\n` alone tells lines apart."""
    return "\r" not in text or text.count("\r") == text.count("\r\n")
