"""What is found for a place: candidates, the selection, and the adapters that there are for it.

Owns what was found for each document and for how long it holds. It does not know budgets or answers.
"""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.config import Settings
from vicinal_daemon.desk.jobs import Found, Job, codes
from vicinal_daemon.generate.offsets import fast_offsets
from vicinal_daemon.generate.prompt import Offsets, last_tokens
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.neighbourhood import Choice, choose, chosen, find_candidates
from vicinal_daemon.scheduler import Cancellation
from vicinal_daemon.stages import Stopwatch
from vicinal_daemon.studies import Recipe, Studies
from vicinal_daemon.tune.adapter_file import BASE, OBJECTIVE, AdapterInfo, Pick, adapter_key, settings_digest
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.worker.messages import Begin, Wear
from vicinal_daemon.workspaces import Workspace
from vicinal_indexer.types import Chunk

HOLDS_LINES = 4
HOLDS_SECONDS = 120.0
"""What was selected for a place serves so many lines around it, for so long, while the index does not change: the
evidence in the prompt stays the same while the user types, and the engine need not read it again."""

DOCUMENTS = 256
LENGTHS = 4096
HEADER_TOKENS = 10
"""About what the comment with a chunk's path takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """What was chosen for a place, in this state of its index."""

    choice: Choice
    settings: Settings
    workspace: Workspace
    revision: object
    path: str
    line: int
    at: float

    def holds(self, job: Job) -> bool:
        """Whether it still serves: near enough, and nothing of it is what is being completed."""
        target = job.target
        first = min(self.line, target.line)
        return (
            self.workspace is job.workspace
            and self.revision == self.workspace.revision
            and self.settings == job.settings
            and self.path == target.path
            and abs(self.line - target.line) <= HOLDS_LINES
            and time.monotonic() - self.at < HOLDS_SECONDS
            and not any(
                chunk.path == self.path and chunk.start_line <= target.last_line and chunk.end_line >= first
                for chunk in self.choice.picked()
            )
        )


class Finder:
    """Finds what a job needs. Searching runs in threads; the rest on the event loop."""

    def __init__(self, accelerator: Accelerator, store: AdapterStore, studies: Studies) -> None:
        self._accelerator = accelerator
        self._store = store
        self._studies = studies
        self._neighbourhoods: OrderedDict[Hashable, Neighbourhood] = OrderedDict()
        self._tokenizer: tuple[Path, Offsets] | None = None
        self._lengths: OrderedDict[str, int] = OrderedDict()

    def offsets(self, files: ModelFiles) -> Offsets:
        """The model's tokenizer, as far as prompts need it; loaded once."""
        folder = files.transformers_dir
        if self._tokenizer is None or self._tokenizer[0] != folder:
            self._tokenizer = folder, fast_offsets(folder)
            self._lengths.clear()
        return self._tokenizer[1]

    async def find(self, job: Job, files: ModelFiles, cancellation: Cancellation, watch: Stopwatch) -> Found:
        """Candidates and choice, those of before if they still hold; and the adapters that there are for them.

        Raises:
            VicinalError: the reason of the cancellation; the index or the tokenizer cannot be read.
        """
        workspace = job.workspace
        index = workspace.at_hand if workspace is not None else None
        if workspace is None or index is None:
            return Found(choose((), job.target, job.settings, "none"))
        known = self._neighbourhoods.get(job.document)
        if known is None or not known.holds(job):
            revision, strategy = workspace.revision, job.settings.select.strategy
            offsets = await asyncio.to_thread(self.offsets, files)  # the first time it takes a while
            with watch.stage("candidates"):
                chunks = await cancellation.first(
                    asyncio.to_thread(find_candidates, index, offsets, job.target, job.settings, job.excluded)
                )
            with watch.stage("select"):
                target, settings = job.target, job.settings
                choice = await cancellation.first(
                    asyncio.to_thread(chosen, index, chunks, offsets, target, settings, strategy, job.excluded)
                )
            known = Neighbourhood(choice, job.settings, workspace, revision, target.path, target.line, time.monotonic())
            self._neighbourhoods[job.document] = known
            self._neighbourhoods.move_to_end(job.document)
            if len(self._neighbourhoods) > DOCUMENTS:
                self._neighbourhoods.popitem(last=False)
        return self._with_adapters(job, known.choice, files)

    def clear(self) -> None:
        """Forget what was found."""
        self._neighbourhoods.clear()
        self._lengths.clear()

    def sizes(self, job: Job, found: Found, files: ModelFiles) -> tuple[int, list[int]]:
        """Tokens of the open file that a full prompt shows, and of each selected chunk."""
        prompt, offsets = job.settings.prompt, self.offsets(files)
        context = len(offsets(last_tokens(job.target.left, prompt.context_tokens, offsets)))
        lengths = (self._length(snippet, offsets) for snippet in found.choice.snippets(prompt.picks))
        return context, [min(prompt.pick_tokens, length + HEADER_TOKENS) for length in lengths]

    def _length(self, chunk: Chunk, offsets: Offsets) -> int:
        """Tokens of a chunk, counted once."""
        known = self._lengths.get(chunk.content_hash)
        if known is None:
            known = self._lengths[chunk.content_hash] = len(offsets(chunk.text))
            if len(self._lengths) > LENGTHS:
                self._lengths.popitem(last=False)
        return known

    def _with_adapters(self, job: Job, choice: Choice, files: ModelFiles) -> Found:
        warm = self._store.warm(job.root, files.fingerprint)
        steps = choice.steps(job.settings)
        if steps == 0 or (job.budget is not None and serves(warm, job.settings)):
            return Found(choice, warm=warm)
        recipe = recipe_for(job, choice, steps, files, warm if job.settings.warm.start else None, self._store)
        info, near = recipe.info, None
        exact = self._store.get(info.key)
        dropped = self._studies.learned(info.key) if exact is None else None
        if exact is None and job.settings.adapters.near < 1:
            at_least = job.settings.adapters.near
            near = self._store.nearest(job.root, info.fingerprint, info.tuning, info.picks, at_least=at_least)
        if dropped is not None and dropped.scale > 0:
            dropped = None  # it was kept, but has expired or been evicted since
        return Found(choice, recipe, exact, near, warm, dropped)


