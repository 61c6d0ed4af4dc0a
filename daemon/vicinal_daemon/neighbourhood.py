"""The neighbourhood of a cursor: which code there is to learn from, and what of it is worth learning.

Owns the question that is asked of the index, and the selection. It knows no model: it is given a tokenizer's offsets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vicinal_daemon.config import Settings
from vicinal_daemon.generate.prompt import Offsets, last_tokens
from vicinal_daemon.select import Selection, counted, lexical_kernel, select, term_counts
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.target import Target
from vicinal_daemon.worth import clues_of, context_at
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Candidate, Chunk, Region

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
        similarity: the largest kernel value between a candidate and the prompt, 0 if there is none.
    """

    chunks: tuple[Chunk, ...]
    selection: Selection
    candidates: int
    similarity: float = 0.0

    def picked(self) -> list[Chunk]:
        """The picks in order, repeats included."""
        return [self.chunks[pick] for pick in self.selection.picks]

    def steps(self, settings: Settings) -> int:
        """How many of them, from the first on, are worth a training step each."""
        return min(settings.tune.steps, self.selection.worthwhile(settings.select.alpha))

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
    return [found.chunk for found in search_around(index, offsets, target, settings, exclude)]


def search_around(
    index: "RepositoryIndex",
    offsets: Offsets,
    target: Target,
    settings: Settings,
    exclude: Sequence[Region] = (),
) -> list[Candidate]:
    """As `find_candidates`, with the rank of each chunk in either search; best first."""
    region = seen(target, offsets, settings)
    return index.search(query_text(target), limit=settings.index.candidates, exclude=[region, *exclude])


def seen(target: Target, offsets: Offsets, settings: Settings) -> Region:
    """What is completed, and the lines before it that the prompt shows anyway."""
    visible = last_tokens(target.left, settings.prompt.context_tokens, offsets)
    return Region(target.path, target.left.count("\n") + 1 - visible.count("\n"), target.last_line)


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
        seed=settings.seed,
    )
    distinct = selection.distinct()
    places = {pick: place for place, pick in enumerate(distinct)}
    # What was not chosen is let go of: a daemon remembers many choices.
    kept = replace(selection, picks=tuple(places[pick] for pick in selection.picks))
    similarity = float(kernel.to_prompts.max(initial=0.0))
    return Choice(tuple(chunks[pick] for pick in distinct), kept, len(chunks), similarity)


def clues_at(choice: Choice, target: Target) -> tuple[float, ...]:
    """What a choice tells of the worth of learning from it (`worth`)."""
    told = choice.selection
    return clues_of(told.sigma_n, told.sigma_inf, choice.similarity, context_at(target.line))


def chosen(
    index: "RepositoryIndex",
    chunks: Sequence[Chunk],
    offsets: Offsets,
    target: Target,
    settings: Settings,
    strategy: Strategy,
    exclude: Sequence[Region] = (),
) -> Choice:
    """As `choose`, in the form that is learned and shown (`lengthened`); `exclude` as in `find_candidates`."""
    choice = choose(chunks, target, settings, strategy)
    walls = [seen(target, offsets, settings), *exclude]
    return replace(choice, chunks=lengthened(choice.chunks, index.source, settings.select.least_lines, walls))


def lengthened(
    chunks: Sequence[Chunk], text_of: Callable[[str], str | None], least_lines: int, exclude: Sequence[Region]
) -> tuple[Chunk, ...]:
    """Each chunk goes on for at least so many lines of its file: the code behind a match is what is likely to be
    written next (benchmarks/RESULTS.md: coverage).

    It ends before the next of these chunks, and before what must not be seen. A chunk keeps its hash, by which it is
    known in the index. If its file has changed since it was indexed it stays as it is.

    Args:
        text_of: the text of a file, None if it cannot be had any more.
        least_lines: 0 or 1 prolongs nothing.
        exclude: what must not be seen.
    """
    short = {chunk.path for chunk in chunks if chunk.end_line - chunk.start_line + 1 < least_lines}
    rows = {path: text.split("\n") for path in short if (text := text_of(path)) is not None}
    walls = [(region.path, region.first_line) for region in exclude]
    walls += [(chunk.path, chunk.start_line) for chunk in chunks]

    def longer(chunk: Chunk) -> Chunk:
        own = rows.get(chunk.path, [])
        bounds = (line - 1 for path, line in walls if path == chunk.path and line > chunk.end_line)
        last = min(chunk.start_line + least_lines - 1, len(own), *bounds)
        stands = "\n".join(own[chunk.start_line - 1 : chunk.end_line]).strip("\n") == chunk.text.strip("\n")
        if last <= chunk.end_line or not stands:
            return chunk
        text = "\n".join(own[chunk.start_line - 1 : last])
        return replace(chunk, end_line=last, end_byte=chunk.start_byte + len(text.encode()), text=text)

    return tuple(map(longer, chunks))
