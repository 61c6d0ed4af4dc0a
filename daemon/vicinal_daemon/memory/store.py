"""Tokens of many passages, and where a context has occurred in them before.

Owns the search for the longest matches. Pure; it does not know what the passages are.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]

LONGEST = 24
"""Tokens of a match, at most: a longer one tells no more."""

BREAK = -1
"""Stands between two passages; no context has it, so no match goes across."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Where the end of a context has occurred before; H places.

    Attributes:
        tokens: (H,) what followed there.
        lengths: (H,) how many tokens before it are those of the context, in [1, LONGEST].
        passages: (H,) numbers of the passages.
        offsets: (H,) of the tokens in their passages.
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]
    passages: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.tokens)


class TokenStore:
    """Passages of tokens, sorted by token; 16 bytes a token.

    Args:
        passages: name -> token ids, all >= 0.
    """

    def __init__(self, passages: Mapping[str, Sequence[int] | Tokens]) -> None:
        self.names = tuple(passages)
        pieces = [np.asarray(tokens, np.int32) for tokens in passages.values()]
        self._starts = np.cumsum([0, *(len(piece) + 1 for piece in pieces)])
        self._tokens: Tokens = np.concatenate(
            [np.empty(0, np.int32), *(part for piece in pieces for part in (piece, np.array([BREAK], np.int32)))]
        )
        order = np.argsort(self._tokens, kind="stable").astype(np.int32)
        # Nothing follows on a passage's last token, nor on what stands between passages.
        order = order[(self._tokens[order] != BREAK) & (np.append(self._tokens, BREAK)[order + 1] != BREAK)]
        self._order = order
        self._sorted = self._tokens[order]
        self._before = self._tokens[order - 1]  # at 0 that is the last break: looking further is one pass, in order
        self._numbers = {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        """How many tokens there are, with one break a passage."""
        return len(self._tokens)

    def matches(self, context: Sequence[int], most: int, without: Collection[str] = ()) -> Matches:
        """The `most` longest matches of the end of `context`; of equally long ones those in earlier passages.

        Args:
            without: the names of passages that are left out.
        """
        if not context:
            return self._matches(np.empty(0, np.int64), np.empty(0, np.int64))
        # Of the same type: for another one numpy would copy all of the tokens.
        first, last = np.searchsorted(self._sorted, np.array([context[-1], context[-1] + 1], np.int32))
        places, before = self._order[first:last], self._before[first:last]
        for number in (self._numbers[name] for name in without if name in self._numbers):
            others = (places < self._starts[number]) | (places >= self._starts[number + 1])
            places, before = places[others], before[others]
        goes_on = before == context[-2] if len(context) > 1 else np.zeros(len(places), np.bool_)
        longer = places[goes_on].astype(np.int64)
        lengths = np.full(len(longer), 2)
        alive = np.arange(len(longer))
        for back in range(2, min(LONGEST, len(context))):
            alive = alive[longer[alive] >= back]
            alive = alive[self._tokens[longer[alive] - back] == context[-1 - back]]
            if not len(alive):
                break
            lengths[alive] = back + 1
        longest = np.argsort(-lengths, kind="stable")[:most]
        single = places[np.flatnonzero(~goes_on)[: most - len(longest)]]
        found = np.concatenate([longer[longest], single]) + 1
        return self._matches(found, np.concatenate([lengths[longest], np.ones(len(single), np.int64)]))

    def following(self, passage: int, offset: int, most: int) -> Tokens:
        """(at most `most`,) tokens of a passage, by its number, from `offset` on."""
        begin = self._starts[passage] + offset
        found: Tokens = self._tokens[begin : min(begin + most, self._starts[passage + 1] - 1)]
        return found

    def _matches(self, places: NDArray[np.int64], lengths: NDArray[np.int64]) -> Matches:
        passages = np.searchsorted(self._starts, places, side="right") - 1
        return Matches(
            self._tokens[places].astype(np.int64),
            lengths,
            passages,
            places - self._starts[passages] if len(places) else places,
        )
