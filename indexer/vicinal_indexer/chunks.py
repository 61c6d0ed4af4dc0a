"""Text into chunks along its syntax tree.

Owns where a file is cut. Pure; never fails: broken syntax and unknown languages fall back to windows of lines. It does
not know which files count or where chunks go.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from tree_sitter import Node, Parser, Point
from tree_sitter_language_pack import get_parser

from vicinal_indexer.types import Chunk, digest

CHUNKER_VERSION = 2
"""2: headers and decorators stay with their body, imports together, parsing has a budget."""

WINDOW_LINES = 24
MAX_LINES = 48
MERGE_LINES = 14
FEW_LINES = 3

READ_BYTES = 4_096
PARSE_BUDGET = 2_000
BYTES_PER_STEP = 20
"""A parse may take `PARSE_BUDGET` + 1 per `BYTES_PER_STEP` steps. Real code takes a tenth of that; random text in some
grammars takes minutes. Steps and not seconds are counted, so that the same text is always cut in the same places."""

_DEFINITION = re.compile(
    r"^(decorated_definition|export_statement|section|(abstract_|async_|local_|singleton_)?"
    r"(function|method|class|struct|enum|union|interface|trait|impl|module|namespace|constructor|type|object|protocol)"
    r"(_alias|_signature)?(_definition|_declaration|_item|_spec|_specifier)?)$"
)
_LEAD = re.compile(r"comment$|^(attribute_item|inner_attribute_item|attribute_list|decorator|(marker_)?annotation)$")
_IMPORT = re.compile(r"^(import|use_declaration|package_clause|preproc_include|using_directive|future_import)")
_WRAPPED_FIELDS = ("definition", "declaration", "declarator")


_OPEN = ("lead", "header")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines [first, last], 0-based and inclusive. A "lead" or "header" belongs to what follows it."""

    first: int
    last: int
    symbol: str
    kind: str  # "lead", "header" (the top of an opened definition), "import", "definition" or "other"

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
    pieces = _merge(pieces) if pieces else [_Piece(0, len(lines) - 1, "", "other")]
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
        result.append(
            Chunk(
                path,
                first + 1,
                last + 1,
                starts[first],
                starts[last + 1] - 1,
                language,
                piece.symbol,
                "",
                body,
                digest(body),
            )
        )
    return result


@cache
def _parser(language: str) -> Parser:
    return get_parser(language)  # type: ignore[arg-type]


def _parse(source: bytes, language: str) -> Node | None:
    """The root of the syntax tree; None for an unknown language or a text that is too costly to parse."""
    steps = 0
    budget = PARSE_BUDGET + len(source) // BYTES_PER_STEP

    def read(offset: int, _: Point) -> bytes:
        nonlocal steps
        steps += 1
        return source[offset : offset + READ_BYTES] if steps <= budget else b""

    def spent(_: int, __: bool) -> bool:  # noqa: FBT001 - tree-sitter calls it
        nonlocal steps
        steps += 1
        return steps > budget

    try:
        parser = _parser(language)
    except (LookupError, ValueError):
        return None
    try:
        tree = parser.parse(read, progress_callback=spent)
    except ValueError:  # cancelled: the budget is spent
        parser.reset()
        return None
    return tree.root_node if tree is not None and steps <= budget else None


def _along_tree(text: str, language: str) -> Iterator[_Piece]:
    """Pieces in order of their first line; nodes that are too large are opened, with a stack of our own."""
    source = text.encode(errors="replace")
    root = _parse(source, language)
    if root is None:
        return
    stack: list[tuple[Node, str, str]] = [(child, "", "") for child in reversed(root.named_children)]
    while stack:
        node, outer, role = stack.pop()
        first, last = node.start_point[0], _last_line(node)
        definition = bool(_DEFINITION.match(node.type))
        name = _name(node, source) if definition else ""
        symbol = f"{outer}.{name}" if outer and name else name or outer
        # A large class is opened together with its body, so that each method is a chunk of its own.
        whole = role != "body" and last - first + 1 <= (WINDOW_LINES if definition else MAX_LINES)
        children = [] if whole else node.named_children
        if not children:
            yield _Piece(first, last, symbol, "header" if role == "lead" else _kind(node, definition))
            continue
        body = node.child_by_field_name("body")
        body_line = first + 1 if body is None else max(body.start_point[0], first + 1)
        if children[0].start_point[0] > first:
            yield _Piece(first, children[0].start_point[0] - 1, symbol, "header" if definition else "other")
        inner = outer if _is_wrapper(node) else symbol
        for child in reversed(children):
            is_lead = definition and _last_line(child) < body_line
            stack.append((child, inner, "body" if definition and child == body else "lead" if is_lead else ""))


