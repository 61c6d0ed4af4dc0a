"""Functions with their documentation taken out: what retrieval is trained and measured on.

Owns reading source files out of folders, wheels, sdists and npm tarballs, and splitting each function of Python,
JavaScript or TypeScript into (documentation, code without it). It does not know what is done with the pairs.
"""

import re
import tarfile
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tree_sitter import Node, Parser
from tree_sitter_language_pack import get_parser

LANGUAGES = {".py": "python", ".js": "javascript", ".mjs": "javascript", ".ts": "typescript"}
MAX_BYTES = 400_000
MAX_MEAN_LINE = 120
"""Longer lines on average are bundled or generated code."""

_SKIP = re.compile(
    r"(^|/)(tests?|__tests__|testing|_?vendor(ed)?|_vendored_packages|site-packages|dist-packages|externals?|node_modules"
    r"|umd|cjs|min|locales?|conf/locale)/|\.(min|umd|cjs|test|spec|d)\.(js|ts|mjs)$|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$"
)
_FUNCTIONS = frozenset(
    ["function_definition", "function_declaration", "generator_function_declaration", "method_definition"]
)
_VALUES = frozenset(["arrow_function", "function_expression", "function"])
_PYTHON_BLOCKS = frozenset(["function_definition", "class_definition", "module"])
_TAG = re.compile(r"^@(\w+)\s*(.*)$")
_MARKUP = re.compile(
    r"\[([^\]]+)\]\([^)]*\)|\{@\w+\s+([^}|]*)[^}]*\}|:[a-z:]+:`~?([^`<]*)(?:<[^`]*>)?`|[`*]+|<[^>\n]{1,40}>"
)


@dataclass(frozen=True, slots=True)
class Function:
    """`summary` is the documentation's first paragraph on one line; `code` is dedented and holds no documentation."""

    path: str
    symbol: str
    summary: str
    documentation: str
    code: str

    @property
    def lines(self) -> int:
        """How many lines of code, the signature included."""
        return self.code.count("\n") + 1


def sources(place: Path) -> Iterator[tuple[str, str]]:
    """(path, text) of each hand-written source file in a folder, wheel, sdist or npm tarball, sorted by path.

    Of a package that holds both `src/` and what was built from it, `src/` alone.
    """
    members = sorted(_members(place))
    if any(path.startswith("src/") and not path.endswith(".py") for path, _ in members):
        members = [(path, data) for path, data in members if path.startswith("src/")]
    for path, data in members:
        text = data.decode("utf-8", errors="replace")
        if len(data) <= MAX_BYTES and len(text) <= MAX_MEAN_LINE * (text.count("\n") + 1):
            yield path, text


def _members(place: Path) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for path in place.rglob("*"):
            name = path.relative_to(place).as_posix()
            if _wanted(name) and path.is_file():
                yield name, path.read_bytes()
    elif place.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(place) as archive:
            for member in archive.namelist():
                if _wanted(member):
                    yield member, archive.read(member)
    else:
        with tarfile.open(place) as tar:
            for entry in tar:
                name = entry.name.partition("/")[2]
                if entry.isfile() and _wanted(name):
                    stream = tar.extractfile(entry)
                    assert stream is not None  # noqa: S101 - a regular file has one
                    yield name, stream.read()


def _wanted(path: str) -> bool:
    return Path(path).suffix in LANGUAGES and not _SKIP.search(path)


def functions(path: str, text: str) -> Iterator[Function]:
    """Each function and method of a file, also those without documentation; nested functions are part of theirs."""
    source = text.encode()
    python = path.endswith(".py")
    stack: list[tuple[Node, str]] = [(_parser(LANGUAGES[Path(path).suffix]).parse(source).root_node, "")]
    while stack:
        node, outer = stack.pop()
        found = _function(node)
        if found is None:
            name = node.child_by_field_name("name") if "class" in node.type else None
            inner = f"{outer}.{_text(name, source)}".strip(".") if name is not None else outer
            stack.extend((child, inner) for child in reversed(node.named_children))
            continue
        whole, name = found
        documentation = _docstring(node, source) if python else _comment(whole, source)
        spans = _docstrings(node) if python else _doc_comments(node, source)
        code = _without(source, whole.start_byte, node.end_byte, spans, whole.start_point[1])
        symbol = f"{outer}.{_text(name, source)}".strip(".")
        yield Function(path, symbol, summary(documentation), documentation, code)


