"""The contract of an engine, and the text it produces.

Owns the types; knows no framework.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vicinal_daemon.generate.prompt import FillInTheMiddle, Prompt

StopRule = Callable[[str], bool]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model thought of a text that it was given.

    Attributes:
        spans: [start, end) in characters of each scored token.
        log_probabilities: natural log p of each scored token given all before it.
    """

    spans: tuple[tuple[int, int], ...]
    log_probabilities: tuple[float, ...]

    def between(self, start: int, end: int) -> list[float]:
        """log p of the tokens that reach into [start, end); one that straddles an edge counts on its right."""
        return [
            value
            for (_, stop), value in zip(self.spans, self.log_probabilities, strict=True)
            if start < stop <= end
        ]


@dataclass(frozen=True, slots=True)
class Generated:
    """Text from the cursor on, untrimmed.

    Attributes:
        text: without the bytes that only healed the prompt.
        log_probabilities: natural log p of each token that put at least one byte into `text`, with the mass
            renormalised over the tokens that healing allowed.
        spans: [start, end) in characters of `text` for each of them.
        prompt_tokens: tokens that were read.
    """

    text: str
    log_probabilities: tuple[float, ...]
    spans: tuple[tuple[int, int], ...]
    prompt_tokens: int


class Engine(Protocol):
    """Runs a language model: reads, scores, writes."""

    name: str
    fill_in_the_middle: FillInTheMiddle | None

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """[start, end) in characters of each token of `text`."""
        ...

    def score(self, text: str, start: int) -> Scores:
        """Score each token of `text` that ends behind character `start`."""
        ...

    def generate(
        self, prompt: Prompt, stop: StopRule, *, max_tokens: int, cancelled: Cancelled = lambda: False
    ) -> Generated:
        """Continue the prompt greedily until `stop(text)`, an end token, `max_tokens`, or `cancelled()`."""
        ...
