"""The form of an answer: when to ask for one, how long it may be, and what of a generated text is shown.

Owns the rules by which a completion fits the buffer around the cursor. It does not know where texts come from, nor
positions. It looks at most at `_ABOVE` characters before the cursor and `_BELOW` after it. Pure.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from vicinal_lsp import brackets
from vicinal_lsp.indentation import lead, restyled, width

Trigger = Literal["invoked", "automatic"]

_ABOVE: Final = 8_000
_BELOW: Final = 4_000
_TELLING: Final = 3
"""A line with more characters tells something: `}` and `fi` repeat everywhere."""

_NEAR: Final = 500
_PARTLY: Final = 40
"""Characters behind the cursor whose beginning is looked for at the end of a text, if not all of them are there."""

_MAY_FOLLOW: Final = re.compile(r"[\s)\]}>\"'`;,:]*\Z")
_OPENER: Final = re.compile(r"(?:[:{(\[=]|=>|->|\b(?:then|do|begin))\Z")
_INLINE_OPENER: Final = re.compile(r"(?:[{(\[]|=>|\b(?:then|do|begin))\Z")
_COLON_BLOCK: Final = re.compile(
    r"\s*(?:async|case|class|def|default|elif|else|except|finally|for|if|match|try|while|with|"
    r"public|private|protected)\b"
)
_COMPARISON: Final = re.compile(r"[=!<>]=\Z")
_COMMENT: Final = re.compile(r"(?:^|\s)(?://|#(?=\s)).*\Z")
_DESCRIPTION: Final = re.compile(r"\s*(?://|#(?:\s|\Z)|--\s|/\*|\*)|.*(?:\"\"\"|'''|\*/)\s*\Z")
_GOES_ON: Final = re.compile(r"[)\]}]|(?:case|default|elif|else|except|finally|catch|rescue|ensure|when|end|fi|done)\b")
_COLON_LANGUAGES: Final = frozenset({"", "python", "cython", "nim", "gdscript", "starlark", "mojo", "yaml"})


@dataclass(frozen=True)
class _View:
    """The buffer around the cursor, with plain newlines."""

    left: str
    right: str

    @cached_property
    def above(self) -> list[str]:
        return self.left.split("\n")

    @cached_property
    def below(self) -> list[str]:
        return self.right.split("\n")[1:]

    @cached_property
    def gap(self) -> brackets.Gap:
        return brackets.gap(self.left, self.right)

    @property
    def row(self) -> str:
        """The cursor's line, up to the cursor."""
        return self.left[self.left.rfind("\n") + 1 :]

    @property
    def rest(self) -> str:
        """The cursor's line, from the cursor on."""
        return self.right.partition("\n")[0]

    @cached_property
    def following(self) -> list[str]:
        """The lines below that are not blank, without white space around them."""
        return [line.strip() for line in self.below if line.strip()]


def _view(left: str, right: str) -> _View:
    return _View(_plain(left[-_ABOVE:]), _plain(right[:_BELOW]))


def _plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def may_ask(left: str, right: str, *, invoked: Trigger) -> bool:
    """Whether a completion is wanted here.

    Always if `invoked`. An automatic one is not wanted inside a word, nor before code: behind the cursor its line may
    have closing brackets, quotes, `;`, `,`, `:` and white space. Nor is it where a line has just been finished.

    >>> may_ask("print(", ")", invoked="automatic"), may_ask("pri", "nt", invoked="automatic")
    (True, False)
    """
    if invoked == "invoked":
        return True
    rest = _view("", right).rest
    finished = left.endswith((";", "}")) and not rest.strip()
    return _MAY_FOLLOW.match(rest) is not None and not finished


def wanted_lines(left: str, right: str, most: int, language: str = "") -> int:
    """How many lines to ask for: `most` where a block begins, or a comment describes what comes; else 1.

    Args:
        language: the LSP's name of it; "" if it is not known. It tells whether `:` opens a block.
    """
    view = _view(left, right)
    if view.rest.strip():
        return 1
    if view.row.strip():
        return most if _opens_inline(view.row) else 1
    code = next((line for line in reversed(view.above) if line.strip()), "")
    described = len(view.above) > 1 and _DESCRIPTION.match(view.above[-2]) is not None
    return most if described or _opens(_COMMENT.sub("", code).rstrip(), language) else 1


