"""Hybrid candidates: what is near in meaning and what shares words, in one list.

Owns the fusion of both searches and the folding of duplicates. It does not know which candidates are worth learning.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from vicinal_indexer.embed import Embedder
from vicinal_indexer.store import Store
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Candidate, Chunk, Filter, FloatArray, Region

RANK_CONSTANT = 10
LEXICAL_WEIGHT = 1.5
"""What a shared word is worth against meaning: of a candidate at lexical rank r, 1.5 / (10 + r) is added to its cosine.

Ranks alone (reciprocal rank fusion, Cormack et al. 2009) forget how near a candidate is, which the cosine knows, also
of those that only the lexical search found. Chosen on packages that `benchmarks/retrieval.py` does not measure with.
"""

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
    with ThreadPoolExecutor(1) as beside:
        lexical = beside.submit(store.matching, terms, limit, exclude, wanted)
        dense = store.nearest(vector, limit, exclude, wanted)
        return fuse(vector, dense, lexical.result(), limit)


def fuse(
    query: FloatArray,
    dense: Sequence[tuple[Chunk, FloatArray]],
    lexical: Sequence[tuple[Chunk, FloatArray]],
    limit: int,
) -> list[Candidate]:
    """Both rankings as one, by the cosine to `query` (d,) and the lexical rank.

    The first half of `limit` of each ranking is always among them. Ties and duplicates are settled by path and line, so
    the order is always the same.
    """
    found: dict[tuple[str, int], tuple[Chunk, FloatArray]] = {}
    ranks: list[dict[tuple[str, int], int]] = []
    for results in (dense, lexical):
        places = {(chunk.path, chunk.start_line): rank for rank, (chunk, _) in enumerate(results, start=1)}
        ranks.append(places)
        found |= {(chunk.path, chunk.start_line): (chunk, vector) for chunk, vector in results}

    def order(key: tuple[str, int]) -> tuple[float, tuple[str, int]]:
        shared = LEXICAL_WEIGHT / (RANK_CONSTANT + ranks[1][key]) if key in ranks[1] else 0.0
        return -float(found[key][1] @ query) - shared, key

    folded: dict[str, Candidate] = {}
    for key in sorted(found, key=order):
        chunk, vector = found[key]
        candidate = Candidate(chunk, vector, ranks[0].get(key), ranks[1].get(key))
        folded.setdefault(chunk.content_hash, candidate)
    best = list(folded.values())
    # The only chunk with a rare name must not be crowded out by hundreds that are vaguely near.
    sure = {chunk.content_hash for results in (dense, lexical) for chunk, _ in results[: limit // 2]}
    sure_first = sorted(range(len(best)), key=lambda place: best[place].chunk.content_hash not in sure)
    return [best[place] for place in sorted(sure_first[:limit])]
