"""The strategies that choose, and what a choice is.

Owns the stopping rule and the order of picks. Pure.
"""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vicinal_daemon.select.kernel import Kernel
from vicinal_daemon.select.posterior import Posterior, irreducible_variance

Strategy = Literal["sift", "nn", "none"]

EQUAL = 1e-9
"""Gains that differ by less, relatively, are equal."""


@dataclass(frozen=True, slots=True)
class Selection:
    """An ordered multiset of candidates, and the variance at the prompt before and after each of them.

    Attributes:
        picks: indices into the candidates, in the order in which they are to be learned; repeats allowed.
        variances: sigma_0^2 .. sigma_n^2, one more than picks, never rising.
        irreducible: sigma_inf^2, over all candidates.
    """

    picks: tuple[int, ...]
    variances: tuple[float, ...]
    irreducible: float

    @property
    def sigma_0(self) -> float:
        """The uncertainty before anything was observed."""
        return math.sqrt(self.variances[0])

    @property
    def sigma_n(self) -> float:
        """The uncertainty that is left after all picks."""
        return math.sqrt(self.variances[-1])

    @property
    def sigma_inf(self) -> float:
        """The uncertainty that no candidate can remove."""
        return math.sqrt(self.irreducible)

    @property
    def shares(self) -> tuple[float, ...]:
        """Each pick's share of the total reduction in variance; sums to 1, or all 0 if nothing was reduced."""
        total = self.variances[0] - self.variances[-1]
        drops = [before - after for before, after in zip(self.variances, self.variances[1:], strict=False)]
        return tuple(drop / total if total > 0 else 0.0 for drop in drops)

    def distinct(self) -> tuple[int, ...]:
        """The picks without repeats, in order of first appearance."""
        return tuple(dict.fromkeys(self.picks))


def select(
    strategy: Strategy,
    kernel: Kernel,
    *,
    limit: int,
    noise: float,
    adaptive_stop: float = 0.0,
    at_most: int | None = None,
) -> Selection:
    """Choose up to `limit` candidates.

    Args:
        strategy: `sift` minimises the posterior variance greedily, with repeats; `nn` takes the nearest
            neighbours, each once; `none` takes nothing.
        kernel: K candidates and m prompts.
        limit: most picks.
        noise: lambda' of the posterior.
        adaptive_stop: alpha; stop once sigma_n > 1 / (alpha n), that is when more data is no longer worth
            the compute (Hübotter et al., section 5). 0 switches it off.
        at_most: how often one candidate may be picked: learning may repeat (None: without bound), reading need not (1).
    """
    posterior = Posterior(kernel, noise)
    nearest = np.argsort(-kernel.to_prompts.mean(axis=1), kind="stable")
    picks: list[int] = []
    variances = [posterior.variance]
    most = {"sift": limit, "nn": min(limit, len(kernel)), "none": 0}[strategy] if len(kernel) else 0
    while len(picks) < most:
        if strategy == "sift":
            gains = posterior.gains()
            if at_most is not None:
                gains[[candidate for candidate, times in Counter(picks).items() if times >= at_most]] = 0.0
            # Of equals the first; rounding must not decide.
            pick = int(np.flatnonzero(gains >= gains.max() * (1 - EQUAL))[0])
            if gains[pick] <= 0.0:
                break  # nothing left is related to the prompt
        else:
            pick = int(nearest[len(picks)])
        picks.append(pick)
        variances.append(posterior.observe(pick))
        if adaptive_stop > 0 and math.sqrt(variances[-1]) > 1 / (adaptive_stop * len(picks)):
            break
    return Selection(tuple(picks), tuple(variances), irreducible_variance(kernel))