def _opens(code: str, language: str) -> bool:
    """Whether a line that ends so is followed by what belongs to it."""
    if code.endswith(":"):
        return language in _COLON_LANGUAGES or _COLON_BLOCK.match(code) is not None
    return _OPENER.search(code) is not None and _COMPARISON.search(code) is None


def _opens_inline(row: str) -> bool:
    """Whether a block may begin right behind `row`; behind a space or a `=` a line goes on."""
    return _INLINE_OPENER.search(row) is not None or (row.endswith(":") and _COLON_BLOCK.match(row) is not None)


def shaped(text: str, left: str, right: str, *, most_lines: int, newline: str) -> str:
    """What is shown of `text` between `left` and `right`; "" if nothing is.

    It has at most `most_lines` lines that are not blank and ends where the block of the cursor ends; repeats nothing
    that stands behind the cursor or below; closes no bracket of others; is indented as the file is; ends without
    white space. Shaping twice changes nothing.

    Args:
        most_lines: 1 or more.
        newline: the line end of the file.
    """
    view = _view(left, right)
    before, text = None, _plain(text)
    # What one rule takes away can bring another into play: until none does.
    while text != before:
        before, text = text, _shaped_once(text, view, most_lines)
    return text.replace("\n", newline)


def _shaped_once(text: str, view: _View, most_lines: int) -> str:
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    lines = restyled(lines, view.above, view.below)
    lines = _first(lines, most_lines, view)
    lines = _block(lines, view)
    lines = _unrepeated(lines, view)
    text = _before_rest("\n".join(lines), view)
    return (view.gap.within(text) if brackets.closes(text) else text).rstrip()


def _first(lines: list[str], most: int, view: _View) -> list[str]:
    """Up to the last wanted line; the cursor's own counts if there is code on it."""
    counted = [at for at, line in enumerate(lines) if line.strip() or (at == 0 and view.row.strip())]
    return lines[: counted[most]] if len(counted) > most else lines


def _block(lines: list[str], view: _View) -> list[str]:
    """Up to the end of the block that the cursor is in, or that its line opens."""
    code = bool(view.row.strip())
    floor = width(view.row if code else view.row + lead(lines[0]))
    opens = code and not view.rest.strip() and _opens(view.row.rstrip(), "")
    for at, line in enumerate(lines):
        if at == 0 or not line.strip():
            continue
        if width(line) < floor or (opens and width(line) == floor and not _GOES_ON.match(line.lstrip())):
            return lines[:at]
    return lines


def _unrepeated(lines: list[str], view: _View) -> list[str]:
    """Up to where the lines repeat those below."""
    following = view.following
    whole = [(view.row + line if at == 0 else line).strip() for at, line in enumerate(lines)]
    if following and len(following[0]) > _TELLING:
        for at, line in enumerate(whole):
            if following[0] in (line, (line + view.rest).strip()):
                return lines[:at]
    filled = [at for at, line in enumerate(whole) if line]
    for count in range(min(len(filled), len(following)), 1, -1):
        tail = [whole[at] for at in filled[-count:]]
        if tail == following[:count] and any(len(line) > _TELLING for line in tail):
            return lines[: filled[-count]]
    return lines


def _before_rest(text: str, view: _View) -> str:
    """`text` without a tail that stands behind the cursor already, where brackets and quotes need it only once."""
    rest = view.rest.strip()
    for size in (len(rest), *range(min(len(rest) - 1, _PARTLY), 0, -1)):
        if size and text.endswith(rest[:size]):
            better = _imbalance(text, view) - _imbalance(text[:-size], view)
            if better > 0 or (better == 0 and size == len(rest)):
                return text[:-size]
    return text


def _imbalance(text: str, view: _View) -> int:
    return brackets.imbalance(view.row[-_NEAR:] + text + view.rest[:_NEAR])


def next_word(text: str) -> str:
    """What accepting a word takes: white space, then a word or a run of signs.

    >>> next_word(" foo.bar()"), next_word(".bar()"), next_word("()")
    (' foo', '.', '()')
    """
    found = re.match(r"\s*(?:\w+|[^\w\s]+|\Z)", text)
    return found[0] if found else text


def next_line(text: str) -> str:
    r"""What accepting a line takes: up to the end of the first line that is not blank.

    >>> next_line("a)\n    b"), next_line("\n    b\n")
    ('a)', '\n    b')
    """
    found = re.match(r"\s*[^\r\n]*", text)
    return found[0] if found else text
