"""Subwords, vectors and the fusion of two rankings."""

import doctest

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vicinal_indexer import terms
from vicinal_indexer.embed import HashingEmbedder
from vicinal_indexer.search import fuse
from vicinal_indexer.types import Chunk, FloatArray


def test_subwords_example() -> None:
    assert doctest.testmod(terms).failed == 0


def test_rows_are_unit_and_repeatable() -> None:
    texts = ["def readLines(file): ...", "12 34", "class HTTPServer", ""]
    rows = HashingEmbedder().embed(texts)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), [1, 0, 1, 0])
    assert (rows == HashingEmbedder().embed(texts)).all()
    assert HashingEmbedder().embed([]).shape == (0, 512)


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
