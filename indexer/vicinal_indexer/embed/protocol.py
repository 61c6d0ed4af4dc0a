"""What turns texts into vectors, whatever it is made of.

Owns the protocol alone.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Embedder(Protocol):
    """Maps texts to unit vectors. A store is rebuilt when `name` changes."""

    name: str
    dimensions: int
    in_workers: bool
    """Whether it is cheap enough to be made anew in each worker process (by pickling) and run there."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimensions), rows of unit length; a text without a word is the zero vector."""
        ...
