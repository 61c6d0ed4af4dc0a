"""Which way of choosing finds what the truth needs? Without a model, in minutes.

Three lines are hidden at seeded places of real repositories. Their new identifiers are those that the visible context
before them does not have. Each recipe picks 8 chunks (and its first 4) out of the same 200 candidates; measured is the
share of the new identifiers that stand in what would be learned of the picks: the first 256 tokens' worth of each.

    python benchmarks/coverage.py REPO... [--places 200] [--seed 0] [--json FILE]

Owns the recipes and the table. It knows nothing of tuning: what is in the picks may still not be learned.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vicinal_daemon.evaluate.tasks import Corpus, Task, sample_lines
from vicinal_daemon.neighbourhood import query_text
from vicinal_daemon.select import (
    Kernel,
    Strategy,
    blend,
    counted,
    dense_kernel,
    lexical_kernel,
    select,
    term_counts,
    weighted,
)
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Candidate, Chunk, Region

CODE = frozenset({".py", ".ts", ".tsx", ".js", ".go", ".rs", ".java"})
LINES = 3
PICKS = (4, 8)
CONTEXT = 2048
"""Characters of visible context: 512 tokens of some four each."""
LEARNED = 1024
"""Characters of a pick that are learned: 256 tokens."""
TELLING = 150.0
"""Words of a chunk that tells all that it can, as in `mixed_kernel`."""

_IDENTIFIER = re.compile(r"[^\W\d]\w{2,}")
Likeness = Literal["words", "words, by length", "both", "both, by length"]
Form = Literal["chunk", "+8 lines", "to 24 lines", "24 lines after"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How picks are made: a kernel over the candidates as they are (or in their longer form), and a strategy.

    Attributes:
        form: what is learned of a pick: the chunk; with 8 more lines of its file; with as many as make 24 of it; or the
            24 lines from the first line on which it shares most words with the query.
        sees: whether the kernel compares the chunks or what is learned of them.
    """

    strategy: Strategy
    parameter: float
    likeness: Likeness = "words"
    form: Form = "chunk"
    sees: Literal["chunk", "form"] = "chunk"

    @property
    def name(self) -> str:
        letter = {"sift": "λ' ", "mmr": "balance "}.get(self.strategy)
        return self.strategy + (f", {letter}{self.parameter:g}" if letter else "")


LIKENESSES: tuple[Likeness, ...] = ("words", "words, by length", "both", "both, by length")
STRATEGIES: tuple[tuple[Strategy, float], ...] = (
    ("random", 0.0),
    ("nn", 0.0),
    ("mmr", 0.7),
    ("mmr", 0.5),
    ("sift", 0.01),
    ("sift", 0.1),
    ("sift", 0.3),
    ("sift", 1.0),
)
RECIPES = (
    *(Recipe(strategy, value, likeness) for likeness in LIKENESSES for strategy, value in STRATEGIES),
    *(
        Recipe(strategy, value, likeness, form, sees)
        for form in ("+8 lines", "to 24 lines", "24 lines after")
        for sees in ("chunk", "form")
        for likeness in ("words", "words, by length", "both, by length")
        for strategy, value in (("nn", 0.0), ("mmr", 0.7), ("sift", 0.1), ("sift", 0.3), ("sift", 1.0))
    ),
)

TODAY = Recipe("sift", 0.1)


def identifiers(text: str) -> set[str]:
    return set(_IDENTIFIER.findall(text))


def longer(chunk: Chunk, form: Form, files: Mapping[str, list[str]], hidden: Region, asked: set[str]) -> str:
    """What is learned of a chunk; never a line of the hidden region."""
    rows = files[chunk.path]
    first = chunk.start_line
    last = {"chunk": 0, "+8 lines": chunk.end_line + 8, "to 24 lines": first + 23, "24 lines after": first + 23}[form]
    if form == "24 lines after":
        shared = [len(asked & set(subwords(row))) for row in rows[first - 1 : chunk.end_line]]
        first += shared.index(max(shared))
        last = first + 23
    last = max(last, chunk.end_line if form != "24 lines after" else 0)
    if chunk.path == hidden.path and first < hidden.first_line <= last:
        last = hidden.first_line - 1
    return "\n".join(rows[first - 1 : last]) if form != "chunk" else chunk.text


def kernel_of(likeness: Likeness, texts: Sequence[str], query: str, dense: Kernel) -> Kernel:
    words = [term_counts(text) for text in texts]
    kernel = lexical_kernel(words, [counted(subwords(query))])
    if likeness.startswith("both"):
        kernel = blend(kernel, dense, 0.6)
    if likeness.endswith("length"):
        totals = np.array([told.total for told in words], np.float64)
        kernel = weighted(kernel, np.sqrt(np.minimum(1.0, totals / TELLING)))
    return kernel


