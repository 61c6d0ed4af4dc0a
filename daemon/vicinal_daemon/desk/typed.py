"""Typed ahead: if the user types what an answer said, the rest of it is the next answer.

Owns the last answer of each document. It does not know how answers come about.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from vicinal_daemon.config import Settings
from vicinal_daemon.protocol import Answer, Text
from vicinal_daemon.target import Target
from vicinal_indexer.types import digest

DOCUMENTS = 256


@dataclass(frozen=True, slots=True)
class _Said:
    """An answer, and digests of the text around it."""

    length: int
    left: str
    around: str
    settings: Settings
    revision: object
    answer: Answer
    alternatives: int


class TypedAhead:
    """The last answer of each document, with the text that it was given for."""

    def __init__(self) -> None:
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()

    def remember(
        self,
        document: Hashable,
        target: Target,
        settings: Settings,
        revision: object,
        answer: Answer,
        alternatives: int = 0,
    ) -> None:
        """This was answered there, in this state of the index, to a request for so many alternatives.

        An empty answer is not worth remembering.
        """
        self._said.pop(document, None)
        if answer.completion.text:
            left, around = digest(target.left), _around(target)
            self._said[document] = _Said(len(target.left), left, around, settings, revision, answer, alternatives)
            if len(self._said) > DOCUMENTS:
                self._said.popitem(last=False)

    def clear(self) -> None:
        """Forget all of them."""
        self._said.clear()

    def rest(
        self, document: Hashable, target: Target, settings: Settings, revision: object, alternatives: int = 0
    ) -> Answer | None:
        """What is left of the last answer, if all that happened since is that a beginning of it was typed.

        The very same request is answered by the very same answer only if nothing better is to be had: no tuning went on
        behind it, and the index is as it was. Alternatives that do not begin with what was typed are none any more; who
        wants more of them than were written is not answered from here.
        """
        said = self._said.get(document)
        if said is None or said.settings != settings or said.alternatives < alternatives:
            return None
        typed, text = target.left[said.length :], said.answer.completion.text
        if not text.startswith(typed) or len(typed) == len(text):
            return None
        if not typed and (said.answer.adaptation.behind or said.revision != revision):
            return None
        if (digest(target.left[: said.length]), _around(target)) != (said.left, said.around):
            return None
        others = [other for other in said.answer.alternatives if _goes_on(other, typed)][:alternatives]
        adaptation = said.answer.adaptation
        if adaptation.kind == "fresh":  # it was, for the answer before
            adaptation = adaptation.model_copy(update={"kind": "cached"})
        return said.answer.model_copy(
            update={
                "line": target.line,
                "column": target.column,
                "completion": _rest_of(said.answer.completion, typed),
                "alternatives": [_rest_of(other, typed) for other in others],
                "adaptation": adaptation,
                "typed_ahead": True,
            }
        )


def _goes_on(said: Text, typed: str) -> bool:
    return said.text.startswith(typed) and bool(said.text[len(typed) :].strip())


def _rest_of(said: Text, typed: str) -> Text:
    return said.model_copy(update={"text": said.text[len(typed) :], "seconds": 0.0})


def _around(target: Target) -> str:
    """What must be the same: all but the text before the cursor. Nobody types into a region that is hidden."""
    return digest(f"{target.lines} {target.hidden}\0{target.right}")
