"""The neighbourhood of a cursor: which code there is to learn from, and what of it is worth learning.

Owns the question that is asked of the index, and the selection. It knows no model: it is given a tokenizer's offsets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vicinal_daemon.config import Settings
from vicinal_daemon.generate.prompt import Offsets, last_tokens
from vicinal_daemon.select import Selection, counted, lexical_kernel, select, term_counts
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.target import Target
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Chunk, Region

if TYPE_CHECKING:  # the database takes seconds to import, and the daemon serves before it is there
    from vicinal_indexer.index import RepositoryIndex

QUERY_LINES = 16
"""How many lines before the cursor ask the question (chosen on rich and peft: benchmarks/RESULTS.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What could be learned for a target, and what was chosen.

    Attributes:
        chunks: `selection.picks` index into them.
        candidates: how many there were to choose from.
        similarity: the largest kernel value between the prompt and a candidate; 0 without candidates.
    """

    chunks: tuple[Chunk, ...]
    selection: Selection
    candidates: int
    similarity: float = 0.0

    def picked(self) -> list[Chunk]:
        """The picks in order, repeats included."""
        return [self.chunks[pick] for pick in self.selection.picks]

    def snippets(self, count: int) -> list[Chunk]:
        """The first `count` distinct picks, for the prompt."""
        return [self.chunks[pick] for pick in self.selection.distinct()[:count]]


def find_candidates(
    index: "RepositoryIndex",
    offsets: Offsets,
    target: Target,
    settings: Settings,
    exclude: Sequence[Region] = (),
) -> list[Chunk]:
    """Chunks around the cursor, by hybrid search; never what is completed, nor what the prompt shows anyway.

    Leaving out the visible context too keeps it held out: the guard judges an adapter by it.
    """
    visible = last_tokens(target.left, settings.prompt.context_tokens, offsets)
    first = target.left.count("\n") + 1 - visible.count("\n")
    region = Region(target.path, first, target.last_line)
    found = index.search(query_text(target), limit=settings.index.candidates, exclude=[region, *exclude])
    return [candidate.chunk for candidate in found]


def query_text(target: Target) -> str:
    """The last lines before the cursor: what the neighbourhood is asked about."""
    return "\n".join(target.left.rstrip().split("\n")[-QUERY_LINES:])


def choose(chunks: Sequence[Chunk], target: Target, settings: Settings, strategy: Strategy) -> Choice:
    """Select what is worth learning.

    As many picks are made as the weights or the prompt can use, whichever is more. Candidates are taken in the order of
    their places: of two that tell the same, the search returns now this one first, now that one.
    """
    chunks = sorted(chunks, key=lambda chunk: (chunk.path, chunk.start_line))
    kernel = lexical_kernel([term_counts(chunk.text) for chunk in chunks], [counted(subwords(query_text(target)))])
    selection = select(
        strategy,
        kernel,
        limit=max(settings.tune.steps, settings.prompt.picks),
        noise=settings.select.noise,
        adaptive_stop=settings.select.alpha,
    )
    distinct = selection.distinct()
    places = {pick: place for place, pick in enumerate(distinct)}
    # What was not chosen is let go of: a daemon remembers many choices.
    kept = replace(selection, picks=tuple(places[pick] for pick in selection.picks))
    nearest = float(kernel.to_prompts.max()) if len(kernel) else 0.0
    return Choice(tuple(chunks[pick] for pick in distinct), kept, len(chunks), nearest)
