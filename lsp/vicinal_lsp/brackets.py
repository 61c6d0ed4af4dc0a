"""Brackets around a cursor: which stand open, which a text may close.

Owns a scan that knows strings and comments by the looks they have in most languages. It knows no grammar, so it is
sometimes wrong; it errs on the side of letting text stand. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_DEEPEST: Final = 100

# Each alternative begins with a letter of its own, and a string has few escapes: the first lets the scan skip what
# begins none, the second keeps it linear where many quotes are not closed.
_TOKEN: Final = re.compile(
    r'"""[\s\S]*?(?:"""|\Z)'
    r"|'''[\s\S]*?(?:'''|\Z)"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*){0,50}"'
    r"|`[^`\\\n]*(?:\\.[^`\\\n]*){0,50}`"
    r"|<'\w+(?:, *'\w+)*|&'\w+"  # Rust's lifetimes are no strings
    r"|'(?:(?<!\w')|(?<=\W[rbfuRBFU]')|(?<=\W[rbfRBF]{2}'))[^'\\\n]*(?:\\.[^'\\\n]*){0,50}'"
    r"|//[^\n]*|#(?<!\S#)(?=\s)[^\n]*"
    r"|/(?<![\w.*/]/)\*[\s\S]*?(?:\*/|\Z)"
    r"|\(|\)|\[|\]|\{|\}"
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A place between two texts, and what may be written there.

    Attributes:
        closable: the closing brackets that may be written, innermost first.
        left: the text before.
        settled: the offset in `left` up to which no text in the gap can change what is a string or a comment.
    """

    closable: str
    left: str
    settled: int

    def within(self, text: str) -> str:
        """`text` up to the first bracket that is not its to close: neither it opened it, nor `closable` has it.

        >>> gap("f(", ")").within("x, y)"), gap("f(", "").within("x, y)"), gap("f(", "").within("g(x))")
        ('x, y', 'x, y)', 'g(x))')
        """
        may_close = iter(self.closable)
        expected: list[str] = []
        start = len(self.left)
        for token in _brackets(self.left + text, self.settled):
            if token.start() < start:
                continue
            if token[0] in PAIRS:
                expected.append(PAIRS[token[0]])
            elif token[0] != (expected.pop() if expected else next(may_close, "")):
                return text[: token.start() - start]
        return text


def gap(left: str, right: str) -> Gap:
    """The place between `left` and `right`.

    Of the brackets open in `left` as many may be closed as leave the closing ones of `right` their own.

    >>> [gap(*texts).closable for texts in [("f(g([", ""), ("f(g(", ")"), ("{ f(", "; }")]]
    [']))', ')', ')']
    """
    expected: list[str] = []
    own: list[str] = []
    closing: list[str] = []
    settled = 0
    for token in _TOKEN.finditer(left + right):
        before = token.end() <= len(left)
        if token.end() < len(left):
            settled = token.end()
        stack = expected if before else own
        if token[0] in PAIRS:
            stack.append(PAIRS[token[0]])
        elif token[0] in stack:
            while stack.pop() != token[0]:
                pass
        elif not before and token[0] in PAIRS.values():
            own.clear()
            closing.append(token[0])
    inner = expected[: -_DEEPEST - 1 : -1]

    def served(closed: int) -> int:
        """How many closing brackets of `right` find their own once so many are closed."""
        pairs = list(zip(inner[closed:], closing[:_DEEPEST], strict=False))
        return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))

    closed = max(range(len(inner) + 1), key=lambda count: (served(count), count))
    return Gap("".join(inner[:closed]), left, settled)


def imbalance(text: str) -> int:
    """How many brackets and quotes of a text lack their other half."""
    expected: list[str] = []
    alone = 0
    for token in _brackets(text):
        if token[0] in PAIRS:
            expected.append(PAIRS[token[0]])
        elif expected and expected[-1] == token[0]:
            expected.pop()
        else:
            alone += 1
    return alone + len(expected) + sum(text.count(quote) % 2 for quote in "\"'`")


def _brackets(text: str, start: int = 0) -> Iterator[re.Match[str]]:
    """The brackets outside strings and comments, from `start` on."""
    return (token for token in _TOKEN.finditer(text, start) if token.end() == token.start() + 1)
