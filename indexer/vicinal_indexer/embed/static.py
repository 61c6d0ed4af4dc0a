"""Learned word vectors: meaning without a model to run.

Owns the table of vectors that the package carries and how a text is summed from it. It does not know how the table was
learned (`benchmarks/train_embedder.py`) or what the texts are.

The table, `static.npz`, is read without pickle:

    words    uint8 (bytes,)   V words in UTF-8, joined by "\n"
    vectors  int8  (V, d)     row w times scales[w] is the vector of word w; its length is the weight of the word
    scales   float16 (V,)
    unknown  float32 ()       the length of every vector that is not in the table
"""

from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import shake_256
from importlib.resources import files
from itertools import chain
from zlib import crc32

import numpy as np

from vicinal_indexer.terms import subwords
from vicinal_indexer.types import FloatArray

DIMENSIONS = 192
TABLE = "static.npz"
TABLE_DIGEST = "aac64b993535"
"""The first 12 hex digits of the file's BLAKE2b hash: vectors of another table must not meet in one store."""

UNKNOWN_ROWS = 4_096
"""A word that is not in the table has one of this many random vectors, chosen by its CRC. So a rare name still finds
itself, and two of them are all but orthogonal (Weinberger et al. 2009)."""

_BLOCK = 256
"""Texts that are summed at a time; bounds the memory and stays in the processor's cache."""


class StaticEmbedder:
    """The sum of log(1 + count) * vector over the words of a text, scaled to unit length (as in SIF, Arora et al. 2017,
    but with the words' weights learned). Stateless; the table is read on first use, once in a process."""

    name = f"static-subwords-{DIMENSIONS}-{TABLE_DIGEST}"
    dimensions = DIMENSIONS
    in_workers = True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """See `Embedder.embed`."""
        return self.embed_words([subwords(text) for text in texts])

    def embed_words(self, texts: Sequence[Sequence[str]]) -> FloatArray:
        """The same for texts that are already cut by `terms.subwords`: (n, dimensions)."""
        result = np.zeros((len(texts), self.dimensions), np.float32)
        rows, table = _table()
        for start in range(0, len(texts), _BLOCK):
            _add_sums(texts[start : start + _BLOCK], rows, table, result[start : start + _BLOCK])
        lengths = np.linalg.norm(result, axis=1, keepdims=True)
        np.divide(result, lengths, out=result, where=lengths > 0)
        return result


class _Rows(dict[str, int]):
    """The row of each known word in the table; a word that is not known has one of the last rows."""

    def __missing__(self, word: str) -> int:
        return len(self) + crc32(word.encode("utf-8", "surrogatepass")) % UNKNOWN_ROWS


def _add_sums(texts: Sequence[Sequence[str]], rows: _Rows, table: FloatArray, result: FloatArray) -> None:
    """Write the weighted sum of each text's vectors into its row of `result`, which is zero before."""
    counts = np.fromiter(map(len, texts), np.int64, len(texts))
    words: Iterable[str] = chain.from_iterable(texts)
    found = np.fromiter(map(rows.__getitem__, words), np.int64, int(counts.sum()))
    if not found.size:
        return
    # One key for each (text, word): sorted, equal words of a text stand together, whatever the texts around it.
    keys = np.sort(np.repeat(np.arange(len(texts)), counts) * len(table) + found)
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    text, row = np.divmod(keys[firsts], len(table))
    weights = np.log1p(np.diff(firsts, append=len(keys)), dtype=np.float32)
    starts = np.flatnonzero(np.diff(text, prepend=-1))
    result[text[starts]] = np.add.reduceat(table[row] * weights[:, None], starts, axis=0)


@cache
def _table() -> tuple[_Rows, FloatArray]:
    """The rows of the known words, and (V + UNKNOWN_ROWS, dimensions) vectors."""
    with files("vicinal_indexer.embed").joinpath(TABLE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        words = stored["words"].tobytes().decode().split("\n")
        known = stored["vectors"] * stored["scales"].astype(np.float32)[:, None]
        unknown = unknown_vectors(DIMENSIONS) * stored["unknown"]
    return _Rows(zip(words, range(len(words)), strict=True)), np.concatenate([known, unknown])


def unknown_vectors(dimensions: int) -> FloatArray:
    """(UNKNOWN_ROWS, dimensions) unit vectors of random signs; the same on every machine and for ever."""
    bits = shake_256(b"vicinal unknown words").digest(UNKNOWN_ROWS * dimensions // 8)
    signs = np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(UNKNOWN_ROWS, dimensions)
    vectors: FloatArray = (signs.astype(np.float32) * 2 - 1) / np.sqrt(np.float32(dimensions))
    return vectors
