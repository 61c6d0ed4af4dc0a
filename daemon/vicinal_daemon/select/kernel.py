"""Kernels: how alike the prompt and the candidates are, as matrices.

Owns the representation phi in which the surrogate model is linear. Pure: texts in, matrices out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from vicinal_indexer.terms import subwords

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """k(x, x') = phi(x) . phi(x') between K candidates and one prompt x*, all phi of unit length.

    Attributes:
        among: (K, K), symmetric positive semi-definite, k(x_i, x_j).
        to_prompt: (K,), k(x_i, x*).
        prompt: k(x*, x*), the prior variance sigma_0^2.
    """

    among: Matrix
    to_prompt: Matrix
    prompt: float

    def __post_init__(self) -> None:
        count = len(self.to_prompt)
        if self.among.shape != (count, count):
            raise ValueError(f"kernel is {self.among.shape}, but there are {count} candidates")
        if not (np.isfinite(self.among).all() and np.isfinite(self.to_prompt).all()):
            raise ValueError("kernel has entries that are not finite")

    def __len__(self) -> int:
        return len(self.to_prompt)


def from_vectors(candidates: Matrix, prompt: Matrix) -> Kernel:
    """The linear kernel of unit vectors: candidates (K, d), prompt (d,)."""
    return Kernel(candidates @ candidates.T, candidates @ prompt, float(prompt @ prompt))


def lexical_kernel(candidates: Sequence[str], prompt: str) -> Kernel:
    """TF-IDF over the subwords of identifiers; the document frequencies are those of the K candidates.

    All entries are in [0, 1]: no negative similarities, so no clamping is needed before SIFT's c^2.
    A prompt without a single word has k(x*, x*) = 1 and is alike to nothing.
    """
    if not candidates:
        return Kernel(np.zeros((0, 0)), np.zeros(0), 1.0)
    vectorizer = TfidfVectorizer(analyzer=subwords, sublinear_tf=True, dtype=np.float64)
    try:
        rows = vectorizer.fit_transform([*candidates, prompt])
    except ValueError:  # scikit-learn's word for "no text has a word"
        count = len(candidates)
        return Kernel(np.zeros((count, count)), np.zeros(count), 1.0)
    kernel = (rows @ rows.T).toarray()
    return Kernel(kernel[:-1, :-1], kernel[:-1, -1], 1.0)
