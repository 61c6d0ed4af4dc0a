"""How good a number is that claims to be a probability.

Owns these measures and their intervals. Pure numpy; it does not know what is predicted. Everywhere `claimed` is (n,) in
[0, 1] and `right` is (n,) of 0 and 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Measure = Callable[[Vector, Vector], float]

BINS: Final = 10
RESAMPLES: Final = 2000


def auroc(claimed: Vector, right: Vector) -> float:
    """The chance that a right answer is claimed to be likelier than a wrong one; equals count half. NaN if one is
    lacking.

    By ranks: (sum of the ranks of the right ones - n1 (n1 + 1) / 2) / (n1 n0).
    """
    ones = int(right.sum())
    zeros = len(right) - ones
    if not ones or not zeros:
        return float("nan")
    _, place, count = np.unique(claimed, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((ranks[right > 0.5].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def brier(claimed: Vector, right: Vector) -> float:
    """The mean squared difference of claim and outcome; 0 is perfect."""
    return float(np.square(claimed - right).mean())


def brier_skill(claimed: Vector, right: Vector) -> float:
    """1 - Brier / Brier of always claiming the share of right ones: 1 is perfect, 0 tells nothing. NaN if all are
    alike."""
    share = float(right.mean())
    variance = share * (1 - share)
    return 1 - brier(claimed, right) / variance if variance > 0 else float("nan")


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same claim: their mean claim, the share that is right, how many they are."""

    claimed: float
    right: float
    count: int


def reliability(claimed: Vector, right: Vector, bins: int = BINS) -> tuple[Bin, ...]:
    """The reliability diagram: bins of equal mass, by claim, so that no bin is empty or nearly so."""
    order = np.argsort(claimed, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(Bin(float(claimed[part].mean()), float(right[part].mean()), len(part)) for part in parts)


def calibration_error(claimed: Vector, right: Vector, bins: int = BINS) -> float:
    """ECE over bins of equal mass (Nguyen and O'Connor, 2015): the mean distance of claim and outcome, by answer.

    Biased upwards on few answers: a perfect claimer's is about sqrt(2 p (1 - p) bins / (pi n)).
    """
    found = reliability(claimed, right, bins)
    return sum(b.count * abs(b.claimed - b.right) for b in found) / max(1, len(claimed))


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """What is wrong among what is shown, if only the surest are shown.

    Attributes:
        coverage: (n,) shares of the answers that are shown, rising to 1.
        risk: (n,) shares of wrong ones among them.
    """

    coverage: Vector
    risk: Vector

    @property
    def area(self) -> float:
        """Under the curve: the mean risk over all coverages; lower is better."""
        return float(self.risk.mean())


def risk_coverage(claimed: Vector, right: Vector) -> RiskCoverage:
    """The curve, by falling claim; answers of equal claim share their risk, so that their order does not matter."""
    order = np.argsort(-claimed, kind="stable")
    _, place, count = np.unique(-claimed[order], return_inverse=True, return_counts=True)
    wrong = np.bincount(place, weights=1 - right[order])
    fair = (wrong / count)[place]
    shown = np.arange(1, len(order) + 1)
    return RiskCoverage(shown / len(order), np.cumsum(fair) / shown)


def risk_area(claimed: Vector, right: Vector) -> float:
    """See `RiskCoverage.area`."""
    return risk_coverage(claimed, right).area


@dataclass(frozen=True, slots=True)
class Hiding:
    """What hiding answers below a claim does.

    Attributes:
        threshold: answers that claim less are hidden.
        wrong_hidden, right_hidden: shares of all wrong ones and of all right ones.
    """

    threshold: float
    wrong_hidden: float
    right_hidden: float


def hiding(claimed: Vector, right: Vector, wrong_hidden: float) -> Hiding:
    """The lowest threshold that hides at least this share of the wrong ones, and what it costs. In (0, 1]."""
    wrong = np.sort(claimed[right < 0.5])
    needed = int(np.ceil(wrong_hidden * len(wrong) - 1e-9))
    if not needed:
        return Hiding(0.0, 0.0, 0.0)
    threshold = float(np.nextafter(wrong[needed - 1], 2.0))
    lost = claimed[right > 0.5] < threshold
    return Hiding(threshold, float((wrong < threshold).mean()), float(lost.mean()) if len(lost) else 0.0)


def right_lost(claimed: Vector, right: Vector) -> float:
    """The share of right ones that is lost by hiding half of the wrong ones."""
    return hiding(claimed, right, 0.5).right_hidden


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure and its 95 % interval."""

    value: float
    low: float
    high: float


def estimate(
    measure: Measure, claimed: Vector, right: Vector, groups: Vector | None = None, *, seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:  # fmt: skip
    """A measure with its percentile interval by the bootstrap.

    Args:
        groups: (n,) what is drawn as one, for example the several answers to one task; default: each answer by itself.
        seed: same inputs, same seed, same interval.
    """
    found = resampled(lambda rows: measure(claimed[rows], right[rows]), len(right), groups, seed, resamples)
    return Estimate(measure(claimed, right), *found)


def estimate_difference(
    measure: Measure, claimed: Vector, rival: Vector, right: Vector, groups: Vector | None = None, *, seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:  # fmt: skip
    """measure(claimed) - measure(rival) on the same answers, resampled together: a paired difference."""

    def difference(rows: NDArray[np.intp]) -> float:
        return measure(claimed[rows], right[rows]) - measure(rival[rows], right[rows])

    everything = np.arange(len(right))
    return Estimate(difference(everything), *resampled(difference, len(right), groups, seed, resamples))


def resampled(
    statistic: Callable[[NDArray[np.intp]], float], count: int, groups: Vector | None, seed: int, resamples: int
) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles of a statistic of row numbers; what is not defined on a resample is left out."""
    keys = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = np.argsort(keys, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(keys))[:-1])
    drawn = np.random.default_rng(seed).integers(0, len(members), (resamples, len(members)))
    values = np.array([statistic(np.concatenate([members[group] for group in draw])) for draw in drawn])
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
