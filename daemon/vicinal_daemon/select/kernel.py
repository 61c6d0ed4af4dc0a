"""Kernels: how alike the prompt and the candidates are, as matrices.

Owns the representation phi in which the surrogate model is linear. Pure: texts in, matrices out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from vicinal_indexer.types import FloatArray

Matrix = NDArray[np.float64]


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


def lexical_kernel(candidates: Sequence[Sequence[str]], prompts: Sequence[Sequence[str]]) -> Kernel:
    """TF-IDF over words (`terms.subwords`); the document frequencies are those of the K candidates.

    All entries are in [0, 1]: no negative similarities, so no clamping is needed before SIFT's c^2.
    A prompt without a single word has k(x*, x*) = 1 and is alike to nothing.
    """
    count, ones = len(candidates), np.ones(len(prompts))
    vectorizer = TfidfVectorizer(analyzer=iter, sublinear_tf=True, dtype=np.float64)
    try:
        rows = vectorizer.fit_transform([*candidates, *prompts])
    except ValueError:  # scikit-learn's word for "no text has a word"
        return Kernel(np.zeros((count, count)), np.zeros((count, len(prompts))), ones)
    kernel = (rows @ rows.T).toarray()
    return Kernel(kernel[:count, :count], kernel[:count, count:], ones)


def dense_kernel(candidates: FloatArray, prompts: FloatArray) -> Kernel:
    """Cosines of embeddings, centred on the candidates' mean; candidates (K, d), prompts (m, d).

    Embeddings share a large common direction, and with it all code looks alike and sigma collapses: it is taken out.
    What is left of each vector is scaled to unit length; a vector without anything left is alike to nothing. Prompts
    that are the opposite of a candidate count as unlike it, not as alike: SIFT squares the similarity.
    """
    count = len(candidates)
    rows = np.vstack([candidates, prompts]).astype(np.float64)
    rows -= candidates.mean(axis=0, dtype=np.float64) if count > 1 else 0.0
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    return Kernel(rows[:count] @ rows[:count].T, np.maximum(rows[:count] @ rows[count:].T, 0.0), np.ones(len(prompts)))


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
