"""What a file's syntax tree says of its lines: which are prose, what is defined where, what is called where.

Owns how definitions, calls and prose look in a tree. Pure. It does not know which lines anyone is interested in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from vicinal_indexer import languages
from vicinal_indexer.chunks import nodes
from vicinal_indexer.chunks.nodes import FUNCTION, TYPE
from vicinal_indexer.chunks.tree import last_row, parse

CODE = frozenset(
    "python typescript tsx javascript go rust java kotlin scala c cpp csharp ruby php swift lua dart elixir haskell"
    " ocaml julia zig groovy objc".split()
)
"""Languages whose files are programs, not prose, data or markup."""

_COMMENT = re.compile(r"comment")
_STRING = re.compile(r"string|template|text_block|heredoc")
_CALL = re.compile(
    r"^(call|(call|new|invocation|object_creation|function_call|member_call)_expression|(method|macro)_invocation)$"
)
_CALLEE_FIELDS = ("function", "constructor", "macro", "name", "method", "type")
_LAST_PART_FIELDS = ("attribute", "property", "field", "name", "function", "type")
_FUNCTION_VALUE = re.compile(r"^(arrow_function|function_expression|function|lambda|class|class_expression)$")
_STATEMENT_HOLDERS = re.compile(r"^(module|block|expression_statement)$")


@dataclass(frozen=True, slots=True)
class Named:
    """A name, and the line (1-based) where it stands."""

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What is on the lines of one file; lines are 1-based.

    Attributes:
        prose: lines that begin in a comment, in a documentation string, or inside a string of several lines.
        definitions: functions, methods, classes and other types, by their last name, in order.
        calls: what is called, by its last name (`h` of `a.g().h(x)`), in order.
    """

    prose: frozenset[int]
    definitions: tuple[Named, ...]
    calls: tuple[Named, ...]


def outline(text: str, language: str) -> Outline | None:
    """The outline of a file; None where its grammar is not known or it is too costly to parse."""
    source = text.encode(errors="surrogatepass")
    root = parse(source, languages.refined(language, text)) if language in CODE else None
    if root is None:
        return None
    role_of = nodes.role_of(language)
    rows = source.split(b"\n")
    prose: set[int] = set()
    definitions: list[Named] = []
    calls: list[Named] = []
    for node in _walk(root):
        kind = node.type
        if _COMMENT.search(kind) or _STRING.search(kind):
            prose.update(row + 1 for row in _prose_rows(node, rows, language))
        elif _CALL.match(kind):
            calls += _callee(node, source)
        elif role_of(node) in (FUNCTION, TYPE) or (
            kind in ("variable_declarator", "assignment") and _is_function(node)
        ):
            definitions += _defined(node, source)
    definitions.sort(key=lambda found: found.line)
    calls.sort(key=lambda found: found.line)
    return Outline(frozenset(prose), tuple(definitions), tuple(calls))


def _walk(root: Node) -> Iterator[Node]:
    """All named nodes but those inside comments."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if not _COMMENT.search(node.type):
            stack.extend(node.named_children)


def _prose_rows(node: Node, rows: list[bytes], language: str) -> range:
    """Rows that begin in this comment or string; a string's first row is code, unless it is documentation."""
    first, last = node.start_point[0], last_row(node)
    begins_row = not rows[first][: node.start_point[1]].strip()
    is_comment = bool(_COMMENT.search(node.type))
    parent = node.parent
    is_documentation = (
        language == "python" and parent is not None and bool(_STATEMENT_HOLDERS.match(parent.type)) and begins_row
    )
    return range(first if (is_comment and begins_row) or is_documentation else first + 1, last + 1)


def _is_function(node: Node) -> bool:
    value = node.child_by_field_name("value") or node.child_by_field_name("right")
    return value is not None and bool(_FUNCTION_VALUE.match(value.type))


def _defined(node: Node, source: bytes) -> list[Named]:
    name = node.child_by_field_name("name") or node.child_by_field_name("left")
    declarator = node.child_by_field_name("declarator")
    for _ in range(4):  # C: the name is inside its declarators
        if name is None and declarator is not None:
            inner = declarator.child_by_field_name("declarator")
            name, declarator = (declarator, None) if inner is None else (None, inner)
    return _last_part(name, source) if name is not None else []


def _callee(node: Node, source: bytes) -> list[Named]:
    found = next(filter(None, map(node.child_by_field_name, _CALLEE_FIELDS)), None)
    return _last_part(found, source) if found is not None else []


def _last_part(node: Node, source: bytes) -> list[Named]:
    """`h` of `a.g().h`, `B` of `new a.B<T>`; nothing of what has no name, such as a function that is called at once."""
    for _ in range(6):
        if node.type.endswith("identifier") and not node.named_child_count:
            name = source[node.start_byte : node.end_byte].decode(errors="replace")
            return [Named(name, node.start_point[0] + 1)] if name else []
        inner = next(filter(None, map(node.child_by_field_name, _LAST_PART_FIELDS)), None)
        if inner is None:
            named = [child for child in node.named_children if child.type.endswith("identifier")]
            inner = named[-1] if named and "type" in node.type else None
        if inner is None:
            return []
        node = inner
    return []
