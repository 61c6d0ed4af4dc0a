"""What the repository's own adapter studies.

Owns the choice. Pure: candidates in, an order out. It does not know when it is studied, or how.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vicinal_daemon.select import mixed_kernel, select, term_counts
from vicinal_indexer.types import Candidate

PROMPTS = 64
"""So many places stand for the repository."""

NOISE = 0.1
"""lambda', as for a request: a chunk is learned, not only read."""

HELD_OUT_SHARE = 0.1
HELD_OUT = 16
"""Of the candidates, this share is kept to judge by, and not more than so many."""


@dataclass(frozen=True, slots=True, eq=False)
class WarmOrder:
    """What to study and what to judge by; no chunk is in both.

    Attributes:
        picks: each once, the most informative first.
        shares: of each pick in the reduction of the variance; they sum to 1.
        held_out: for the guard, which scores the adapter on what it was not trained on.
        explained: the share of the repository's variance that the picks remove, in [0, 1].
    """

    picks: tuple[Candidate, ...]
    shares: tuple[float, ...]
    held_out: tuple[Candidate, ...]
    explained: float


def warm_order(candidates: Sequence[Candidate], count: int, seed: int) -> WarmOrder:
    """Choose up to `count` of the candidates, a sample of the repository (`RepositoryIndex.sample`).

    No prompt is known yet, so all of the repository is the prompt: up to 64 of its chunks, drawn by `seed`, are the
    targets, and SIFT reduces the mean of their posterior variances. This is transductive active learning with the
    repository as the target space (Hübotter et al., "Transductive Active Learning: Theory and Applications", 2024). The
    first picks are thus typical of much of it, and each later one tells what those before did not.
    """
    order = np.random.default_rng(seed).permutation(len(candidates))
    kept = min(HELD_OUT, int(HELD_OUT_SHARE * len(candidates)))
    held_out, pool = ([candidates[place] for place in part] for part in (order[:kept], order[kept:]))
    if not pool:
        return WarmOrder((), (), tuple(held_out), 0.0)
    words = [term_counts(candidate.chunk.searched_text) for candidate in pool]
    vectors = np.stack([candidate.vector for candidate in pool])
    kernel = mixed_kernel(words, vectors, words[:PROMPTS], vectors[:PROMPTS])
    chosen = select("sift", kernel, limit=count, noise=NOISE, at_most=1)
    return WarmOrder(
        tuple(pool[pick] for pick in chosen.picks),
        chosen.shares,
        tuple(held_out),
        min(1.0, max(0.0, 1 - chosen.variances[-1] / chosen.variances[0])),
    )
