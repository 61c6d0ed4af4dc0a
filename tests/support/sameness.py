"""Whether folders and indexes are what they were, or what they would be if they were made anew.

Owns what is compared. It does not know what was done to them in between.
"""

import hashlib
from pathlib import Path

import numpy as np

from vicinal_indexer.batch import read_batch
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex

Dump = list[tuple[object, ...]]


def digest_of(folder: Path) -> str:
    """Of all names and bytes in a folder."""
    told = hashlib.blake2b()
    for path in sorted(folder.rglob("*")):
        told.update(f"{path.relative_to(folder)}\0".encode())
        told.update(path.read_bytes() if path.is_file() else b"")
    return told.hexdigest()


def dump(index: RepositoryIndex, words: str) -> Dump:
    """All that a search for words that every chunk has can see, by an order of its own."""
    found = index.search(words, limit=10_000)
    return sorted((c.chunk.path, c.chunk.start_line, c.chunk.text, c.vector.tobytes()) for c in found)


def built_anew(root: Path) -> Dump:
    """The same by the definition: every file cut and embedded, without a store. No two chunks may have one text."""
    rows = read_batch(root, walk(root)[0], StaticEmbedder()).chunks.to_pylist()
    return sorted((r["path"], r["start_line"], r["text"], np.asarray(r["vector"], np.float32).tobytes()) for r in rows)