def serves(warm: AdapterInfo | None, settings: Settings) -> bool:
    """Whether the repository's own adapter is worn as it is, and nothing is tuned for a request.

    Where there is one, it says more than what is tuned for a request from the base (benchmarks/RESULTS.md).
    """
    return warm is not None and not settings.warm.start


def recipe_for(
    job: Job, choice: Choice, steps: int, files: ModelFiles, start: AdapterInfo | None, store: AdapterStore
) -> Recipe:
    """What has to be studied for a selection: its first `steps` picks, from the base or from the adapter `start`."""
    settings = job.settings
    tuning = settings.tune
    picked, shares = choice.picked()[:steps], choice.selection.shares[:steps]
    picks = tuple(Pick(c.path, c.content_hash, share) for c, share in zip(picked, shares, strict=True))
    way = {"seed": settings.seed, "objective": OBJECTIVE}
    words = settings_digest({**tuning.model_dump(exclude={"steps"}), **way})
    key = adapter_key(job.root, files.fingerprint, words, picks, start.key if start is not None else BASE)
    shape = job.shape(codes(choice.snippets(settings.prompt.picks)), settings.prompt.context_tokens)
    prompt = shape if tuning.guard else None
    begin = Begin(
        f"{key}-{uuid.uuid4().hex[:8]}",
        codes(picked),
        tuning.rank,
        tuning.learning_rate,
        tuning.max_tokens,
        settings.seed,
        Wear(start.key, start.file) if start is not None else None,
        watched=prompt,
        momentum=tuning.momentum,
    )
    info = AdapterInfo(
        key=key,
        workspace=job.root,
        kind="tuned",
        picks=picks,
        fingerprint=files.fingerprint,
        tuning=words,
        steps=steps,
        scale=1.0,
        bytes=0,
        created=0.0,
        used=0.0,
        pinned=False,
        file=store.path_for(key),
    )
    return Recipe(info, begin, prompt)
