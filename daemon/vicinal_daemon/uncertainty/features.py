"""What is known of an answer when it is given, as a vector of numbers with names.

Owns the evidence, the names of its features and how each is computed. Pure; it does not know what they are worth:
that is fitted (`calibrator`).
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEAST_LOG_PROBABILITY: Final = -30.0
"""Of one token, in nats. Below it nothing more is told, and one odd token must not decide by itself."""


@dataclass(frozen=True, slots=True)
class Clues:
    """What speaks for and against the text of an answer.

    Attributes:
        mean_log_probability: natural log, over the tokens shown.
        least_log_probability: of the least likely token shown.
        tokens, characters, lines: of the text shown.
        first_entropy: nats, at the first token of the answer (`generate.engine.Generated`).
        sigma_0, sigma_n, sigma_inf: uncertainty at the prompt before, after, and at best (`select.Selection`).
        similarity: the largest kernel value between the prompt and a candidate, in [0, 1].
        change: by how much tuning raised the mean log probability of this very text at the same prompt; None if nothing
            was tuned, or it was not measured.
        memory: by how much the memory raised the mean log probability of the tokens shown; below 0 where it would have
            written something else. None without a memory, or where it was not measured.
    """

    mean_log_probability: float
    least_log_probability: float
    tokens: int
    characters: int
    lines: int
    first_entropy: float
    sigma_0: float
    sigma_n: float
    sigma_inf: float
    similarity: float
    change: float | None = None
    memory: float | None = None

    @property
    def log_joint(self) -> float:
        """The natural log of the probability of the whole text."""
        return self.mean_log_probability * self.tokens


def clues_of(
    text: str,
    log_probabilities: Sequence[float],
    *,
    first_entropy: float,
    sigma_0: float,
    sigma_n: float,
    sigma_inf: float,
    similarity: float,
    change: float | None = None,
    unmixed: Sequence[float] | None = None,
) -> Clues | None:
    """The clues of a text whose shown tokens have these log probabilities; None if nothing is shown.

    Args:
        log_probabilities: natural logs, of the tokens that are in `text`.
        unmixed: the same under the model without the memory; None if there is none, or it is not known.
    """
    if not log_probabilities or not text.strip():
        return None
    clipped = _clipped(log_probabilities)
    return Clues(
        mean_log_probability=math.fsum(clipped) / len(clipped),
        least_log_probability=min(clipped),
        tokens=len(clipped),
        characters=len(text),
        lines=text.count("\n") + 1,
        first_entropy=first_entropy,
        sigma_0=sigma_0,
        sigma_n=sigma_n,
        sigma_inf=sigma_inf,
        similarity=similarity,
        change=change,
        memory=math.fsum([*clipped, *(-value for value in _clipped(unmixed))]) / len(clipped) if unmixed else None,
    )


def _clipped(log_probabilities: Sequence[float]) -> list[float]:
    return [max(LEAST_LOG_PROBABILITY, min(0.0, value)) for value in log_probabilities]


FEATURES: Final[Mapping[str, Callable[[Clues], float]]] = {
    "mean_log_probability": lambda c: c.mean_log_probability,
    "least_log_probability": lambda c: c.least_log_probability,
    "log_joint": lambda c: c.log_joint,
    "joint_probability": lambda c: math.exp(c.log_joint),
    "log_tokens": lambda c: math.log(c.tokens),
    "log_characters": lambda c: math.log(max(1, c.characters)),
    "lines": lambda c: float(c.lines),
    "first_entropy": lambda c: c.first_entropy,
    "sigma_0": lambda c: c.sigma_0,
    "sigma_n": lambda c: c.sigma_n,
    "sigma_inf": lambda c: c.sigma_inf,
    "sigma_gain": lambda c: c.sigma_0 - c.sigma_n,
    "similarity": lambda c: c.similarity,
    "change": lambda c: c.change if c.change is not None else 0.0,
    "tuned": lambda c: float(c.change is not None),
    "memory": lambda c: c.memory if c.memory is not None else 0.0,
}
"""Every feature that a calibration may name. A name is never given to another quantity: calibrations outlive
versions."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "log-probabilities": ("mean_log_probability", "least_log_probability", "log_joint", "joint_probability"),
    "length": ("log_tokens", "log_characters", "lines"),
    "entropy": ("first_entropy",),
    "sigma": ("sigma_0", "sigma_n", "sigma_inf", "sigma_gain"),
    "similarity": ("similarity",),
    "change": ("change", "tuned"),
    "memory": ("memory",),
}
"""Features that come and go together in an ablation, in the order in which they are added."""

MEASURED_ONLY: Final = frozenset({"change", "memory"})
"""Groups that `vicinal eval` measures and answers lack: to see what they would add."""


def vector(clues: Clues, names: Sequence[str]) -> tuple[float, ...]:
    """The named features of an answer, in this order.

    Raises:
        KeyError: there is no feature of that name.
    """
    return tuple(FEATURES[name](clues) for name in names)
