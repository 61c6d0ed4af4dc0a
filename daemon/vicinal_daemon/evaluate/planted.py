"""Duplicates among the candidates: the case in which nearest neighbours fail.

Owns how they are planted (the SIFT paper's experiment: data that is there many times over). Pure.
"""

from collections.abc import Sequence
from dataclasses import replace

from vicinal_daemon.generate.prompt import comment_mark
from vicinal_indexer.types import Chunk, digest

NEAREST = 10
"""So many of the nearest chunks are copied,"""
COPIES = 10
"""so many times each."""


def planted(chunks: Sequence[Chunk], nearest: Sequence[Chunk]) -> list[Chunk]:
    """`chunks`, and copies of the first `NEAREST` of `nearest`; each copy has one more comment line, with its number.

    The index folds exact duplicates; these are what it cannot fold.
    """
    copies = [
        replace(chunk, text=text, content_hash=digest(text))
        for chunk in nearest[:NEAREST]
        for number in range(1, COPIES + 1)
        for text in [f"{chunk.text}\n{comment_mark(chunk.language)} {number}"]
    ]
    return [*chunks, *copies]
