"""Subwords and the fusion of two rankings."""

import doctest
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vicinal_indexer import terms
from vicinal_indexer.search import fuse
from vicinal_indexer.types import Chunk, FloatArray


def test_subwords_example() -> None:
    assert doctest.testmod(terms).failed == 0


SPECIFICATION = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+")


@given(st.text(alphabet="abcXYZ_1 .é漢ǅ", max_size=80) | st.text(max_size=80))
def test_subwords_are_what_the_plain_expression_finds(text: str) -> None:
    slow = [word for found in SPECIFICATION.findall(text) for word in found.lower().split() if len(word) <= 40]
    assert terms.subwords(text) == slow


def result(number: int) -> tuple[Chunk, FloatArray]:
    return Chunk("p", number, number, 0, 0, "", "", "", "t", str(number // 2)), np.zeros(1, np.float32)


RANKING = st.lists(st.integers(1, 30), unique=True).map(lambda numbers: [result(n) for n in numbers])


@given(dense=RANKING, lexical=RANKING, limit=st.integers(0, 40))
def test_fusion(dense: list[tuple[Chunk, FloatArray]], lexical: list[tuple[Chunk, FloatArray]], limit: int) -> None:
    fused = fuse(dense, lexical, limit)
    hashes = [c.chunk.content_hash for c in fused]
    assert len(set(hashes)) == len(hashes) <= limit
    assert set(hashes) <= {c.content_hash for c, _ in [*dense, *lexical]}
    scores = [sum(1 / (60 + r) for r in (c.dense_rank, c.lexical_rank) if r) for c in fused]
    assert scores == sorted(scores, reverse=True)
    for c in fused:
        assert c.dense_rank is None or dense[c.dense_rank - 1][0] == c.chunk
        assert c.lexical_rank is None or lexical[c.lexical_rank - 1][0] == c.chunk
