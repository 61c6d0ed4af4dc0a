"""Texts as vectors.

Owns the `Embedder` protocol and its implementations, a file each. It does not know chunks or storage.
"""

from vicinal_indexer.embed.hashing import HashingEmbedder
from vicinal_indexer.embed.protocol import Embedder

__all__ = ["Embedder", "HashingEmbedder"]
