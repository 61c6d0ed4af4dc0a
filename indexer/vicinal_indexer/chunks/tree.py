"""Text into atoms along its syntax tree: the smallest pieces that a chunk may consist of.

Owns parsing, its budget, and which nodes are opened. Pure. It does not know which atoms make a chunk.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tree_sitter import Node, Parser, Point
from tree_sitter_language_pack import get_parser

from vicinal_indexer.chunks import nodes
from vicinal_indexer.chunks.nodes import FUNCTION, IMPORT, LEAD, OTHER, TYPE, VALUE

TYPE_LINES = 24
"""A class longer than this is opened: its methods become chunks of their own."""
WHOLE_LINES = 40
"""Any other definition longer than this is opened: it is cut between its statements."""
STATEMENT_LINES = 16
"""A statement of an opened definition longer than this is opened too, so that a cut can always be found."""
SOLID_LINES = 8
"""A definition of so many lines is a chunk of its own; shorter ones are merged with their neighbours."""
HEADER_LINES = 24
"""What is above a definition's body stays together up to so many lines: a long list of parameters or bases."""

READ_BYTES, GRAIN = 4_096, 64
PARSE_BUDGET = 2_000
BYTES_PER_STEP = 20
"""A parse may take `PARSE_BUDGET` + 1 per `BYTES_PER_STEP` steps. Real code takes a tenth of that; random text in some
grammars takes minutes. Steps and not seconds are counted, so that the same text is always cut in the same places."""

UNSAFE = frozenset({"d", "gn", "perl", "typst", "v"})
"""Grammars that loop without end or crash on odd text, inside C where no budget reaches: found by fuzzing."""

_TOO_DEEP = re.compile(rb"^[ \t>*+\-?:.)\d]{200}", re.MULTILINE)
"""Scanners that keep a stack of blocks (YAML, Markdown) write past its end on some 250 levels, and crash."""

_ASTRAL = re.compile(rb"[\xf0-\xf7][\x80-\xbf]{3}")
"""A character above U+FFFF. Scanners in C ask `isalpha` and the like about any character, which looks it up in a table
of 256: Markdown's crashes on a digit before U+EDE3E. Nearer ones are read beyond that table too, but within the C
library's data."""
_LETTERS = b"xxxx"
"""What grammars see instead: as many bytes, and as good a part of a name, a comment or a string."""


@dataclass(slots=True)
class Place:
    """What is around an atom: the symbol, the rows of the headers (outermost first), the depth in the tree.

    `inner` is true inside a function or a value, where `x = 1` is a statement and not a definition.
    """

    symbol: str
    headers: tuple[int, ...]
    depth: int
    inner: bool


@dataclass(slots=True)
class Atom:
    """Rows [first, last], 0-based and inclusive; together with the rows up to the next atom it is never cut.

    `kind`: "import", "header" (it belongs to what follows), "solid" (a chunk of its own) or "small".
    """

    first: int
    last: int
    kind: str
    symbol: str
    place: Place
    depth: int


TOP = Place("", (), 0, inner=False)


class _Parsers(threading.local):
    """A parser of each language for each thread: one that two threads use at once crashes the process.

    The binding never lets go of what it was given to read (seen up to 0.26.1; `tests/indexer/test_chunks.py`), so it is
    given the same few views of one buffer again and again, and the text is copied into that. Two of their lengths make
    up any length: the multiples of GRAIN, and all below it, so that a text's last character comes in one piece.
    """

    def __init__(self) -> None:
        self.of = cache(get_parser)
        self._buffer = bytearray(READ_BYTES)
        lengths = [*range(1, GRAIN), *range(GRAIN, READ_BYTES + 1, GRAIN)]
        self._views = {length: memoryview(self._buffer)[:length] for length in lengths}

    def piece(self, source: bytes, offset: int) -> bytes | memoryview:
        """Some of the source from here on; until the next call."""
        length = min(len(source) - offset, READ_BYTES)
        if length <= 0:
            return b""
        view = self._views[length if length < GRAIN else length - length % GRAIN]
        view[:] = source[offset : offset + len(view)]
        return view


_parsers = _Parsers()


def _parser(language: str) -> Parser:
    return _parsers.of(language)


def parse(source: bytes, language: str) -> Node | None:
    """The root of the syntax tree; None for an unknown language or a text that is too costly to parse."""
    if language in UNSAFE or _TOO_DEEP.search(source):
        return None
    source = _ASTRAL.sub(_LETTERS, source)
    steps = 0
    budget = PARSE_BUDGET + len(source) // BYTES_PER_STEP

    parsing = True
    # Where the budget ends, the text does not end at once: where a piece ends within a character, the parser asks for
    # that character again, and crashes (core 0.26) if it gets nothing.
    endings = iter((b"\n",))

    def read(offset: int, _: Point) -> bytes | memoryview:
        nonlocal steps
        if not parsing:  # `Node.text` reads through this too: it crashes on what is not bytes (0.26.1)
            return source[offset : offset + READ_BYTES]
        steps += 1
        return _parsers.piece(source, offset) if steps <= budget else next(endings, b"")

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
    finally:
        parsing = False
    return tree.root_node if tree is not None and steps <= budget else None


