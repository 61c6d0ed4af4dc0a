"""Subwords and the fusion of two rankings."""

import doctest
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_indexer import terms
from vicinal_indexer.search import LEXICAL_WEIGHT, RANK_CONSTANT, fuse
from vicinal_indexer.types import Chunk, FloatArray


def test_subwords_example() -> None:
    assert doctest.testmod(terms).failed == 0


SPECIFICATION = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_A-Za-z]+")


@given(st.text(alphabet="abcXYZ_1 .é漢ǅ", max_size=80) | st.text(max_size=80))
def test_subwords_are_what_the_plain_expression_finds(text: str) -> None:
    slow = [word for found in SPECIFICATION.findall(text) for word in found.lower().split() if len(word) <= 40]
    assert terms.subwords(text) == slow


def result(number: int) -> tuple[Chunk, FloatArray]:
    angle = np.float32(number // 2)
    vector = np.array([np.cos(angle), np.sin(angle)], np.float32)
    return Chunk("p", number, number, 0, 0, "", "", "", "t", str(number // 2)), vector


QUERY = np.array([1, 0], np.float32)
RANKING = st.lists(st.integers(1, 30), unique=True).map(lambda numbers: [result(n) for n in numbers])
Ranking = list[tuple[Chunk, FloatArray]]


@given(dense=RANKING, lexical=RANKING, limit=st.integers(0, 40))
def test_fusion(dense: Ranking, lexical: Ranking, limit: int) -> None:
    fused = fuse(QUERY, dense, lexical, limit)
    hashes = [c.chunk.content_hash for c in fused]
    assert len(set(hashes)) == len(hashes) <= limit
    assert set(hashes) <= {c.content_hash for c, _ in [*dense, *lexical]}
    scores = [c.vector @ QUERY + (LEXICAL_WEIGHT / (RANK_CONSTANT + (c.lexical_rank or np.inf))) for c in fused]
    assert scores == pytest.approx(sorted(scores, reverse=True))
    for c in fused:
        assert c.dense_rank is None or dense[c.dense_rank - 1][0] == c.chunk
        assert c.lexical_rank is None or lexical[c.lexical_rank - 1][0] == c.chunk


@given(ranking=RANKING)
def test_without_vectors_the_lexical_order_stands(ranking: Ranking) -> None:
    fused = fuse(np.zeros(2, np.float32), [], ranking, 40)
    assert [c.lexical_rank for c in fused] == sorted(c.lexical_rank or 0 for c in fused)


@given(dense=RANKING, lexical=RANKING, limit=st.integers(2, 20))
def test_the_first_of_each_ranking_are_never_crowded_out(dense: Ranking, lexical: Ranking, limit: int) -> None:
    kept = {c.chunk.content_hash for c in fuse(QUERY, dense, lexical, limit)}
    for ranking in (dense, lexical):
        assert {chunk.content_hash for chunk, _ in ranking[: limit // 2]} <= kept
