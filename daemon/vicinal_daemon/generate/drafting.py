"""Writing several tokens for one reading: what the repository would say is guessed, read at once, and kept as far as it
is what would have been written anyway.

Owns the guesses that were read but not yet written. What is written is the same with and without them, up to the
rounding of the model's numbers. It knows no framework.

Speculative decoding (Leviathan et al., "Fast Inference from Transformers via Speculative Decoding", 2023; the greedy
case) with a lookup in place of a draft model (Saxena, "Prompt Lookup Decoding", 2023).
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from vicinal_daemon.generate.decode import Logits
from vicinal_daemon.generate.engine import READ_AT_ONCE, Cancelled, Generated, Guess

MOST = 5
"""Tokens that are guessed at once: more are right less often, and a CPU reads them less cheaply."""


class Reader(Protocol):
    """A text that is read.

    Attributes:
        tokens: that were read.
        can_unread: whether some could be taken back now.
    """

    @property
    def tokens(self) -> Sequence[int]: ...

    @property
    def can_unread(self) -> bool: ...

    def read(self, piece: list[int], wanted: int) -> Logits:
        """Read on; the (wanted, V) logits behind the last tokens."""
        ...

    def unread(self, count: int) -> None:
        """Take back the last `count` tokens that were read."""
        ...


Reads = TypeVar("Reads", bound=Reader)


class Drafting(Generic[Reads]):
    """A `decode.NextLogits` over a reader. A long text is read in pieces, and whether it is wanted asked between them.

    Args:
        begin: gives a reader for a text: with what is known of its beginning, and at least the last token to be read.
        guess: what might come next; None guesses nothing.
        lasts: tokens behind which nothing is guessed: a line often ends the text.

    Attributes:
        reader: None until something is read.
    """

    def __init__(
        self,
        begin: Callable[[Sequence[int]], Reads],
        guess: Guess | None,
        lasts: Container[int] = (),
        cancelled: Cancelled = lambda: False,
    ) -> None:
        self._begin, self._guess, self._lasts, self._cancelled = begin, guess, lasts, cancelled
        self.reader: Reads | None = None
        self._known = 0
        self._said: list[int] = []
        self._ahead: list[int] = []  # read, and not yet asked for
        self._rows: list[Logits] = []  # behind each of them
        self._guessed = 0

    def __call__(self, tokens: list[int]) -> Logits | None:
        """The (V,) logits behind `tokens`, which come behind all of the calls before; None if it was cancelled."""
        self._said += tokens
        if self._ahead and tokens == self._ahead[:1]:
            del self._ahead[0]
            self._guessed += 1
            return self._rows.pop(0)
        if self.reader is None:
            self.reader = self._begin(tokens)
            self._known = len(self.reader.tokens)
            tokens = tokens[self._known :]
        elif self._ahead:
            self.reader.unread(len(self._ahead))
        self._ahead = self._guesses(self.reader)
        wanted = 1 + len(self._ahead)
        for number, piece in enumerate(pieces([*tokens, *self._ahead], wanted)):
            if number and self._cancelled():
                return None
            rows = self.reader.read(piece, wanted)
        self._rows = list(rows)
        return self._rows.pop(0)

    def told(self, generated: Generated) -> Generated:
        """What was made of these logits, and how much reading it took."""
        if self.reader is None:
            return generated
        read = max(0, min(len(self.reader.tokens), generated.prompt_tokens) - self._known)
        return replace(generated, read_tokens=read, guessed=self._guessed)

    def _guesses(self, reader: Reader) -> list[int]:
        if self._guess is None or not reader.can_unread:
            return []
        guesses = list(self._guess(self._said, MOST))
        end = next((at for at, token in enumerate(guesses, start=1) if token in self._lasts), len(guesses))
        return guesses[:end]


def pieces(tokens: Sequence[int], wanted: int = 1) -> Iterator[list[int]]:
    """`tokens` in pieces of at most READ_AT_ONCE; the last one may have `wanted` more, and has all of those."""
    last = max(0, (len(tokens) - wanted) // READ_AT_ONCE * READ_AT_ONCE)
    for start in range(0, last, READ_AT_ONCE):
        yield list(tokens[start : start + READ_AT_ONCE])
    yield list(tokens[last:])
