"""A Jupyter notebook's cells: their sources, their languages, and where in the file each line of them stands.

Owns reading the JSON of an .ipynb file. Pure. It does not know chunks; outputs and metadata never leave it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from vicinal_indexer import languages

DEFAULT_LANGUAGE = "python"
_PROSE = {"markdown": "markdown"}

_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[][{}:,]', re.DOTALL)
"""Strings and the signs between values. Numbers and words are skipped: nothing here depends on them."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a line of a cell's source stands: its rows in the file (0-based, inclusive) and its bytes [start, end).

    The bytes are those of the JSON strings that hold the line, with their quotes.
    """

    row: int
    last_row: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cell:
    """The decoded source of one cell, and one `Line` for each line of it, the last one too if it is empty."""

    language: str
    source: str
    lines: tuple[Line, ...]


def source_text(raw: str) -> str | None:
    """The sources of all cells, decoded and joined by line ends; None if `raw` is not a notebook."""
    found = cells(raw)
    return None if found is None else "\n".join(cell.source for cell in found)


def cells(raw: str) -> list[Cell] | None:
    """The cells that have a source, in order; None if `raw` is not a notebook (broken JSON, no list of cells)."""
    try:
        notebook = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        return None
    language = _language(notebook.get("metadata"))
    places = _Places(raw)
    found = []
    for kind, tokens in _cell_tokens(raw):
        parts = [(json.loads(raw[start:end]), start, end) for start, end in tokens]
        source = "".join(text for text, _, _ in parts)
        if source.strip():
            found.append(Cell(language if kind == "code" else _PROSE.get(kind, ""), source, _lines(parts, places)))
    return found


def _language(metadata: object) -> str:
    """The grammar of the code cells, by what the notebook says of its kernel."""
    if not isinstance(metadata, dict):
        return DEFAULT_LANGUAGE
    for section, key in (("kernelspec", "language"), ("language_info", "name")):
        inside = metadata.get(section)
        name = inside.get(key) if isinstance(inside, dict) else None
        if isinstance(name, str) and name.strip():
            return languages.of_kernel(name)
    return DEFAULT_LANGUAGE


def _cell_tokens(raw: str) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """For each cell of a valid notebook its type and the spans of the strings that are its source.

    A path of keys is kept instead of a tree, so that outputs of any size cost one pass and nothing else.
    """
    path: list[str | None] = []  # the key that is open at each depth; None in a list
    key = ""
    kind, source = "", list[tuple[int, int]]()
    found: list[tuple[str, list[tuple[int, int]]]] = []
    for match in _TOKEN.finditer(raw):
        sign = match[0][0]
        if sign in "{[":
            path.append("" if sign == "{" else None)
            if path == ["cells", None, ""]:
                kind, source = "", []
        elif sign in "}]":
            path.pop()
            if path == ["cells", None] and sign == "}":
                found.append((kind, source))
        elif sign == '"':
            key = match[0]
            if path == ["cells", None, "cell_type"]:
                kind = json.loads(key)
            elif path[:3] == ["cells", None, "source"] and (len(path) == 3 or path[3:] == [None]):
                source.append(match.span())
        elif sign == ":":
            path[-1] = json.loads(key)
            if path == ["cells"]:
                found.clear()
            elif path == ["cells", None, "source"]:
                source.clear()
        elif sign == "," and path and path[-1] is not None:
            path[-1] = ""
    yield from found


class _Places:
    """Turns growing offsets of characters into rows and offsets of bytes, in one pass over the text."""

    def __init__(self, raw: str) -> None:
        self._raw = raw
        self._at = self._row = self._byte = 0

    def __call__(self, offset: int) -> tuple[int, int]:
        passed = self._raw[self._at : offset]
        self._row += passed.count("\n")
        self._byte += len(passed.encode(errors="surrogatepass"))
        self._at = offset
        return self._row, self._byte


def _lines(parts: list[tuple[str, int, int]], places: _Places) -> tuple[Line, ...]:
    """Where each line of the joined `parts` (text, and the span of its string) stands: where its first character is."""
    lines: list[Line] = []
    empty = True  # whether nothing of the last line has been seen
    for text, start, end in parts:
        row, start_byte = places(start)
        here = Line(row, row, start_byte, places(end)[1])
        for i, piece in enumerate(text.split("\n")):
            if i == 0 and lines:
                last = lines[-1]
                lines[-1] = here if empty else Line(last.row, row, last.start, here.end) if piece else last
                empty = empty and not piece
            else:
                lines.append(here)
                empty = not piece
    return tuple(lines)
