"""Typed ahead: if the user types what an answer said, the rest of it is the next answer.

Owns the last answer of each document. It does not know how answers come about.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from vicinal_daemon.protocol import Answer
from vicinal_daemon.target import Target
from vicinal_indexer.types import digest

DOCUMENTS = 256


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, and digests of the text before and after it."""

    length: int
    left: str
    right: str
    lines: int
    answer: Answer


class TypedAhead:
    """The last answer of each document, with the text that it was given for."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()

    def remember(self, document: Hashable, target: Target, answer: Answer) -> None:
        """This was answered there. An empty answer is not worth remembering: the next one may know more."""
        self._said.pop(document, None)
        if answer.completion.text and not target.hidden:
            left, right = digest(target.left), digest(target.right)
            self._said[document] = _Said(len(target.left), left, right, target.lines, answer)
            if len(self._said) > DOCUMENTS:
                self._said.popitem(last=False)

    def rest(self, document: Hashable, target: Target) -> Answer | None:
        """What is left of the last answer, if all that happened since is that a beginning of it was typed."""
        said = self._said.get(document)
        if said is None or target.hidden or said.lines != target.lines:
            return None
        typed, text = target.left[said.length :], said.answer.completion.text
        if not text.startswith(typed) or len(typed) == len(text):
            return None
        if (digest(target.left[: said.length]), digest(target.right)) != (said.left, said.right):
            return None
        completion = said.answer.completion.model_copy(update={"text": text[len(typed) :], "seconds": 0.0})
        return said.answer.model_copy(
            update={"line": target.line, "column": target.column, "completion": completion, "typed_ahead": True}
        )

    def forget(self, document: Hashable) -> None:
        """The last answer is not to be repeated."""
        self._said.pop(document, None)
