"""How far the memory is believed, token by token.

Owns the features of matches and of the two distributions, and the mixture. The weights were fitted on development
repositories (`benchmarks/gate.py`); no weight depends on a repository. Pure numpy.

With matches i = 1..H that were followed by the tokens t_i, the memory says (a kNN-LM over exact contexts; Khandelwal
et al., "Generalization through Memorization", eq. 2 and 3, with a learned score in place of a distance, and a gate in
place of a constant lambda)

    p_memory(t) = sum_{i: t_i = t} softmax(w . x_i),      p(t) = (1 - lambda) p_model(t) + lambda p_memory(t),
    lambda = sigmoid(v . f)
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MATCH_FEATURES: Final = ("length", "log_length", "own", "near", "folder", "language")
GATE_FEATURES: Final = (
    "one", "length", "log_length", "longest", "best", "spread", "model_best", "model_entropy", "model_of_best", "agree",
)  # fmt: skip
NEAR_TOKENS: Final = 500.0
"""A match so far away in the own file counts 1/e as near."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The weights of the mixture.

    Attributes:
        match_weights: w, one for each of MATCH_FEATURES.
        gate_weights: v, one for each of GATE_FEATURES.
    """

    match_weights: tuple[float, ...]
    gate_weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.match_weights) != len(MATCH_FEATURES) or len(self.gate_weights) != len(GATE_FEATURES):
            raise ValueError("the gate has other weights than features")

    def mixed(self, log_probabilities: NDArray[np.float32], tokens: NDArray[np.int64], features: Vector) -> Vector:
        """(V,) probabilities of the mixture.

        Args:
            log_probabilities: (V,) natural logs, the model's.
            tokens: (H,) what followed on each match; H may be 0: the mixture is then the model's.
            features: (H, len(MATCH_FEATURES)) of the matches.
        """
        model: Vector = np.exp(log_probabilities.astype(np.float64))
        if not len(tokens):
            return model
        scores = features @ np.array(self.match_weights)
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        said, which = np.unique(tokens, return_inverse=True)
        memory = np.bincount(which, weights, minlength=len(said)).astype(np.float64)
        share = self._share(log_probabilities, model, said, memory, weights, which, features[:, 0])
        mixture = model * (1 - share)
        mixture[said] += share * memory
        return mixture

    def _share(
        self,
        log_probabilities: NDArray[np.float32],
        model: Vector,
        said: NDArray[np.int64],
        memory: Vector,
        weights: Vector,
        which: NDArray[np.intp],
        lengths: Vector,
    ) -> float:
        """lambda, in (0, 1)."""
        best = int(memory.argmax())
        longest = float(lengths.max())
        known = model > 0
        features = (
            1.0,
            longest / 8,
            float(np.log1p(longest)),
            float(np.log1p((lengths == longest).sum())),
            float(memory[best]),
            float(-(weights * np.log(memory[which])).sum()),
            float(model.max()),
            float(-(model[known] * log_probabilities[known]).sum()) / 3,
            max(-12.0, float(log_probabilities[said[best]])) / 4,
            float(said[best] == log_probabilities.argmax()),
        )
        return float(1 / (1 + np.exp(-np.dot(self.gate_weights, features))))


@cache
def default_gate() -> Gate:
    """The weights that come with Vicinal."""
    told = json.loads(files(__package__).joinpath("gate.json").read_text("utf-8"))
    return Gate(
        tuple(told["match_weights"][name] for name in MATCH_FEATURES),
        tuple(told["gate_weights"][name] for name in GATE_FEATURES),
    )
