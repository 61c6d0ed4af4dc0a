"""What each strategy thinks the next pick is worth.

Owns one small function a strategy and the table of them. It does not know when to stop, or how often anything may be
picked. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vicinal_daemon.select.kernel import Kernel, Matrix
from vicinal_daemon.select.posterior import Posterior

Strategy = Literal["sift", "nn", "mmr", "uncertainty", "random", "none"]

NEVER = -np.inf
"""The worth of a candidate that may not be picked."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a rule may look at.

    Attributes:
        kernel: K candidates and m prompts, before anything was observed.
        posterior: after all picks so far.
        picks: so far, in order.
        balance: MMR's lambda in [0, 1], the weight of relevance.
        seed: of what is drawn at random.
    """

    kernel: Kernel
    posterior: Posterior
    picks: Sequence[int]
    balance: float
    seed: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A strategy.

    Attributes:
        worth: (K,), a new array: of each candidate as the next pick. The largest is picked, of equals the first.
        most: how often the strategy itself picks a candidate, None: as often as it likes.
        above: what is worth no more than this is not picked: rather fewer picks than those that tell nothing.
    """

    worth: Callable[[Situation], Matrix]
    most: int | None
    above: float = NEVER


def reduction(situation: Situation) -> Matrix:
    """SIFT: by how much one more observation reduces the variance at the prompt.

    Hübotter et al., "Efficiently Learning at Test-Time", eq. 4, as a gain: c_j^2 / (V_jj + lambda').
    """
    return situation.posterior.gains()


def nearness(situation: Situation) -> Matrix:
    """Nearest neighbours: k(x, x*), the mean over the prompts. Blind to what was picked."""
    likeness: Matrix = situation.kernel.to_prompts.mean(axis=1)
    return likeness


def marginal_relevance(situation: Situation) -> Matrix:
    """MMR: b k(x, x*) - (1 - b) max over the picks s of k(x, s), with b the balance.

    Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking", SIGIR 1998, with both similarities the kernel.
    Unlike SIFT it looks only at the most alike of the picks, and at likeness with all of a candidate and not with that
    part of it which matters to the prompt.
    """
    told = situation.kernel.among[:, list(situation.picks)].max(axis=1, initial=NEVER) if situation.picks else 0.0
    return situation.balance * nearness(situation) - (1 - situation.balance) * told


def own_variance(situation: Situation) -> Matrix:
    """Uncertainty sampling: sigma_n^2(x), of the candidate itself. Blind to the prompt.

    Lewis and Catlett, "Heterogeneous Uncertainty Sampling", 1994, as in the comparison of Hübotter et al.
    """
    return situation.posterior.candidate_variances


def chance(situation: Situation) -> Matrix:
    """Random: an order drawn by the seed, the same at every step."""
    order: Matrix = np.random.default_rng(situation.seed).permutation(len(situation.kernel)).astype(np.float64)
    return order


RULES: Mapping[Strategy, Rule] = {
    "sift": Rule(reduction, None, above=0.0),
    "nn": Rule(nearness, 1),
    "mmr": Rule(marginal_relevance, 1),
    "uncertainty": Rule(own_variance, None),
    "random": Rule(chance, 1),
    "none": Rule(nearness, 0),
}
