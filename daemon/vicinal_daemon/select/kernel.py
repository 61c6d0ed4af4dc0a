"""Kernels: how alike the prompt and the candidates are, as matrices.

Owns the representation phi in which the surrogate model is linear. Pure: texts in, matrices out.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.select.counts import TermCounts
from vicinal_indexer.types import FloatArray

Matrix = NDArray[np.float64]

LEXICAL_SHARE = 0.6
"""Of the mixed kernel: the rest is the cosine of embeddings (benchmarks/RESULTS.md: two-part questions)."""

TELLING_LENGTH = 150.0
"""A candidate with fewer words than this tells less than its likeness says: a line that repeats the question."""


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """k(x, x') = phi(x) . phi(x') between K candidates and m prompts x*, all phi of unit length.

    Most requests have one prompt. A question of several parts has one for each: the selection then reduces the mean
    of their variances.

    Attributes:
        among: (K, K), symmetric positive semi-definite, k(x_i, x_j).
        to_prompts: (K, m), k(x_i, x*).
        prompts: (m,), k(x*, x*), the prior variances.
    """

    among: Matrix
    to_prompts: Matrix
    prompts: Matrix

    def __post_init__(self) -> None:
        count = len(self.to_prompts)
        if self.among.shape != (count, count):
            raise ValueError(f"kernel is {self.among.shape}, but there are {count} candidates")
        if self.to_prompts.shape != (count, len(self.prompts)) or not len(self.prompts):
            raise ValueError(f"there are {len(self.prompts)} prompts, but similarities are {self.to_prompts.shape}")
        if not (np.isfinite(self.among).all() and np.isfinite(self.to_prompts).all()):
            raise ValueError("kernel has entries that are not finite")

    def __len__(self) -> int:
        return len(self.to_prompts)


def from_vectors(candidates: Matrix, prompts: Matrix) -> Kernel:
    """The linear kernel of unit vectors: candidates (K, d), prompts (m, d)."""
    return Kernel(candidates @ candidates.T, candidates @ prompts.T, np.square(prompts).sum(axis=1))


def lexical_kernel(candidates: Sequence[TermCounts], prompts: Sequence[TermCounts]) -> Kernel:
    """TF-IDF over words, of unit length; the document frequencies are those of the candidates and prompts.

    A word that a text has c times weighs (1 + ln c) (1 + ln((1 + n) / (1 + d))), if d of the n texts have it: what
    scikit-learn's TfidfVectorizer computes with sublinear_tf, to 1e-9, but without its 1.2 s to import.

    All entries are in [0, 1]: no negative similarities, so no clamping is needed before SIFT's c^2.
    A prompt without a single word has k(x*, x*) = 1 and is alike to nothing.
    """
    texts = [*candidates, *prompts]
    sizes = np.array([len(text.words) for text in texts], np.intp)
    rows = np.repeat(np.arange(len(texts)), sizes)
    numbers: defaultdict[str, int] = defaultdict(count().__next__)
    words = chain.from_iterable(text.words for text in texts)
    columns = np.fromiter(map(numbers.__getitem__, words), np.intp, len(rows))
    frequencies = np.bincount(columns, minlength=len(numbers))
    rarity = 1.0 + np.log((1 + len(texts)) / (1 + frequencies))
    values = np.concatenate([np.empty(0), *(text.weights for text in texts)]) * rarity[columns]
    lengths = np.sqrt(np.bincount(rows, np.square(values), minlength=len(texts)))
    values /= lengths[rows]
    # A word of one text alone only adds to that text's length, and most words are of this kind.
    shared = frequencies > 1
    places = np.cumsum(shared) - 1
    kept = shared[columns]
    table = np.zeros((len(texts), int(shared.sum())))
    table[rows[kept], places[columns[kept]]] = values[kept]
    similar = table @ table.T
    np.fill_diagonal(similar, lengths > 0)
    first = len(candidates)
    return Kernel(similar[:first, :first], similar[:first, first:], np.ones(len(prompts)))


def dense_kernel(candidates: FloatArray, prompts: FloatArray) -> Kernel:
    """Cosines of embeddings, centred on the candidates' mean; candidates (K, d), prompts (m, d).

    Embeddings share a large common direction, and with it all code looks alike and sigma collapses: it is taken out.
    What is left of each vector is scaled to unit length; a vector without anything left is alike to nothing.

    SIFT squares similarities, so the opposite of a prompt would count as alike to it. A candidate that points away from
    all prompts gets phi = 0 instead. Clamping its similarity alone would leave a matrix that is no kernel: the variance
    would fall below zero.
    """
    count = len(candidates)
    rows = np.vstack([candidates, prompts]).astype(np.float64)
    rows -= candidates.mean(axis=0, dtype=np.float64) if count > 1 else 0.0
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    toward = (rows[:count] @ rows[count:].T > 0.0).any(axis=1, keepdims=True)
    told = rows[:count] * toward
    return Kernel(told @ told.T, told @ rows[count:].T, np.ones(len(prompts)))


def weighted(kernel: Kernel, weights: Matrix) -> Kernel:
    """The same with the phi of candidate i times weights[i], (K,) in [0, 1]: how much observing it tells.

    Unit length makes a chunk of one line as telling as one of forty, if it is about the prompt at all. A shorter phi is
    a noisier observation: scaling by w is dividing lambda' by w^2.
    """
    among = kernel.among * weights[:, None] * weights[None, :]
    return Kernel(among, kernel.to_prompts * weights[:, None], kernel.prompts)


def blend(first: Kernel, second: Kernel, share: float) -> Kernel:
    """share * first + (1 - share) * second: a sum of positive semi-definite kernels is one.

    Args:
        share: in [0, 1].
    """
    other = 1 - share
    return Kernel(
        share * first.among + other * second.among,
        share * first.to_prompts + other * second.to_prompts,
        share * first.prompts + other * second.prompts,
    )


def mixed_kernel(
    candidates: Sequence[TermCounts], vectors: FloatArray, prompts: Sequence[TermCounts], prompt_vectors: FloatArray
) -> Kernel:
    """By shared words and by embeddings, and by how much a candidate tells: for whole questions and chunks.

    Args:
        vectors: (K, d), K > 0, of the candidates.
        prompt_vectors: (m, d).
    """
    both = blend(lexical_kernel(candidates, prompts), dense_kernel(vectors, prompt_vectors), LEXICAL_SHARE)
    lengths = np.array([text.total for text in candidates], np.float64)
    return weighted(both, np.sqrt(np.minimum(1.0, lengths / TELLING_LENGTH)))
