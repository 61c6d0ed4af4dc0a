"""Brackets around a cursor: which stand open, which a text may close.

Owns a scan that knows strings and comments by the looks they have in most languages. It knows no grammar, so it is
sometimes wrong; it errs on the side of letting text stand. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PAIRS: Final = {"(": ")", "[": "]", "{": "}"}
_CLOSING: Final = frozenset(PAIRS.values())
_TELLING: Final = re.compile(r"[\n\"'`/#*]")
"""What may begin or end a string or a comment."""

_DEEPEST: Final = 100

# Each alternative begins with a letter of its own, and a string has few escapes: the first lets the scan skip what
# begins none, the second keeps it linear where many quotes are not closed. What is long is not looked at letter by
# letter: `[^"]*+` runs four times as fast as `[\s\S]*?`.
_TOKEN: Final = re.compile(
    r'"""[^"]*+(?:"(?!"")[^"]*+)*+(?:"""|\Z)'
    r"|'''[^']*+(?:'(?!'')[^']*+)*+(?:'''|\Z)"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*){0,50}"'
    r"|`[^`\\\n]*(?:\\.[^`\\\n]*){0,50}`"
    r"|<'\w+(?:, *'\w+)*|&'\w+"  # Rust's lifetimes are no strings
    r"|'(?:(?<!\w')|(?<=\W[rbfuRBFU]')|(?<=\W[rbfRBF]{2}'))[^'\\\n]*(?:\\.[^'\\\n]*){0,50}'"
    r"|//[^\n]*|#(?<!\S#)(?=\s)[^\n]*"
    r"|/(?<![\w.*/]/)\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)"
    r"|\(|\)|\[|\]|\{|\}"
)


@dataclass(frozen=True, slots=True)
class Gap:
    """A place between two texts, and what may be written there.

    Attributes:
        left: the text before.
        settled: the offset in `left` up to which no text in the gap can change what is a string or a comment.
        opened: the closing brackets that `left` calls for, innermost first.
        closing: those of `right` that close none of its own.
        closable: how many of `opened` may be written: as many as leave `closing` its own.
        at_line_end: whether nothing follows on the line.
    """

    left: str
    settled: int
    opened: str
    closing: str
    closable: int
    at_line_end: bool

    def within(self, text: str) -> str:
        """`text` up to the first bracket that is not its to close: neither it opened it, nor is it `closable`.

        At a line's end it may close more if it opens as many anew, as in `} else {`: the brackets below close those.

        >>> gap("f(", ")").within("x, y)"), gap("f(", "").within("x, y)"), gap("f(", "").within("g(x))")
        ('x, y', 'x, y)', 'g(x))')
        >>> gap("if a {", "\\n}").within("} else {"), gap("if a {", "\\n}").within("b }")
        ('} else {', 'b ')
        """
        start = len(self.left)
        expected: list[str] = []
        closed, lawful, end = 0, len(text), len(text)
        for token in _brackets(self.left + text, self.settled):
            at = token.start() - start
            if at < 0:
                continue
            if token[0] in PAIRS:
                expected.append(PAIRS[token[0]])
            elif expected and expected[-1] == token[0]:
                expected.pop()
            elif not expected and self.opened[closed : closed + 1] == token[0]:
                lawful = at if closed == self.closable else lawful
                closed += 1
            else:
                end = at
                break
        left_open = "".join(reversed(expected)) + self.opened[closed:]
        reopened = self.at_line_end and _served(left_open, self.closing) >= _served(self.opened, self.closing)
        return text[: end if reopened else min(lawful, end)]


def gap(left: str, right: str) -> Gap:
    """The place between `left` and `right`.

    >>> [(place.opened, place.closable) for place in (gap("f(g([", ""), gap("f(g(", ")"), gap("{ f(", "; }"))]
    [(']))', 3), ('))', 1), (')}', 1)]
    """
    expected: list[str] = []
    own: list[str] = []
    closing: list[str] = []
    settled, border = 0, len(left)
    for token in _TOKEN.finditer(left + right):
        sign, end = token[0], token.end()
        before = end <= border
        if end < border:
            settled = end
        stack = expected if before else own
        if sign in PAIRS:
            stack.append(PAIRS[sign])
        elif sign in stack:
            while stack.pop() != sign:
                pass
        elif not before and sign in _CLOSING:
            own.clear()
            closing.append(sign)
    opened = "".join(expected[: -_DEEPEST - 1 : -1])
    closers = "".join(closing[:_DEEPEST])
    closable = max(range(len(opened) + 1), key=lambda count: (_served(opened[count:], closers), count))
    return Gap(left, settled, opened, closers, closable, not right.partition("\n")[0].strip())


def _served(opened: str, closing: str) -> int:
    """How many of `closing` find their own, one after another."""
    pairs = list(zip(opened, closing, strict=False))
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(pairs))


def closes(text: str) -> bool:
    """Whether a text may close brackets that it does not open. If not, `Gap.within` is the text itself in every gap.

    >>> closes("f(x)"), closes("x)"), closes("x"), closes("f(')')")
    (False, True, False, True)
    """
    if _CLOSING.isdisjoint(text):
        return False
    if _TELLING.search(text):
        return True
    expected: list[str] = []
    for sign in text:
        if sign in PAIRS:
            expected.append(PAIRS[sign])
        elif sign in _CLOSING and not (expected and expected.pop() == sign):
            return True
    return False


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
    return (token for token in _TOKEN.finditer(text, start) if token[0] in PAIRS or token[0] in _CLOSING)
