"""What the repository's own adapter studies.

Owns the choice. Pure: candidates in, an order out. It does not know when it is studied, or how.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from vicinal_daemon.select import mixed_kernel, select, term_counts
from vicinal_indexer.types import Candidate

NOISE = 0.1
"""lambda', as for a request: a chunk is learned, not only read."""

GROUP = 256
"""Candidates that are compared with each other at once."""

HELD_OUT_SHARE = 0.1
HELD_OUT = 16
"""Of the candidates, this share is kept to judge by, and not more than so many."""


@dataclass(frozen=True, slots=True, eq=False)
class WarmOrder:
    """What to study and what to judge by; no chunk is in both.

    Attributes:
        picks: each once, the most informative first.
        shares: of each pick in the reduction of the variance, in its group; they sum to 1.
        held_out: for the guard, which scores the adapter on what it was not trained on.
    """

    picks: tuple[Candidate, ...]
    shares: tuple[float, ...]
    held_out: tuple[Candidate, ...]


def split(candidates: Sequence[Candidate], seed: int) -> tuple[list[Candidate], list[Candidate]]:
    """What judges, and what may be studied; both in an order drawn by `seed`."""
    order = np.random.default_rng(seed).permutation(len(candidates))
    kept = min(HELD_OUT, int(HELD_OUT_SHARE * len(candidates)))
    held_out, pool = ([candidates[place] for place in part] for part in (order[:kept], order[kept:]))
    return held_out, pool


def warm_order(candidates: Sequence[Candidate], count: int, seed: int) -> WarmOrder:
    """Choose up to `count` of the candidates, a sample of the repository (`RepositoryIndex.sample`).

    No prompt is known yet, so all of the repository is the prompt: every candidate is a target, and SIFT reduces the
    mean of their posterior variances. This is transductive active learning with the repository as the target space
    (Hübotter et al., "Transductive Active Learning: Theory and Applications", 2024). The first picks are thus typical
    of much of it, and each later one tells what those before did not.

    A kernel of thousands of candidates would take most of a gigabyte, so they choose in groups: of each the better half
    goes on, until as many are left as are wanted, or as fit into one group. What is greedily chosen from what the parts
    chose greedily is near the choice from the whole (Mirzasoleiman et al., "Distributed Submodular Maximization",
    2013).
    """
    held_out, pool = split(candidates, seed)
    if not pool:
        return WarmOrder((), (), tuple(held_out))
    while len(pool) > max(count, GROUP):
        left = max(count, GROUP, len(pool) // 2)
        pool = [pick for pick, _ in _in_groups(pool, left)]
    chosen = list(_in_groups(pool, count))
    total = sum(share for _, share in chosen) or 1.0
    return WarmOrder(tuple(pick for pick, _ in chosen), tuple(share / total for _, share in chosen), tuple(held_out))


def _in_groups(pool: Sequence[Candidate], count: int) -> list[tuple[Candidate, float]]:
    """Up to `count`, as many from each group, with their shares in it: the first of each group, the second of each, ...

    Whoever is chosen from this again is in another group then: neighbours in `pool` never are in the same.
    """
    groups = -(-len(pool) // GROUP)
    each = -(-count // groups)
    chosen = [_chosen(pool[group::groups], each) for group in range(groups)]
    return [pair for turn in zip_longest(*chosen) for pair in turn if pair is not None][:count]


def _chosen(group: Sequence[Candidate], count: int) -> Iterator[tuple[Candidate, float]]:
    """The most informative first, each with its share in the reduction of the group's variance."""
    words = [term_counts(candidate.chunk.searched_text) for candidate in group]
    vectors = np.stack([candidate.vector for candidate in group])
    chosen = select("sift", mixed_kernel(words, vectors, words, vectors), limit=count, noise=NOISE, at_most=1)
    return zip((group[pick] for pick in chosen.picks), chosen.shares, strict=True)
