"""The strategies at work, and what a choice is.

Owns the order of picks, ties, bounds on repeats and the stopping rule. What a pick is worth `rules` says. Pure.
"""

import math
from collections import Counter
from dataclasses import dataclass

from vicinal_daemon.select.kernel import Kernel
from vicinal_daemon.select.posterior import Posterior, irreducible_variance
from vicinal_daemon.select.rules import NEVER, RULES, Situation, Strategy

__all__ = ["MMR_BALANCE", "Selection", "Strategy", "select"]

EQUAL = 1e-9
"""What is worth less by this much, relatively, is worth the same."""

MMR_BALANCE = 0.7
"""MMR's lambda: mostly relevance, as its authors advise for the first few results."""


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

    def worthwhile(self, alpha: float) -> int:
        """How many picks, from the first on, are worth the compute of a training step each; 0 for alpha: all of them.

        The n-th is while sigma_n <= 1 / (alpha n); the first one that is not ends it and does not count (Hübotter et
        al., section 5; so does their library). The first of prompts with sigma_0 = 1 thus counts for alpha <= 1.
        """
        sigmas = (math.sqrt(variance) for variance in self.variances[1:])
        dear = (n for n, sigma in enumerate(sigmas, start=1) if alpha > 0 and sigma > 1 / (alpha * n))
        return next(dear, len(self.variances)) - 1

    def distinct(self) -> tuple[int, ...]:
        """The picks without repeats, in order of first appearance."""
        return tuple(dict.fromkeys(self.picks))


def select(
    strategy: Strategy,
    kernel: Kernel,
    *,
    limit: int,
    noise: float,
    at_most: int | None = None,
    balance: float = MMR_BALANCE,
    seed: int = 0,
) -> Selection:
    """Choose up to `limit` candidates, one after the other; of equals the first.

    Whatever the strategy, the variances are those of the same posterior: choices can be compared by them.

    Args:
        strategy: `sift` minimises the variance at the prompt greedily, with repeats; `nn` takes the nearest neighbours,
            `mmr` trades nearness for novelty, `random` draws, each once; `uncertainty` takes what is least known
            itself, with repeats; `none` takes nothing.
        kernel: K candidates and m prompts.
        limit: most picks.
        noise: lambda' of the posterior.
        at_most: how often one candidate may be picked: learning may repeat (None: without bound), reading need not (1).
        balance: MMR's lambda in [0, 1].
        seed: of `random`.
    """
    rule = RULES[strategy]
    bounds = [bound for bound in (rule.most, at_most) if bound is not None]
    most = min(bounds, default=limit)
    times: Counter[int] = Counter()
    spent: list[int] = []
    posterior = Posterior(kernel, noise)
    picks: list[int] = []
    variances = [posterior.variance]
    situation = Situation(kernel, posterior, picks, balance, seed)  # sees the picks as they come
    while len(picks) < limit and most > 0 and len(spent) < len(kernel):
        worth = rule.worth(situation)
        if spent:
            worth[spent] = NEVER
        best = worth.max()
        if best <= rule.above:
            break
        # Rounding must not decide between equals.
        pick = int((worth >= best - EQUAL * abs(best)).argmax())
        variance = posterior.observe(pick)
        picks.append(pick)
        variances.append(variance)
        times[pick] += 1
        if times[pick] == most:
            spent.append(pick)
    return Selection(tuple(picks), tuple(variances), irreducible_variance(kernel))
