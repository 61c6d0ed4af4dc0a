"""Brackets around a cursor: which stand open, which a text may close.

Owns a scan that knows strings and comments by the looks they have in most languages. It knows no grammar, so it is
sometimes wrong; it errs on the side of letting text stand. Pure.
"""

import re
from collections.abc import Iterator
from typing import Final

PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_DEEPEST: Final = 100

_TOKEN: Final = re.compile(
    r'"""[\s\S]*?(?:"""|\Z)'
    r"|'''[\s\S]*?(?:'''|\Z)"
    # Strings have a bound: without it a long line of quotes that are not closed would take quadratic time.
    r'|"(?:\\.|[^"\\\n]){0,1000}"'
    r"|`(?:\\.|[^`\\\n]){0,1000}`"
    r"|<'\w+(?:, *'\w+)*|&'\w+"  # Rust's lifetimes are no strings
    r"|(?<!\w)[rbfuRBFU]{0,2}'(?:\\.|[^'\\\n]){0,1000}'"
    r"|//[^\n]*|(?<!\S)#(?=\s)[^\n]*"
    r"|(?<![\w.*/])/\*[\s\S]*?(?:\*/|\Z)"
    r"|[()\[\]{}]"
)


def within(text: str, left: str, right: str) -> str:
    """`text` up to the first bracket that is not its to close: neither it opened it, nor `closable` has it.

    >>> within("x, y)", "f(", ")"), within("x, y)", "f(", ""), within("g(x))", "f(", "")
    ('x, y', 'x, y)', 'g(x))')
    """
    if not any(closer in text for closer in PAIRS.values()):
        return text
    may_close = iter(closable(left, right))
    expected: list[str] = []
    for at, bracket in _scan(left + text, len(left)):
        if bracket in PAIRS:
            expected.append(PAIRS[bracket])
        elif bracket != (expected.pop() if expected else next(may_close, "")):
            return text[: at - len(left)]
    return text


def closable(left: str, right: str) -> str:
    """The closing brackets that may be written between `left` and `right`, innermost first.

    Those that `right` closes are not among them: of the brackets open in `left` as many may be closed as leave the
    closing ones of `right` their own.

    >>> closable("f(g([", ""), closable("f(g(", ")"), closable("{ f(", "; }")
    (']))', ')', ')')
    """
    expected: list[str] = []
    closing: list[str] = []
    own: list[str] = []
    for at, bracket in _scan(left + right, 0):
        before = at < len(left)
        stack = expected if before else own
        if bracket in PAIRS:
            stack.append(PAIRS[bracket])
        elif bracket in stack:
            while stack.pop() != bracket:
                pass
        elif not before:
            own.clear()
            closing.append(bracket)
    inner = expected[: -_DEEPEST - 1 : -1]

    def served(closed: int) -> int:
        """How many closing brackets of `right` find their own once so many are closed."""
        pairs = list(zip(inner[closed:], closing[:_DEEPEST], strict=False))
        return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))

    return "".join(inner[: max(range(len(inner) + 1), key=lambda closed: (served(closed), closed))])


def imbalance(text: str) -> int:
    """How many brackets and quotes of a text lack their other half."""
    expected: list[str] = []
    alone = 0
    for _, bracket in _scan(text, 0):
        if bracket in PAIRS:
            expected.append(PAIRS[bracket])
        elif expected and expected[-1] == bracket:
            expected.pop()
        else:
            alone += 1
    return alone + len(expected) + sum(text.count(quote) % 2 for quote in "\"'`")


def _scan(text: str, start: int) -> Iterator[tuple[int, str]]:
    """Where brackets stand from `start` on, outside strings and comments."""
    for token in _TOKEN.finditer(text):
        if token.start() >= start and (token[0] in PAIRS or token[0] in ")]}"):
            yield token.start(), token[0]
