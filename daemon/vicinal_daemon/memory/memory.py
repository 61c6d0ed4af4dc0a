"""The memory of one request: the repository's tokens and those of the open file.

Owns what a match's features are. It does not know when it is asked, nor who tokenises.
"""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.memory.gate import NEAR_TOKENS, Gate, Vector
from vicinal_daemon.memory.store import Matches, Tokens, TokenStore

MOST_MATCHES = 64
"""That are looked at for one token; the longest."""

_LEFT, _RIGHT = "left", "right"


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

    def recall(self, context: Sequence[int]) -> tuple[NDArray[np.int64], Vector]:
        """What followed on the longest matches: (H,) tokens and the matches' (H, len(MATCH_FEATURES)) features."""
        elsewhere = self._repository.matches(context, MOST_MATCHES, without=self._without)
        here = self._own.matches(context, MOST_MATCHES)
        features = np.vstack([self._of_others(elsewhere), self._of_own(here)])
        tokens = np.concatenate([elsewhere.tokens, here.tokens])
        longest = np.argsort(-features[:, 0], kind="stable")[:MOST_MATCHES]
        return tokens[longest], features[longest]

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
