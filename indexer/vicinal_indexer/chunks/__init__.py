"""Text into chunks along its syntax tree.

Owns where a file is cut. Pure; never fails: broken syntax and unknown languages fall back to windows of lines. It does
not know which files count or where chunks go.
"""

from collections.abc import Sequence
from itertools import accumulate

from vicinal_indexer import languages
from vicinal_indexer.chunks import pack, tree
from vicinal_indexer.chunks.tree import Atom
from vicinal_indexer.types import Chunk, digest

CHUNKER_VERSION = 3
"""3: cuts depend on what stands at them and not on what is above; headers; notebooks; more grammars."""

HEADER_CHARS = 200


def chunk(path: str, text: str, language: str) -> list[Chunk]:
    """Cut `text` so that every line that is not blank is in exactly one chunk.

    Args:
        path: recorded in the chunks; relative to the repository.
        language: a grammar's name, "" for windows of lines.
    """
    language = languages.refined(language, text)
    lines = text.split("\n")
    source = text.encode(errors="surrogatepass")
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
    if not group[0].place.headers:
        return ""
    shared = [a for a, b in zip(group[0].place.headers, group[-1].place.headers, strict=False) if a == b and a < first]
    texts = list(dict.fromkeys(lines[row].strip() for row in shared))
    while len(texts) > 1 and sum(map(len, texts)) + len(texts) - 1 > HEADER_CHARS:
        del texts[0]
    return "\n".join(texts)[:HEADER_CHARS]
