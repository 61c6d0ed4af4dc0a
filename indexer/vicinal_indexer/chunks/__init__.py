"""Text into chunks along its syntax tree.

Owns where a file is cut. Pure; never fails: broken syntax and unknown languages fall back to windows of lines. It does
not know which files count or where chunks go.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from vicinal_indexer import languages, notebook
from vicinal_indexer.chunks import pack, tree
from vicinal_indexer.chunks.tree import Atom
from vicinal_indexer.types import Chunk, digest

CHUNKER_VERSION = 3
"""3: cuts depend on what stands at them and not on what is above; headers; notebooks; more grammars."""

HEADER_CHARS = 200


_MAGIC = re.compile(r"^([ \t]*)[%!?](?=[\w%!{(./~$])", re.MULTILINE)
"""Lines that only a notebook's Python understands: `%matplotlib inline`, `!pip list`."""


def chunk(path: str, text: str, language: str) -> list[Chunk]:
    """Cut `text` so that every line that is not blank is in exactly one chunk.

    Args:
        path: recorded in the chunks; relative to the repository.
        text: a file's text; of a notebook the JSON, whose cells' sources are what is cut.
        language: a grammar's name, "notebook", or "" for windows of lines.
    """
    if language != languages.NOTEBOOK:
        return _chunks(path, text, languages.refined(language, text))
    cells = notebook.cells(text)
    if cells is None:
        return _chunks(path, text, "")
    return [placed for cell in cells for placed in _cell_chunks(path, cell)]


def _cell_chunks(path: str, cell: notebook.Cell) -> Iterator[Chunk]:
    """The chunks of one cell, with rows and bytes of the file that the cell is in."""
    parsed = _MAGIC.sub(r"\1#", cell.source) if cell.language == "python" else cell.source
    for c in _chunks(path, cell.source, cell.language, parsed):
        first, last = cell.lines[c.start_line - 1], cell.lines[c.end_line - 1]
        span = first.row + 1, last.last_row + 1, first.start, last.end
        yield Chunk(path, *span, c.language, c.symbol, c.header, c.text, c.content_hash)


def _chunks(path: str, text: str, language: str, parsed: str | None = None) -> list[Chunk]:
    """The chunks of `text`; its syntax is that of `parsed` (as many characters in as many lines), if it is given."""
    lines = text.split("\n")
    source = (parsed or text).encode(errors="surrogatepass")
    root = tree.parse(source, language) if language else None
    atoms = tree.atoms(root, source, language) if root is not None else []
    if not atoms:
        atoms = pack.text_atoms(0, len(lines) - 1, None, lines)
    if not atoms:
        return []
    groups = pack.spans(atoms, lines)
    lengths = map(len, lines if len(source) == len(text) else source.split(b"\n"))
    offsets = list(accumulate(lengths, lambda total, length: total + length + 1, initial=0))
    result = []
    first = 0  # what is before the first atom belongs to it
    for i, group in enumerate(groups):
        following = groups[i + 1][0].first if i + 1 < len(groups) else len(lines)
        last = following - 1
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last].strip():
            last -= 1
        body = "\n".join(lines[first : last + 1])
        if body and not body.isspace():
            result.append(
                Chunk(
                    path,
                    first + 1,
                    last + 1,
                    offsets[first],
                    offsets[last + 1] - 1,
                    language,
                    _symbol(group),
                    _header(group, first, lines),
                    body,
                    digest(body),
                )
            )
        first = following
    return result


def _symbol(group: Sequence[Atom]) -> str:
    """What a chunk defines: the symbol that its atoms share the beginning of, else the first one."""
    symbols = list(dict.fromkeys(atom.symbol for atom in group if atom.symbol))
    if len(symbols) < 2:
        return symbols[0] if symbols else ""
    shared = symbols[0].split(".")
    for symbol in symbols[1:]:
        parts = symbol.split(".")
        same = 0
        while same < min(len(shared), len(parts)) and shared[same] == parts[same]:
            same += 1
        del shared[same:]
    return ".".join(shared) or symbols[0]


def _header(group: Sequence[Atom], first: int, lines: Sequence[str]) -> str:
    """The first lines of the definitions around a chunk that begins at row `first`, outermost first."""
    largest = max(group, key=lambda atom: atom.last - atom.first) if len(group) > 1 else group[0]
    if not largest.place.headers:
        return ""
    texts = list(dict.fromkeys(lines[row].strip() for row in largest.place.headers if row < first))
    while len(texts) > 1 and sum(map(len, texts)) + len(texts) - 1 > HEADER_CHARS:
        del texts[0]
    return "\n".join(texts)[:HEADER_CHARS]
