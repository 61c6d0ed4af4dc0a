"""From features to a probability: logistic regression with an L2 penalty.

Owns the model, its fit, and nothing else: it does not know what the features mean, where a fitted one is kept, nor
what an answer is. Pure numpy; a dozen weights do not deserve a library.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

MOST_ROUNDS: Final = 100
MOST_LOGIT: Final = 7.0
"""Nothing fitted on a few thousand answers can promise more than about 999 in 1,000."""


@dataclass(frozen=True, slots=True)
class Calibrator:
    """P(right) = s(bias + sum of weight (x - mean) / scale), with s the logistic function.

    Attributes:
        features: names, in the order of the vectors.
        means, scales: of each feature among the answers it was fitted on; scales are positive.
        weights: of the standardised features.
        bias: the logit of an answer that is average in everything.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        numbers = (*self.means, *self.scales, *self.weights, self.bias)
        if not len(self.features) == len(self.means) == len(self.scales) == len(self.weights):
            raise ValueError("a calibrator has one mean, scale and weight for each feature")
        if not all(map(math.isfinite, numbers)) or any(scale <= 0 for scale in self.scales):
            raise ValueError("a calibrator's numbers are finite, and its scales positive")

    def logit(self, vector: Sequence[float]) -> float:
        """log(p / (1 - p)) of an answer with these features, within +-`MOST_LOGIT`."""
        return float(self.logits(np.asarray([vector], dtype=np.float64))[0])

    def logits(self, rows: Matrix) -> Vector:
        """(n,) logits of n answers, (n, d)."""
        standard = (rows - np.asarray(self.means)) / np.asarray(self.scales)
        found: Vector = np.clip(standard @ np.asarray(self.weights) + self.bias, -MOST_LOGIT, MOST_LOGIT)
        return found


def probability(logit: ArrayLike) -> Vector:
    """s(x) = 1 / (1 + e^-x), without overflow."""
    values = np.asarray(logit, dtype=np.float64)
    found: Vector = 0.5 * (1.0 + np.tanh(0.5 * values))
    return found


def fit(
    features: Sequence[str], rows: Matrix, right: Vector, *, penalty: float, counts: Vector | None = None
) -> Calibrator:
    """The calibrator that makes the answers seen likeliest, less penalty / 2 |weights|^2; the bias is free.

    Newton's method on the log-likelihood (iteratively reweighted least squares), which is strictly concave in the
    weights, with steps halved where one would overshoot.

    Args:
        features: d names.
        rows: (n, d).
        right: (n,) of 0 and 1, both of which must occur, or shares between.
        penalty: > 0, in units of answers: as many as it takes to be believed.
        counts: (n,) how much each answer counts; default: 1 each.

    Raises:
        ValueError: shapes do not fit, or all answers are alike.
    """
    count = np.ones(len(right)) if counts is None else np.asarray(counts, dtype=np.float64)
    if rows.shape != (len(right), len(features)) or count.shape != right.shape:
        raise ValueError(f"{rows.shape} features of {len(features)} names do not fit {right.shape} outcomes")
    if not 0 < float(count @ right) < float(count.sum()):
        raise ValueError("answers that are all right, or all wrong, teach nothing")
    means = np.average(rows, axis=0, weights=count)
    spread = np.sqrt(np.average(np.square(rows - means), axis=0, weights=count))
    scales = np.where(spread > 1e-9, spread, 1.0)  # what never varies weighs nothing: its column is 0
    design = np.hstack([(rows - means) / scales, np.ones((len(rows), 1))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 0.0
    theta = np.zeros(design.shape[1])
    share = float(count @ right / count.sum())
    theta[-1] = math.log(share / (1 - share))
    theta = newton(design, right, count, ridge, np.zeros_like(theta), theta)
    return Calibrator(
        tuple(features), tuple(means.tolist()), tuple(scales.tolist()), tuple(theta[:-1].tolist()), float(theta[-1])
    )


def newton(design: Matrix, right: Vector, count: Vector, precision: Vector, prior: Vector, start: Vector) -> Vector:
    """The theta that maximises sum of count log p(right | design theta) - 1/2 (theta - prior)' diag(precision) (theta
    - prior).

    Args:
        design: (n, d).
        right, count: (n,).
        precision, prior, start: (d,).
    """

    def loss(theta: Vector) -> float:
        logits = design @ theta
        likelihood = count @ (right * logits - np.logaddexp(0.0, logits))
        return float(0.5 * precision @ np.square(theta - prior) - likelihood)

    theta, now = start, loss(start)
    for _ in range(MOST_ROUNDS):
        p = probability(design @ theta)
        gradient = design.T @ (count * (p - right)) + precision * (theta - prior)
        curvature = (design * (count * p * (1 - p))[:, None]).T @ design + np.diag(precision + 1e-10)
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while (after := loss(theta - size * step)) > now and size > 1e-6:
            size /= 2
        if after > now:
            return theta
        theta = theta - size * step
        if now - after < 1e-12 * (1 + abs(now)):
            return theta
        now = after
    return theta