def atoms(root: Node, source: bytes, language: str) -> list[Atom]:
    """Disjoint atoms in the order of their rows. Nodes that are too large are opened, with a stack of our own."""
    role_of = nodes.role_of(language)
    found: list[Atom] = []
    top_level = root.named_children
    content = _body(top_level, last_row(root) + 1, role_of) if top_level else None
    stack: list[tuple[Node, Place, bool]] = [(child, TOP, child is content) for child in reversed(top_level)]
    following = 0  # the first row that is in no atom yet
    lead: Atom | None = None  # comments and decorators that wait for what they stand on
    while stack:
        outer, place, is_body = stack.pop()
        row, last = outer.start_point[0], last_row(outer)
        if last < following:
            continue
        first = max(row, following)
        node, role = nodes.unwrapped(outer, role_of, source)
        if role == LEAD and not is_body and (lead is None or lead.place is place):
            lead = lead or Atom(first, last, "small", "", place, place.depth)
            lead.last = last
            if node.type.endswith("signature"):
                lead.symbol = nodes.name(node, source)[0]
            following = last + 1
            continue
        own = ""
        if lead is not None:
            if lead.place is place and _stands_on(lead, first, last, role):
                first, own = lead.first, lead.symbol
                role = FUNCTION if own and role == OTHER else role
            else:
                found.append(_alone(lead))
            lead = None
        defines = role in (FUNCTION, TYPE) or (role == VALUE and not place.inner)
        symbol, header = place.symbol, -1
        if defines and not is_body:
            named, header = nodes.name(node, source)
            own = named or own
            symbol = ".".join(filter(None, (symbol, own)))
            defines = bool(own) or role != VALUE
        size = last - row + 1
        children = node.named_children if is_body or size > _limit(role, place, defines=defines) else None
        if not children:
            solid = last - first + 1 >= SOLID_LINES and (defines or not place.inner)
            kind = "import" if role == IMPORT else "solid" if solid else "small"
            found.append(Atom(first, last, kind, symbol, place, place.depth))
            following = last + 1
            continue
        inner = place.inner or role == FUNCTION or (defines and role == VALUE) or nodes.runs(node)
        headers = (*place.headers, header) if defines and not is_body else place.headers
        inside = Place(symbol, headers, place.depth + 1, inner)
        if is_body:
            body = _body(children, size, role_of) if len(children) == 1 else None
            top = children[0].start_point[0] - 1 if first == row else first - 1
        else:
            body = _body(children, size, role_of) if defines else None
            top = _header_end(first, row, body, children)
        if top >= first:
            found.append(Atom(first, top, "header", symbol, inside, place.depth))
            following = top + 1
        stack.extend((child, inside, child is body) for child in reversed(children))
    if lead is not None:
        found.append(_alone(lead))
    return found


def _limit(role: str, place: Place, *, defines: bool) -> int:
    """How many rows of a node stay together whatever is in it."""
    if role == TYPE:
        return TYPE_LINES
    return WHOLE_LINES if defines or not place.inner else STATEMENT_LINES


def last_row(node: Node) -> int:
    """The last row that holds a character of `node` other than a line's end."""
    row, column = node.end_point
    return row - 1 if column == 0 and row > node.start_point[0] else row


def _alone(lead: Atom) -> Atom:
    """Comments that stand on nothing, with the symbol of what they are in."""
    lead.symbol = ".".join(filter(None, (lead.place.symbol, lead.symbol)))
    return lead


def _stands_on(lead: Atom, first: int, last: int, role: str) -> bool:
    """Whether comments belong to the node after them, and are not a licence or as large as a chunk."""
    fits = last - lead.first < WHOLE_LINES or last - first >= WHOLE_LINES
    large = lead.last - lead.first + 1 >= SOLID_LINES
    return not large or (role != IMPORT and first == lead.last + 1 and fits)


def _body(children: list[Node], size: int, role_of: Callable[[Node], str]) -> Node | None:
    """The child that holds the parts of a definition: nearly all of it, and no definition itself."""
    largest = max(children, key=lambda child: child.end_point[0] - child.start_point[0])
    rows = last_row(largest) - largest.start_point[0] + 1
    return largest if 2 * rows + 2 > size and role_of(largest) == OTHER else None


def _header_end(first: int, row: int, body: Node | None, children: list[Node]) -> int:
    """The last row of what stands before the parts of an opened node; less than `first` if nothing does."""
    if body is not None:
        start = body.start_point[0]
        bracket = body.child(0) if body.child_count else None
        end = start - 1 if bracket is None or bracket.is_named else start
        if end < first + HEADER_LINES:
            return end
    return next((child.start_point[0] for child in children if child.start_point[0] > row), row + 1) - 1