@cache
def _parser(language: str) -> Parser:
    return get_parser(language)  # type: ignore[arg-type]


def _text(node: Node, source: bytes) -> str:
    return source[node.start_byte : node.end_byte].decode(errors="replace")


def _function(node: Node) -> tuple[Node, Node] | None:
    """(the statement that documentation stands before, the name) if `node` is a function or is bound to one."""
    name = node.child_by_field_name("name")
    if node.type in _FUNCTIONS and name is not None:
        return _outermost(node), name
    if node.type == "variable_declarator":
        value = node.child_by_field_name("value")
        if _is_function(value) and name is not None and node.parent is not None:
            return _outermost(node.parent), name
    if node.type == "assignment_expression":
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and _is_function(right) and node.parent is not None:
            return node.parent, left
    return None


def _is_function(value: Node | None) -> bool:
    """Also one that is wrapped: `curry(function (a, b) { ... })`."""
    if value is not None and value.type == "call_expression":
        arguments = value.child_by_field_name("arguments")
        return arguments is not None and any(child.type in _VALUES for child in arguments.named_children)
    return value is not None and value.type in _VALUES


def _outermost(node: Node) -> Node:
    """With its decorators and `export`."""
    while node.parent is not None and node.parent.type in {"decorated_definition", "export_statement"}:
        node = node.parent
    return node


def _docstring_node(node: Node) -> Node | None:
    body = node.child_by_field_name("body") or (node if node.type == "module" else None)
    first = next((child for child in body.named_children if child.type != "comment"), None) if body else None
    return first if first is not None and first.type in {"string", "concatenated_string"} else None


def _docstring(node: Node, source: bytes) -> str:
    found = _docstring_node(node)
    if found is None:
        return ""
    quoted = re.sub(r"^[rRuUbBfF]*(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$", "", _text(found, source).strip())
    first, _, rest = quoted.partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".strip()


def _docstrings(node: Node) -> list[Node]:
    found, stack = [], [node]
    while stack:
        inner = stack.pop()
        if inner.type in _PYTHON_BLOCKS and (docstring := _docstring_node(inner)) is not None:
            found.append(docstring)
        stack.extend(inner.named_children)
    return found


def _comment(node: Node, source: bytes) -> str:
    before = node.prev_named_sibling
    if before is None or before.type != "comment" or node.start_point[0] - before.end_point[0] > 2:
        return ""
    raw = _text(before, source)
    if not raw.startswith("/**"):
        return ""
    lines = [re.sub(r"^\s*\*? ?", "", line) for line in raw[3:].removesuffix("*/").split("\n")]
    return "\n".join(line.rstrip() for line in lines).strip()


def _doc_comments(node: Node, source: bytes) -> list[Node]:
    found, stack = [], [node]
    while stack:
        inner = stack.pop()
        if inner.type == "comment" and source[inner.start_byte : inner.start_byte + 3] == b"/**":
            found.append(inner)
        stack.extend(inner.named_children)
    return found


def _without(source: bytes, start: int, end: int, spans: list[Node], indent: int) -> str:
    parts, at = [b" " * indent], start
    for span in sorted(spans, key=lambda node: node.start_byte):
        if at <= span.start_byte < end:
            parts.append(source[at : span.start_byte])
            at = span.end_byte
    parts.append(source[at:end])
    lines = b"".join(parts).decode(errors="replace").split("\n")
    return textwrap.dedent("\n".join(line.rstrip() for line in lines if line.strip()))


def summary(documentation: str) -> str:
    """The first paragraph on one line, without markup; of a comment that starts with tags, its description."""
    lines = documentation.split("\n")
    if lines and _TAG.match(lines[0]):
        lines = _described(lines)
    paragraph: list[str] = []
    for line in lines:
        stop = _TAG.match(line) or line.startswith((">>>", "..", "Args:", "Returns:", ":param", "---", "```"))
        if paragraph and (not line.strip() or stop):
            break
        if line.strip() and not stop:
            paragraph.append(line.strip())
    plain = _MARKUP.sub(lambda found: next(filter(None, found.groups()), ""), " ".join(paragraph))
    return re.sub(r"\s+", " ", plain).strip()


def _described(lines: list[str]) -> list[str]:
    for wanted in ("description", "summary", "desc"):
        for number, line in enumerate(lines):
            tag = _TAG.match(line)
            if tag is not None and tag[1] == wanted:
                return [tag[2], *lines[number + 1 :]] if tag[2] else lines[number + 1 :]
    return []
