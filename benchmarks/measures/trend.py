"""Whether something grows: the median of all slopes (Theil 1950, Sen 1968) with its interval, against the spread.

Owns the arithmetic, nothing else. Outliers of up to a quarter of the samples, as of a tuning that runs while memory is
read, do not sway it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CERTAIN = 2.576
"""Standard deviations of Kendall's count: 99 %, in each direction 99.5 %."""

NOISE = 3.0
"""Growth over a whole run of less than so many robust standard deviations is what samples differ by anyway."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What n samples say.

    Attributes:
        slope, low, high: growth per unit of x, with its 99 % interval.
        growth: what has certainly been gained over all of x (`low` times its span), in units of y; 0 if that is a loss.
        spread: of the samples around the line, as a standard deviation (1.4826 times the median deviation).
        allowed: what it may grow by.
    """

    slope: float
    low: float
    high: float
    growth: float
    spread: float
    allowed: float

    @property
    def leaks(self) -> bool:
        """Whether it certainly grows by more than is allowed."""
        return self.growth > self.allowed


def trend(x: Sequence[float], y: Sequence[float], allowance: float) -> Trend:
    """The trend of `y` over `x`.

    Args:
        x: (n,) n >= 3, ascending.
        y: (n,).
        allowance: of growth over all of x, in units of y; more is allowed where the samples spread widely.

    Raises:
        ValueError: fewer than three samples, or all at the same x.
    """
    at, values = np.asarray(x, float), np.asarray(y, float)
    if len(at) < 3 or at[0] == at[-1]:
        raise ValueError("a trend needs three samples at different times")
    first, second = np.triu_indices(len(at), 1)
    apart = at[second] > at[first]
    slopes = np.sort((values[second] - values[first])[apart] / (at[second] - at[first])[apart])
    slope = float(np.median(slopes))
    count = len(at)
    reach = CERTAIN * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low, high = _rank(slopes, (len(slopes) - reach) / 2), _rank(slopes, (len(slopes) + reach) / 2)
    rest = values - slope * at
    spread = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    growth = max(0.0, low * float(at[-1] - at[0]))
    return Trend(slope, low, high, growth, spread, max(allowance, NOISE * spread))


def _rank(ordered: npt.NDArray[np.float64], place: float) -> float:
    """The value at a place among the ordered ones; the outermost where there are too few."""
    return float(ordered[min(max(round(place), 0), len(ordered) - 1)])
