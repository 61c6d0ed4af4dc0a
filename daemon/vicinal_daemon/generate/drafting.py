"""Writing several tokens for one reading: what the repository would say is guessed, read at once, and kept as far as it
is what would have been written anyway.

Owns the guesses that were read but not yet written. What is written is the same with and without them, up to the
rounding of the model's numbers. It knows no framework.

Speculative decoding (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", 2023; the greedy
case) with a lookup in place of a draft model (Saxena, "Prompt Lookup Decoding", 2023).
"""

from collections.abc import Container, Iterator, Sequence
from typing import Protocol

from vicinal_daemon.generate.decode import Logits
from vicinal_daemon.generate.engine import READ_AT_ONCE, Guess

MOST = 5
"""Tokens that are guessed at once: more are right less often, and a CPU reads them less cheaply."""


class Reader(Protocol):
    """What has read a text, and reads on."""

    def read(self, tokens: list[int], wanted: int) -> Logits | None:
        """Read on; the (wanted, V) logits behind the last tokens, None if it was cancelled."""
        ...

    def unread(self, count: int) -> None:
        """Take back the last `count` tokens that were read."""
        ...

    @property
    def can_unread(self) -> bool:
        """Whether tokens could be taken back now."""
        ...


class Drafting:
    """A `decode.NextLogits` over a reader.

    Args:
        guess: what might come next; None guesses nothing.
        lasts: tokens behind which nothing is guessed: a line often ends the text.

    Attributes:
        guessed: tokens that were guessed and then written.
    """

    def __init__(self, reader: Reader, guess: Guess | None, lasts: Container[int] = ()) -> None:
        self._reader, self._guess, self._lasts = reader, guess, lasts
        self._said: list[int] = []
        self._ahead: list[int] = []  # read, and not yet asked for
        self._rows: list[Logits] = []  # behind each of them
        self.guessed = 0

    def __call__(self, tokens: list[int]) -> Logits | None:
        """The (V,) logits behind `tokens`, which come behind all of the calls before."""
        self._said += tokens
        if self._ahead and tokens == self._ahead[:1]:
            del self._ahead[0]
            self.guessed += 1
            return self._rows.pop(0)
        if self._ahead:
            self._reader.unread(len(self._ahead))
        self._ahead = self._guesses()
        rows = self._reader.read([*tokens, *self._ahead], 1 + len(self._ahead))
        if rows is None:
            return None
        self._rows = list(rows)
        return self._rows.pop(0)

    def _guesses(self) -> list[int]:
        if self._guess is None or not self._reader.can_unread:
            return []
        guesses = list(self._guess(self._said, MOST))
        end = next((at for at, token in enumerate(guesses, start=1) if token in self._lasts), len(guesses))
        return guesses[:end]


def pieces(tokens: Sequence[int], wanted: int) -> Iterator[list[int]]:
    """`tokens` in pieces of at most READ_AT_ONCE; the last one may have `wanted` more, and has all of those."""
    last = max(0, (len(tokens) - wanted) // READ_AT_ONCE * READ_AT_ONCE)
    for start in range(0, last, READ_AT_ONCE):
        yield list(tokens[start : start + READ_AT_ONCE])
    yield list(tokens[last:])
