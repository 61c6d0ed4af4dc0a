"""Signed feature hashing: vectors without a model.

Owns that embedder.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from vicinal_indexer.terms import subwords


class HashingEmbedder:
    """Signed feature hashing of subwords with damped counts (Weinberger et al. 2009). Stateless, no download."""

    name = "hashing-subwords-512-v1"
    dimensions = 512
    in_workers = True

    def __init__(self) -> None:
        self._vectorizer = HashingVectorizer(
            analyzer=subwords, n_features=self.dimensions, alternate_sign=True, norm=None, dtype=np.float32
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        counts: NDArray[np.float32] = self._vectorizer.transform(texts).toarray()
        damped = np.sign(counts) * np.log1p(np.abs(counts))
        lengths = np.linalg.norm(damped, axis=1, keepdims=True)
        unit: NDArray[np.float32] = np.divide(damped, lengths, out=np.zeros_like(damped), where=lengths > 0)
        return unit
