"""The pipeline of a question about the repository: candidates -> select -> evidence.

Owns how the rooms are joined for a query. It does not know the terminal; what a model makes of the evidence is
`answer`'s matter.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Literal

import numpy as np

from vicinal_daemon import protocol
from vicinal_daemon.config import Settings
from vicinal_daemon.select import (
    Kernel,
    TermCounts,
    counted,
    lexical_kernel,
    mixed_kernel,
    select,
    term_counts,
)
from vicinal_indexer.stop_words import STOP_WORDS
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Candidate, Filter, FloatArray

if TYPE_CHECKING:  # the database takes seconds to import, and the daemon serves before it is there
    from vicinal_indexer.index import RepositoryIndex

NOISE = 1.0
"""lambda' for questions: a chunk is read, not learned by heart."""

THIN = 0.115
"""Evidence is called thin if no finding is more alike to a part of the question than this. Nine in ten of 64 questions
about installed packages were above, nine in ten questions about cakes, trains and the like below."""

_JOINT = re.compile(r"\b(?:and|but|while|versus|as well as)\b|[,;?.](?:\s|$)", re.IGNORECASE)
_PART_WORDS = 2


def parts_of(question: str) -> list[str]:
    """The clauses of a question, each a prompt of its own; of code or a plain question the whole.

    >>> parts_of("how are timeouts configured and where are retries logged")
    ['how are timeouts configured', 'where are retries logged']
    """
    if "\n" in question:
        return [question]
    parts = [part.strip() for part in _JOINT.split(question)]
    told = [part for part in parts if len(telling_words(part)) >= _PART_WORDS]
    return told if len(told) > 1 else [question]


def telling_words(text: str) -> list[str]:
    """The subwords that are not mere grammar."""
    return [word for word in subwords(text) if word not in STOP_WORDS]


def question_kernel(
    found: Sequence[Candidate], words: Sequence[TermCounts], prompts: Sequence[str], vectors: FloatArray
) -> Kernel:
    """How alike the parts of a question and the K candidates are, by shared words and by embeddings.

    Args:
        words: of each candidate.
        vectors: (m, d), the embeddings of the m prompts.
    """
    told = [counted(telling_words(prompt)) for prompt in prompts]
    if not found:
        return lexical_kernel(words, told)
    return mixed_kernel(words, np.stack([c.vector for c in found]), told, vectors)


def query(
    text: str,
    index: "RepositoryIndex",
    settings: Settings,
    *,
    count: int,
    strategy: Literal["sift", "nn"],
    wanted: Filter,
) -> protocol.Findings:
    """The `count` chunks that tell most about `text`, each once, most telling first.

    Raises:
        VicinalError: the index cannot be read.
    """
    found = index.search(text, limit=settings.index.candidates, wanted=wanted)
    # Nearest neighbours of several prompts are not a thing: the rival gets the question as it is.
    prompts = parts_of(text) if strategy == "sift" else [text]
    words = [term_counts(c.chunk.searched_text) for c in found]
    kernel = question_kernel(found, words, prompts, index.embed(prompts))
    chosen = select(strategy, kernel, limit=count, noise=NOISE, at_most=1)
    known = set(chain.from_iterable(told.words for told in words))
    explained = 1 - chosen.variances[-1] / chosen.variances[0]
    return protocol.Findings(
        repository=str(index.root),
        question=text,
        strategy=strategy,
        findings=[
            protocol.Finding(
                path=found[pick].chunk.path,
                start_line=found[pick].chunk.start_line,
                end_line=found[pick].chunk.end_line,
                language=found[pick].chunk.language,
                symbol=found[pick].chunk.symbol,
                header=found[pick].chunk.header,
                text=found[pick].chunk.text,
                share=min(1.0, share),
                similarity=float(np.clip(kernel.to_prompts[pick].max(), 0.0, 1.0)),
            )
            for pick, share in zip(chosen.picks, chosen.shares, strict=True)
        ],
        candidates=len(found),
        sigma_0=chosen.sigma_0,
        sigma_n=chosen.sigma_n,
        sigma_inf=chosen.sigma_inf,
        explained=min(1.0, max(0.0, explained)),
        coverable=min(1.0, max(0.0, 1 - chosen.irreducible / chosen.variances[0])),
        thin=kernel.to_prompts[list(chosen.picks)].max(initial=0.0) < THIN,
        parts=prompts,
        unknown_words=sorted(set(telling_words(text)) - known),
        answer=None,
    )