def _last_line(node: Node) -> int:
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


def _kind(node: Node, definition: bool) -> str:  # noqa: FBT001 - private
    if definition:
        return "definition"
    if _LEAD.search(node.type):
        return "lead"
    return "import" if _IMPORT.match(node.type) else "other"


def _is_wrapper(node: Node) -> bool:
    """Whether the name of this definition is that of a definition inside it."""
    return node.type in {"decorated_definition", "export_statement", "type_declaration"}


def _name(node: Node, source: bytes) -> str:
    if node.type == "section":
        heading = node.named_children[0] if node.named_children else None
        return _words(heading, source).strip("# ") if heading and "heading" in heading.type else ""
    for _ in range(4):
        name = node.child_by_field_name("name")
        if name is None and node.type == "impl_item":
            name = node.child_by_field_name("type")
        if name is not None:
            return _words(name, source)
        inner = next(filter(None, map(node.child_by_field_name, _WRAPPED_FIELDS)), None)
        if inner is None and (_is_wrapper(node) or node.type == "lexical_declaration"):
            inner = node.named_children[0] if node.named_children else None
        if inner is None:
            return ""
        if inner.type in {"identifier", "field_identifier", "qualified_identifier"}:
            return _words(inner, source)
        node = inner
    return ""


def _words(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode(errors="replace").split("\n")[0][:80]


def _cover(pieces: Iterator[_Piece], count: int) -> list[_Piece]:
    """Make the pieces disjoint and let them cover all `count` lines.

    What no node names (blank lines, closing braces) goes with the piece before it.
    """
    covered: list[_Piece] = []
    following = 0
    for piece in pieces:
        if piece.last < following:
            continue
        first = max(piece.first, following)
        if first > following:
            if covered:
                covered[-1] = replace(covered[-1], last=first - 1)
            else:
                first = following
        covered.append(replace(piece, first=first))
        following = piece.last + 1
    if covered and following < count:
        covered[-1] = replace(covered[-1], last=count - 1)
    return covered


def _merge(pieces: list[_Piece]) -> list[_Piece]:
    """Join comments, decorators and headers with what they stand on, then small neighbours with each other."""
    joined: list[_Piece] = []
    body_begun = False
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and last.kind in _OPEN and not body_begun and piece.last - last.first < MAX_LINES:
            symbol = last.symbol if piece.kind == "other" else piece.symbol or last.symbol
            kind = "header" if last.kind == "header" else piece.kind
            joined[-1] = replace(piece, first=last.first, symbol=symbol, kind=kind)
            body_begun = piece.kind not in _OPEN
        else:
            joined.append(piece)
            body_begun = False
    merged: list[_Piece] = []
    for piece in joined:
        last = merged[-1] if merged else None
        if last is not None and _belong_together(last, piece):
            named = last if last.kind == "definition" or piece.kind != "definition" else piece
            merged[-1] = replace(named, first=last.first, last=piece.last)
        else:
            merged.append(piece)
    return merged


def _belong_together(first: _Piece, second: _Piece) -> bool:
    lines = second.last - first.first + 1
    kinds = first.kind, second.kind
    if kinds == ("import", "import"):
        return lines <= MAX_LINES
    if "header" in kinds and kinds[1] != "other":
        return kinds == ("header", "definition") and lines <= MERGE_LINES
    if kinds == ("definition", "definition"):
        return lines <= MERGE_LINES
    if second.kind == "definition":
        return first.kind != "import" and first.lines <= FEW_LINES + 1 and lines <= MAX_LINES
    if second.kind == "import":
        return first.lines <= MERGE_LINES and lines <= MAX_LINES and first.kind != "definition"
    if second.kind == "lead":
        return False
    if first.kind == "definition":
        return lines <= MERGE_LINES or (second.lines <= FEW_LINES and lines <= MAX_LINES)
    return (first.kind != "import" or first.lines <= FEW_LINES) and lines <= WINDOW_LINES


def _windows(piece: _Piece) -> Iterator[_Piece]:
    """Cut what no syntax could cut into windows of nearly equal size."""
    if piece.lines <= MAX_LINES + FEW_LINES:
        yield piece
        return
    parts = -(-piece.lines // WINDOW_LINES)
    edges = [piece.first + piece.lines * part // parts for part in range(parts + 1)]
    for first, following in pairwise(edges):
        yield replace(piece, first=first, last=following - 1)
