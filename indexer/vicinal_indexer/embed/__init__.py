"""Texts as vectors.

Owns the `Embedder` protocol and its implementations, a file each. It does not know chunks or storage.
"""

from vicinal_indexer.embed.protocol import Embedder
from vicinal_indexer.embed.static import StaticEmbedder

__all__ = ["Embedder", "StaticEmbedder"]
