"""Intervals for what was measured on a sample of tasks. Pure numpy.

Owns the bootstrap over tasks (Efron 1979): tasks are drawn with replacement, all modes of a task together, so that
differences between modes are paired. Intervals are percentiles.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95
AT_ONCE = 4_000_000
"""Draws that are held in memory at once."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A statistic of the sample, and between what it lies in 95 % of the resamples; all nan for no task."""

    value: float
    low: float
    high: float

    @property
    def is_clear_of_zero(self) -> bool:
        """Whether both ends have the same sign."""
        return self.low > 0 or self.high < 0


def resampled_means(values: Matrix, seed: int, resamples: int = RESAMPLES) -> Matrix:
    """(resamples, k): the means of the columns of `values` (n tasks, k columns) over n tasks drawn with replacement.

    The same seed and n draw the same tasks, so that what is computed at different times can be compared.
    """
    count = len(values)
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    step = max(1, AT_ONCE // max(1, count))
    shares = np.full(count, 1.0 / count)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        # How often each task is drawn is multinomial; one product then gives all means.
        means[start : start + size] = generator.multinomial(count, shares, size=size) @ values / count
    return means


def mean(values: Vector, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The mean of (n,) values."""
    return _interval(values[:, None], lambda means: means[:, 0], seed, resamples)


def difference(first: Vector, second: Vector, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """mean(first - second), paired: (n,) each, of the same tasks."""
    return mean(_paired(first, second) @ np.array([1.0, -1.0]), seed, resamples)


def ratio(first: Vector, second: Vector, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """mean(first) / mean(second), paired: (n,) each, of the same tasks; `second` is positive."""
    return _interval(_paired(first, second), lambda means: means[:, 0] / means[:, 1], seed, resamples)


def _paired(first: Vector, second: Vector) -> Matrix:
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"paired values must be of the same tasks, not {first.shape} and {second.shape}")
    return np.stack([first, second], axis=1).astype(np.float64)


def _interval(values: Matrix, statistic: Callable[[Matrix], Vector], seed: int, resamples: int) -> Interval:
    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        point = statistic(values.mean(axis=0, keepdims=True))
        drawn = statistic(resampled_means(values, seed, resamples))
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(point[0]), float(low), float(high))
