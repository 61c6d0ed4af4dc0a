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
EQUAL: Final = 1e-6
"""Tokens whose p_memory differs by less, relatively, are equally likely to it: the one with the smallest id counts."""
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
        best = int(np.flatnonzero(memory >= memory.max() * (1 - EQUAL))[0])
        told = gate_features(
            told_of(log_probabilities),
            features[:, 0],
            float(memory[best]),
            float(-(weights * np.log(memory[which])).sum()),
            float(log_probabilities[said[best]]),
            float(said[best] == log_probabilities.argmax()),
        )
        share = float(1 / (1 + np.exp(-np.dot(self.gate_weights, told))))
        mixture = model * (1 - share)
        mixture[said] += share * memory
        return mixture


def told_of(log_probabilities: NDArray[np.float32]) -> tuple[float, float]:
    """The largest probability of a distribution, (V,) natural logs, and its entropy in nats."""
    known = log_probabilities[np.isfinite(log_probabilities)].astype(np.float64)
    chances = np.exp(known)
    return float(chances.max()), float(-(chances * known).sum())


def gate_features(
    model: tuple[float, float], lengths: Vector, best: float, spread: float, model_of_best: float, agree: float
) -> tuple[float, ...]:
    """The features f of the gate, of about unit size.

    Args:
        model: see `told_of`.
        lengths: (H,) of the matches, H > 0.
        best: p_memory of the token that the memory thinks likeliest.
        spread: the entropy of p_memory in nats.
        model_of_best: log p_model of that token.
        agree: 1 if the model thinks the same likeliest, else 0.
    """
    longest = float(lengths.max())
    count = float((lengths == longest).sum())
    return (
        1.0,
        longest / 8,
        float(np.log1p(longest)),
        float(np.log1p(count)),
        best,
        spread,
        model[0],
        model[1] / 3,
        max(-12.0, model_of_best) / 4,
        agree,
    )


@cache
def default_gate() -> Gate:
    """The weights that come with Vicinal."""
    told = json.loads(files(__package__).joinpath("gate.json").read_text("utf-8"))
    return Gate(
        tuple(told["match_weights"][name] for name in MATCH_FEATURES),
        tuple(told["gate_weights"][name] for name in GATE_FEATURES),
    )
