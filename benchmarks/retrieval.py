"""Does a sentence find its function? `python benchmarks/retrieval.py --help`.

Each function of some packages becomes a file of its own without its documentation; the query is the first paragraph of
that documentation, and the function it came from is the one right answer. Every method ranks the same chunks, with the
same text (path, symbol, code), over all packages at once. The last row is the product itself: the files are written to
a folder, synced and searched through `RepositoryIndex`.

MRR@10 is the mean of 1 / rank of the right function, 0 below rank 10; recall@10 is how often it is among the first ten.
The intervals are 95% paired bootstraps over queries.
"""

import argparse
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bm25s
import numpy as np
from functions import functions, sources
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer

from vicinal_indexer.chunks import chunk
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.languages import detect
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Chunk, FloatArray, digest

TOP = 10
DEPTH = 100
"""Chunks that each ranking holds; long functions are several chunks."""
MIN_LINES = 3
MIN_WORDS = 3
RESAMPLES = 2_000

Scorer = Callable[[Sequence[str]], Iterator[NDArray[np.float32]]]
"""Queries -> for each, a score for every chunk."""


@dataclass(frozen=True, slots=True)
class Query:
    """`text` should find the file `path`."""

    text: str
    path: str
    package: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """The files (path -> code), and the queries about some of them."""

    files: dict[str, str]
    queries: list[Query]

    def chunks(self) -> list[Chunk]:
        """As the indexer cuts them."""
        return [piece for path, code in self.files.items() for piece in chunk(path, code, detect(path, code[:200]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, nargs="+", help="wheels, sdists, npm tarballs or folders of source")
    parser.add_argument("--minilm", type=Path, required=True, help="folder of all-MiniLM-L6-v2 (sentence-transformers)")
    parser.add_argument("--cache", type=Path, help="folder that keeps MiniLM's vectors between runs")
    parser.add_argument("--functions", type=int, default=3_000, help="at most so many functions of each package")
    parser.add_argument("--queries", type=int, default=400, help="at most so many queries about each package")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    corpus = collect(given.packages, given.functions, given.queries, given.seed)
    chunks = corpus.chunks()
    asked = Counter(query.package for query in corpus.queries)
    print(f"{len(corpus.queries):,} queries, {len(corpus.files):,} functions, {len(chunks):,} chunks")
    print(", ".join(f"{package}: {count}" for package, count in asked.items()), end="\n\n")
    rows = measure(corpus, chunks, given.minilm, given.cache)
    print(table(corpus, rows))
    for rival in ("bm25s, its own tokeniser", "bm25s, subwords", "MiniLM alone"):
        low, mean, high = difference(rows["product: hybrid"], rows[rival], given.seed)
        print(f"product - {rival}: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")


def collect(packages: Sequence[Path], most_functions: int, most_queries: int, seed: int) -> Corpus:
    """A seeded sample of each package; the same code or the same query is taken once."""
    files: dict[str, str] = {}
    queries: list[Query] = []
    codes: set[str] = set()
    for place in packages:
        package = re.split(r"-\d", place.name)[0]
        found = []
        for path, text in sources(place):
            for function in functions(path, text):
                if function.lines >= MIN_LINES and function.code not in codes:
                    codes.add(function.code)
                    found.append(function)
        said = Counter(function.summary for function in found)
        chosen = random.Random(seed)  # noqa: S311 - a reproducible sample
        chosen.shuffle(found)
        found.sort(key=lambda f: len(f.summary.split()) < MIN_WORDS or said[f.summary] > 1)
        asked, found = found[:most_queries], found[:most_functions]
        for function in found:
            stem, suffix = function.path.rsplit(".", 1)
            name = re.sub(r"[^\w.]+", "_", function.symbol)[:80]
            path = f"{package}/{stem}/{name}.{suffix}"
            while path in files:
                path = f"{path.rsplit('.', 1)[0]}_.{suffix}"
            files[path] = function.code
            if function in asked and len(function.summary.split()) >= MIN_WORDS and said[function.summary] == 1:
                queries.append(Query(function.summary, path, package))
    return Corpus(files, queries)


def measure(corpus: Corpus, chunks: Sequence[Chunk], minilm: Path, cache: Path | None) -> dict[str, FloatArray]:
    """The reciprocal rank of each query's function, by method."""
    texts = [f"{piece.path}\n{piece.symbol}\n{piece.text}" for piece in chunks]
    embedder = StaticEmbedder()
    asked = [query.text for query in corpus.queries]
    bm25 = bm25_scores(asked, texts, lambda some: bm25s.tokenize(some, show_progress=False, return_ids=False))
    bm25_subwords = bm25_scores([" ".join(dict.fromkeys(subwords(text))) for text in asked], texts, cut)
    static = embedder.embed(asked) @ embedder.embed(texts).T
    sentence = minilm_vectors(minilm, asked, cache) @ minilm_vectors(minilm, texts, cache).T
    rows = {
        "bm25s, its own tokeniser": [order(scores) for scores in bm25],
        "bm25s, subwords": [order(scores) for scores in bm25_subwords],
        "StaticEmbedder alone": [order(scores) for scores in static],
        "MiniLM alone": [order(scores) for scores in sentence],
    }
    paths = [piece.path for piece in chunks]
    ranks = {
        name: reciprocal_ranks(corpus, [[paths[place] for place in places] for places in ranked])
        for name, ranked in rows.items()
    }
    ranks["product: hybrid"] = reciprocal_ranks(corpus, product(corpus))
    return ranks


def cut(texts: Sequence[str]) -> list[list[str]]:
    """Subwords, as the product indexes them."""
    return [subwords(text) for text in texts]


def bm25_scores(
    queries: Sequence[str], texts: Sequence[str], tokenise: Callable[[Sequence[str]], list[list[str]]]
) -> Iterator[FloatArray]:
    """For each query, the BM25 score of every text."""
    retriever = bm25s.BM25()
    retriever.index(tokenise(texts), show_progress=False)
    for words in tokenise(queries):
        known = [word for word in words if word in retriever.vocab_dict]
        yield retriever.get_scores(known) if known else np.zeros(len(texts), np.float32)


def minilm_vectors(folder: Path, texts: Sequence[str], cache: Path | None) -> FloatArray:
    """(n, 384) unit vectors of the true encoder: mean pooling, the first 256 tokens."""
    kept = None if cache is None else cache / f"minilm-{digest(chr(0).join(texts))}.npy"
    if kept is not None and kept.exists():
        return np.load(kept, allow_pickle=False)
    encoder = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder.max_seq_length = 256
    vectors = encoder.encode(list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors)
    return vectors


def order(scores: FloatArray) -> NDArray[np.int64]:
    """The places of the best scores above zero, best first."""
    best = np.argsort(-scores, kind="stable")[:DEPTH]
    return best[scores[best] > 0]


def product(corpus: Corpus) -> list[list[str]]:
    """The paths that the real index returns for each query, best first."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "repository"
        for path, code in corpus.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(code, encoding="utf-8")
        with RepositoryIndex.open(root, Path(folder) / "data") as index:
            report = index.sync()
            started = time.perf_counter()
            found = [[c.chunk.path for c in index.search(query.text, limit=DEPTH)] for query in corpus.queries]
            seconds = (time.perf_counter() - started) / len(corpus.queries)
    print(f"indexed {report.files:,} of {len(corpus.files):,} files in {report.seconds:.1f} s;", end=" ")
    print(f"{seconds * 1000:.0f} ms a search", end="\n\n")
    return found


def reciprocal_ranks(corpus: Corpus, rankings: Sequence[Sequence[str]]) -> FloatArray:
    """1 / rank of each query's file among the distinct files found, 0 below rank `TOP`."""
    result = np.zeros(len(corpus.queries), np.float32)
    for number, (query, paths) in enumerate(zip(corpus.queries, rankings, strict=True)):
        distinct = list(dict.fromkeys(paths))[:TOP]
        if query.path in distinct:
            result[number] = 1 / (1 + distinct.index(query.path))
    return result


def difference(ours: FloatArray, theirs: FloatArray, seed: int) -> tuple[float, float, float]:
    """(2.5%, mean, 97.5%) of the mean difference over resampled queries."""
    rng = np.random.default_rng(seed)
    gains = ours - theirs
    means = [gains[rng.integers(len(gains), size=len(gains))].mean() for _ in range(RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(gains.mean()), float(high)


def table(corpus: Corpus, rows: dict[str, FloatArray]) -> str:
    """Markdown: MRR@10 over all queries and by language, then recall@10."""
    python = np.array([query.path.endswith(".py") for query in corpus.queries])
    lines = [
        f"| method | MRR@{TOP} | Python ({python.sum()}) | JS/TS ({(~python).sum()}) | recall@{TOP} |",
        "|---|---|---|---|---|",
    ]
    for name, ranks in rows.items():
        parts = [part.mean() if part.size else float("nan") for part in (ranks, ranks[python], ranks[~python])]
        lines.append(f"| {name} | " + " | ".join(f"{part:.3f}" for part in parts) + f" | {(ranks > 0).mean():.3f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
