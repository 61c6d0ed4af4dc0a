"""The contract of an engine, and the text it produces.

Owns the types; knows no framework.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.prompt import Prompt

StopRule = Callable[[str], bool]
Cancelled = Callable[[], bool]
Mix = Callable[[Sequence[int], NDArray[np.float32]], NDArray[np.float32]]
"""What the repository says of the next token, mixed in: (tokens so far, (V,) log p of the model) -> (V,) log p."""


Guess = Callable[[Sequence[int], int], Sequence[int]]
"""What the repository takes for the next tokens: (tokens so far, so many at most) -> tokens, none if it has no idea."""


class Recall(Protocol):
    """A memory of the repository's tokens, as it is asked while a text is written."""

    def mix(self, context: Sequence[int], said: NDArray[np.float32], /) -> NDArray[np.float32]:
        """See `Mix`."""
        ...

    def guess(self, context: Sequence[int], most: int, /) -> Sequence[int]:
        """See `Guess`."""
        ...


READ_AT_ONCE = 256
"""Tokens of a prompt that are read between two questions whether it was cancelled."""


class How(TypedDict, total=False):
    """How a prompt is continued; see `Engine.generate`."""

    max_tokens: Required[int]
    cancelled: Cancelled
    rank: int
    memory: Recall | None


@dataclass(frozen=True, slots=True)
class Generated:
    """Text from the cursor on, untrimmed.

    Attributes:
        text: without the bytes that only healed the prompt.
        log_probabilities: natural log p of each token that put at least one byte into `text`, with the mass
            renormalised over the tokens that healing allowed.
        spans: [start, end) in characters of `text` for each of them.
        unmixed: log p of the same tokens under the model without the memory.
        prompt_tokens: of the prompt, without those that healing took back.
        read_tokens: of these, the ones that had to be read; the others were known from before.
        read_seconds: that reading them took.
        tokens: generated, with those that only healed.
        guessed: of these, the ones that needed no reading of their own.
        finished: whether it ended by itself, by an end token or the stop rule.
        first_entropy: in nats, of the distribution from which the first of `log_probabilities` was taken, after
            healing; 0 if there is none.
    """

    text: str
    log_probabilities: tuple[float, ...]
    spans: tuple[tuple[int, int], ...]
    prompt_tokens: int
    unmixed: tuple[float, ...] = ()
    read_tokens: int = 0
    read_seconds: float = field(default=0.0, compare=False)
    tokens: int = 0
    guessed: int = 0
    finished: bool = False
    first_entropy: float = 0.0

    def shown(self, text: str) -> tuple[float, ...]:
        """log p of the tokens that are in `text`, a beginning of what was generated."""
        return self._inside(text, self.log_probabilities)

    def shown_unmixed(self, text: str) -> tuple[float, ...]:
        """As `shown`, under the model without the memory."""
        return self._inside(text, self.unmixed)

    def _inside(self, text: str, values: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(value for (start, _), value in zip(self.spans, values, strict=True) if start < len(text))

    def least_sure(self, text: str) -> str:
        """The least likely token in `text`, a beginning of what was generated; "" if there is none."""
        shown = self.shown(text)
        if not shown:
            return ""
        start, end = self.spans[shown.index(min(shown))]
        return text[start:end]


class Engine(Protocol):
    """Runs a language model to continue prompts. What can also be tuned is a `TransformersEngine`."""

    name: str
    device_name: str
    codec: Codec

    def generate(self, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """Continue the prompt greedily until `stop(text)`, an end token, `max_tokens`, or `cancelled()`.

        Another `rank` than 0 writes something else: see `decode.greedy`. A memory has its say at each token, and
        guesses what comes next, which saves readings (`drafting`).
        """
        ...