def measure(task: Task, index: RepositoryIndex, files: Mapping[str, list[str]], seed: int) -> list[float]:
    """For each recipe the shares found by 4 and by 8, and the characters of a pick; nothing if no identifier is new."""
    visible = task.left[-CONTEXT:]
    wanted = identifiers(task.truth) - identifiers(visible)
    region = Region(task.path, task.line - visible.count("\n"), task.last_line)
    query = query_text(task.target)
    found = index.search(query, limit=200, exclude=[region]) if wanted else []
    if not found:
        return []
    found = sorted(found, key=lambda c: (c.chunk.path, c.chunk.start_line))
    dense = dense_kernel(np.stack([c.vector for c in found]), index.embed([query]))
    return list(shares(found, query, dense, wanted, files, region, seed))


def shares(
    found: Sequence[Candidate],
    query: str,
    dense: Kernel,
    wanted: set[str],
    files: Mapping[str, list[str]],
    region: Region,
    seed: int,
) -> Iterator[float]:
    asked = set(subwords(query))
    forms: dict[Form, list[str]] = {}
    kernels: dict[tuple[Likeness, Form], Kernel] = {}
    for recipe in RECIPES:
        if recipe.form not in forms:
            forms[recipe.form] = [longer(c.chunk, recipe.form, files, region, asked) for c in found]
        seen: Form = recipe.form if recipe.sees == "form" else "chunk"
        if (recipe.likeness, seen) not in kernels:
            kernels[recipe.likeness, seen] = kernel_of(recipe.likeness, forms[seen], query, dense)
        chosen = select(
            recipe.strategy,
            kernels[recipe.likeness, seen],
            limit=max(PICKS),
            noise=recipe.parameter if recipe.strategy == "sift" else 0.1,
            balance=recipe.parameter,
            seed=seed,
        )
        for count in PICKS:
            have = set().union(*(identifiers(forms[recipe.form][pick][:LEARNED]) for pick in chosen.picks[:count]))
            yield len(wanted & have) / len(wanted)
        # What the picks cost: characters that a step of each would read.
        yield float(sum(len(forms[recipe.form][pick][:LEARNED]) for pick in chosen.picks)) / max(1, len(chosen.picks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+", type=Path)
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where all measurements are written, too")
    options = parser.parse_args()
    console = Console(stderr=True)
    tables: dict[str, NDArray[np.float64]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for root in options.repositories:
            with RepositoryIndex.open(root, Path(folder)) as index:
                index.sync()
                files = dict(index.texts())
                code = {path: text for path, text in files.items() if Path(path).suffix in CODE}
                rows = {path: text.split("\n") for path, text in files.items()}
                places = sample_lines(Corpus(code), options.places, options.seed, lines=LINES)
                measured = [
                    values
                    for place in track(places, root.name, console=console)
                    if (values := measure(place, index, rows, options.seed))
                ]
            tables[root.name] = np.array(measured).reshape(len(measured), len(RECIPES), len(PICKS) + 1)
            console.print(f"{root.name}: {len(measured)} of {len(places)} places have new identifiers")
            if options.json:
                options.json.write_text(json.dumps({name: table.tolist() for name, table in tables.items()}))
    print(markdown(tables))


def markdown(tables: Mapping[str, NDArray[np.float64]]) -> str:
    """A row a recipe: the share found by 8 picks in each repository; means over all places, paired with today's recipe.

    Args:
        tables: of each repository, (places, recipes, (share by 4, share by 8, characters a pick)).
    """
    every = np.concatenate(list(tables.values()))
    differences = every - every[:, [RECIPES.index(TODAY)]]
    errors = differences.std(axis=0, ddof=1) / np.sqrt(len(every))
    titles = ["what is learned", "kernel sees", "likeness", "strategy", *tables]
    titles += ["all, 8 picks", "to today's", "all, 4 picks", "to today's", "characters a pick"]
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for number, recipe in enumerate(RECIPES):
        cells = [recipe.form, recipe.sees, recipe.likeness, recipe.name]
        cells += [f"{table[:, number, 1].mean():.3f}" for table in tables.values()]
        for column in (1, 0):
            change, error = differences[:, number, column].mean(), errors[number, column]
            cells += [f"{every[:, number, column].mean():.3f}", f"{change:+.3f} ± {error:.3f}"]
        rows.append(f"| {' | '.join([*cells, f'{every[:, number, 2].mean():.0f}'])} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
