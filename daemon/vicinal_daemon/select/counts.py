"""Which words a text has, and how often: what the lexical kernel is made of.

Owns the counting, and remembers it for texts that come again: a chunk is a candidate of one request after the other.
Pure but for that memory.
"""

import functools
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vicinal_indexer.terms import subwords

REMEMBERED = 4096
"""Texts whose counts are kept, some 3 kB each: the candidates of twenty places and more."""


@dataclass(frozen=True, slots=True, eq=False)
class TermCounts:
    """The words of one text.

    Attributes:
        words: each once, in order of first appearance.
        weights: 1 + ln(count) of each: the tenth time a word is said, it says little.
        total: words in all, repeats included.
    """

    words: tuple[str, ...]
    weights: NDArray[np.float64]
    total: int


def counted(words: Iterable[str]) -> TermCounts:
    """Count words.

    >>> counted(["read", "the", "read"]).words
    ('read', 'the')
    """
    counts = Counter(words)
    weights = 1.0 + np.log(np.fromiter(counts.values(), np.float64, len(counts)))
    # Interned, the word that a thousand texts have is one string.
    return TermCounts(tuple(map(sys.intern, counts)), weights, counts.total())


@functools.lru_cache(maxsize=REMEMBERED)
def term_counts(text: str) -> TermCounts:
    """The counts of the subwords of `text`."""
    return counted(subwords(text))
