"""Hybrid candidates: what is near in meaning and what shares words, in one list.

Owns the fusion of both searches and the folding of duplicates. It does not know which candidates are worth learning.
"""

from collections.abc import Sequence

from vicinal_indexer.embed import Embedder
from vicinal_indexer.store import Store
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Candidate, Chunk, Filter, FloatArray, Region

RANK_CONSTANT = 60
"""The k of reciprocal rank fusion (Cormack et al. 2009)."""

MAX_QUERY_TERMS = 200
"""A longer query only gets slower; its last words are the nearest to the cursor."""


def find_candidates(
    store: Store, embedder: Embedder, text: str, *, limit: int, exclude: Sequence[Region], wanted: Filter
) -> list[Candidate]:
    """Up to `limit` chunks for `text`, best first; the same text twice is returned once.

    Args:
        exclude: lines that no returned chunk may touch.
        wanted: the languages and paths to search in.
    """
    terms = list(dict.fromkeys(reversed(subwords(text))))[:MAX_QUERY_TERMS]
    if not terms:
        return []
    (vector,) = embedder.embed([text])
    return fuse(store.nearest(vector, limit, exclude, wanted), store.matching(terms, limit, exclude, wanted), limit)


def fuse(
    dense: Sequence[tuple[Chunk, FloatArray]], lexical: Sequence[tuple[Chunk, FloatArray]], limit: int
) -> list[Candidate]:
    """Reciprocal rank fusion; ties and duplicates are settled by path and line, so the order is always the same."""
    found: dict[tuple[str, int], tuple[Chunk, FloatArray]] = {}
    ranks: list[dict[tuple[str, int], int]] = []
    for results in (dense, lexical):
        places = {(chunk.path, chunk.start_line): rank for rank, (chunk, _) in enumerate(results, start=1)}
        ranks.append(places)
        found |= {(chunk.path, chunk.start_line): (chunk, vector) for chunk, vector in results}

    def order(key: tuple[str, int]) -> tuple[float, tuple[str, int]]:
        return -sum(1 / (RANK_CONSTANT + places[key]) for places in ranks if key in places), key

    folded: dict[str, Candidate] = {}
    for key in sorted(found, key=order):
        chunk, vector = found[key]
        candidate = Candidate(chunk, vector, ranks[0].get(key), ranks[1].get(key))
        folded.setdefault(chunk.content_hash, candidate)
    return list(folded.values())[:limit]
