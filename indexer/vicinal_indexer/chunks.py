"""Text into chunks along its syntax tree.

Owns where a file is cut. Pure; never fails: broken syntax and unknown languages fall back to windows of lines. It does
not know which files count or where chunks go.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

from tree_sitter import Node, Parser
from tree_sitter_language_pack import get_parser

from vicinal_indexer.types import Chunk

CHUNKER_VERSION = 1
WINDOW_LINES = 24
MAX_LINES = 48
MERGE_LINES = 14

_DEFINITION = re.compile(
    r"^(decorated_definition|section|(abstract_|async_|local_|singleton_)?"
    r"(function|method|class|struct|enum|union|interface|trait|impl|module|namespace|constructor|type|object|protocol)"
    r"(_alias|_signature)?(_definition|_declaration|_item|_spec|_specifier)?)$"
)
_COMMENT = re.compile(r"comment|attribute|annotation|decorator")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines [first, last], 0-based and inclusive."""

    first: int
    last: int
    symbol: str
    definition: bool
    comment: bool

    @property
    def lines(self) -> int:
        return self.last - self.first + 1


def chunk(path: str, text: str, language: str) -> list[Chunk]:
    """Cut `text` so that every line that is not blank is in exactly one chunk.

    Args:
        path: recorded in the chunks; relative to the repository.
        language: a grammar's name, "" for windows of lines.
    """
    lines = text.split("\n")
    pieces = _cover(_along_tree(text, language), len(lines)) if language else []
    pieces = _merge(pieces) if pieces else [_Piece(0, len(lines) - 1, "", False, False)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode(errors="surrogatepass")) + 1)
    result = []
    for piece in (small for large in pieces for small in _windows(large)):
        first, last = piece.first, piece.last
        while first <= last and not lines[first].strip():
            first += 1
        while last >= first and not lines[last].strip():
            last -= 1
        if first > last:
            continue
        body = "\n".join(lines[first : last + 1])
        digest = blake2b(body.encode(errors="surrogatepass"), digest_size=16).hexdigest()
        result.append(
            Chunk(
                path,
                first + 1,
                last + 1,
                starts[first],
                starts[last + 1] - 1,
                language,
                piece.symbol,
                body,
                digest,
            )
        )
    return result


@cache
def _parser(language: str) -> Parser:
    return get_parser(language)  # type: ignore[arg-type]


def _along_tree(text: str, language: str) -> Iterator[_Piece]:
    """Pieces in order of their first line; nodes that are too large are opened, with a stack of our own."""
    try:
        tree = _parser(language).parse(text.encode(errors="replace"))
    except (LookupError, ValueError):
        return
    stack: list[tuple[Node, str]] = [(tree.root_node, "")]
    while stack:
        node, outer = stack.pop()
        first, last = node.start_point[0], node.end_point[0]
        if node.end_point[1] == 0 and last > first:
            last -= 1
        definition = bool(_DEFINITION.match(node.type))
        symbol = _symbol(node, outer) if definition else outer
        children = [child for child in node.named_children if child is not None]
        # A class is opened whenever it has methods, so that each is a chunk of its own.
        container = definition and last - first + 1 > WINDOW_LINES
        if node.parent is not None and not container and last - first + 1 <= MAX_LINES or not children:
            if node.parent is not None:
                yield _Piece(first, last, symbol, definition, bool(_COMMENT.search(node.type)))
            continue
        stack.extend((child, symbol) for child in reversed(children))


def _symbol(node: Node, outer: str) -> str:
    inner = node.child_by_field_name("definition") or node
    name = inner.child_by_field_name("name") or inner.child_by_field_name("type")
    if name is None or name.text is None:
        return outer
    word = name.text.decode(errors="replace").split("\n")[0][:80]
    return f"{outer}.{word}" if outer and not outer.endswith(f".{word}") and outer != word else word


def _cover(pieces: Iterator[_Piece], count: int) -> list[_Piece]:
    """Make the pieces disjoint and let them cover all `count` lines; gaps become pieces of their own."""
    covered: list[_Piece] = []
    following = 0
    for piece in pieces:
        if piece.last < following:
            continue
        first = max(piece.first, following)
        if first > following:
            covered.append(_Piece(following, first - 1, piece.symbol.rpartition(".")[0], False, False))
        covered.append(_Piece(first, piece.last, piece.symbol, piece.definition, piece.comment))
        following = piece.last + 1
    if covered and following < count:
        covered.append(_Piece(following, count - 1, "", False, False))
    return covered


def _merge(pieces: list[_Piece]) -> list[_Piece]:
    """Join comments with what they stand on, and small neighbours with each other."""
    merged: list[_Piece] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last is not None and _belong_together(last, piece):
            symbol = piece.symbol if piece.definition and not last.definition else last.symbol
            definition = piece.definition or last.definition
            merged[-1] = _Piece(last.first, piece.last, symbol, definition, last.comment and piece.comment)
        else:
            merged.append(piece)
    return merged


def _belong_together(first: _Piece, second: _Piece) -> bool:
    lines = second.last - first.first + 1
    if first.comment and first.lines <= WINDOW_LINES:
        return lines <= MAX_LINES
    if first.definition and second.definition:
        return lines <= MERGE_LINES
    if second.definition:
        return first.lines <= 3 and lines <= MAX_LINES
    return lines <= (MERGE_LINES if first.definition else WINDOW_LINES)


def _windows(piece: _Piece) -> Iterator[_Piece]:
    """Cut what no syntax could cut into windows of nearly equal size."""
    if piece.lines <= MAX_LINES:
        yield piece
        return
    parts = -(-piece.lines // WINDOW_LINES)
    edges = [piece.first + piece.lines * part // parts for part in range(parts + 1)]
    for first, following in zip(edges, edges[1:], strict=False):
        yield _Piece(first, following - 1, piece.symbol, piece.definition, piece.comment)
