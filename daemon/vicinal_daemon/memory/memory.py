"""The memory of one request: the repository's tokens and those of the open file.

Owns what a match's features are. It does not know when it is asked, nor who tokenises.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.memory.gate import NEAR_TOKENS, Gate, Vector
from vicinal_daemon.memory.store import Matches, Tokens, TokenStore

MOST_MATCHES = 64
"""That are looked at for one token; the longest."""

LEAST = 2
"""Tokens of a match from which on it is guessed what follows."""

_LEFT, _RIGHT = "left", "right"


@dataclass(frozen=True, slots=True, eq=False)
class _Recalled:
    """The longest matches of a context: what followed, what they are like, their numbers in both sides' matches."""

    tokens: NDArray[np.int64]
    features: Vector
    numbers: NDArray[np.int64]
    sides: tuple[tuple[TokenStore, Matches], tuple[TokenStore, Matches]]

    def place(self, at: int) -> tuple[TokenStore, int, int]:
        """Where a match stands: whose tokens, which passage, and the offset of what followed."""
        number = int(self.numbers[at])
        (store, matches), own = self.sides
        if number >= len(matches):
            number -= len(matches)
            store, matches = own
        return store, int(matches.passages[number]), int(matches.offsets[number])


class Memory:
    """What followed elsewhere on what has just been written.

    Args:
        repository: tokens of each file by its path, relative with `/`.
        path: of the open file; what `repository` holds of it is not used, as it may say what is to be completed.
        left, right: the tokens of the open file before and behind what is completed.
        without: paths of other files that are not used either.
    """

    def __init__(
        self,
        repository: TokenStore,
        path: str,
        left: Tokens,
        right: Tokens,
        gate: Gate,
        without: Collection[str] = (),
    ) -> None:
        self._repository = repository
        self._without = frozenset([path, *without])
        self._own = TokenStore({_LEFT: left, _RIGHT: right})
        self._cursor = len(left)
        self._last: tuple[list[int], _Recalled] | None = None
        self._gate = gate
        place = PurePosixPath(path)
        files = [PurePosixPath(name) for name in repository.names]
        self._same_folder = np.array([file.parent == place.parent for file in files], np.float64)
        self._same_language = np.array([file.suffix == place.suffix for file in files], np.float64)

    def mix(self, context: Sequence[int], log_probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """(V,) natural logs of the mixture.

        Args:
            context: the tokens so far.
            log_probabilities: (V,) the model's, for the next one; -inf stays -inf where a token is not allowed.
        """
        tokens, features = self.recall(context)
        allowed = np.isfinite(log_probabilities[tokens])
        mixture = self._gate.mixed(log_probabilities, tokens[allowed], features[allowed])
        with np.errstate(divide="ignore"):
            return np.log(mixture).astype(np.float32)

    def guess(self, context: Sequence[int], most: int) -> list[int]:
        """What followed on the likeliest of the longest matches: as many tokens as match, but no more than `most`.

        None if that is fewer than LEAST: such a guess is wrong too often to be worth its reading.
        """
        recalled = self._recalled(context)
        longest = np.flatnonzero(recalled.features[:, 0] == recalled.features[:, 0].max(initial=0.0))
        if not len(longest) or recalled.features[longest[0], 0] < LEAST:
            return []
        best = longest[(recalled.features[longest] @ np.array(self._gate.match_weights)).argmax()]
        store, passage, offset = recalled.place(int(best))
        return list(map(int, store.following(passage, offset, min(most, int(recalled.features[best, 0])))))

    def recall(self, context: Sequence[int]) -> tuple[NDArray[np.int64], Vector]:
        """What followed on the longest matches: (H,) tokens and the matches' (H, len(MATCH_FEATURES)) features."""
        recalled = self._recalled(context)
        return recalled.tokens, recalled.features

    def _recalled(self, context: Sequence[int]) -> "_Recalled":
        """A guess and the mixture ask for the same context, one after the other."""
        if self._last is None or not np.array_equal(self._last[0], context):
            elsewhere = self._repository.matches(context, MOST_MATCHES, without=self._without)
            here = self._own.matches(context, MOST_MATCHES)
            features = np.vstack([self._of_others(elsewhere), self._of_own(here)])
            longest = np.argsort(-features[:, 0], kind="stable")[:MOST_MATCHES]
            sides = ((self._repository, elsewhere), (self._own, here))
            tokens = np.concatenate([elsewhere.tokens, here.tokens])[longest]
            self._last = list(context), _Recalled(tokens, features[longest], longest, sides)
        return self._last[1]

    def _of_others(self, matches: Matches) -> Vector:
        lengths = matches.lengths.astype(np.float64)
        none = np.zeros(len(matches))
        folder, language = self._same_folder[matches.passages], self._same_language[matches.passages]
        return np.column_stack([lengths, np.log(lengths), none, none, folder, language])

    def _of_own(self, matches: Matches) -> Vector:
        lengths = matches.lengths.astype(np.float64)
        is_left = matches.passages == 0
        distances = np.where(is_left, self._cursor - matches.offsets, matches.offsets)
        near, none = np.exp(-distances / NEAR_TOKENS), np.zeros(len(matches))
        return np.column_stack([lengths, np.log(lengths), np.ones(len(matches)), near, none, none])
