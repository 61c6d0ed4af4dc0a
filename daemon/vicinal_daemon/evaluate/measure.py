"""One task in many modes, side by side: same candidates, same seed, each prompt read once under each adapter.

Owns what is shared between modes and what a mode costs. The searching, choosing, tuning, prompting and guarding are
the product's own, not a copy.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from vicinal_daemon.complete import examples_of, prompt_for, tuning_settings
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.modes import Data, Mode, Ranking, Recalled, Start
from vicinal_daemon.evaluate.outcome import Outcome, record_of
from vicinal_daemon.evaluate.planted import planted
from vicinal_daemon.evaluate.reading import BASE, Reader, Reading, Written
from vicinal_daemon.evaluate.record import Record
from vicinal_daemon.evaluate.tasks import Task
from vicinal_daemon.generate.prompt import Prompt, last_tokens
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.memory import Memory
from vicinal_daemon.neighbourhood import Choice, choose, chosen, lengthened, search_around, seen
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.tune.guard import GUARD_SCALES, best_scale
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.tuner import bare_context_of
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.uncertainty import Belief
from vicinal_daemon.uncertainty.calibration import default_calibration
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Chunk, Region

CURVE_STEPS = (1, 2, 4)
"""With a curve, the truth is also read after so many steps; 0 and the last are read anyway."""

OnStep = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured of a tuned mode.

    Attributes:
        scales: at which an adapter is judged, beside 0 and 1; none saves a reading for each prompt.
        curve: steps after which the truth is read with the unfinished adapter.
    """

    scales: tuple[float, ...] = tuple(scale for scale in GUARD_SCALES if scale < 1)
    curve: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Lab:
    """Everything that a task is measured with.

    Attributes:
        repo: the repository's name in the records.
        wardrobe: of the engine's model.
        belief: how the confidence is told.
        remembered: the repository's tokens; needed by modes with a memory.
        warm: the repository's own adapter; None where its guard dropped it, and the base stands for it.
    """

    repo: str
    engine: TransformersEngine
    wardrobe: Wardrobe
    reader: Reader
    index: RepositoryIndex
    settings: Settings
    warm: Adapter | None = None
    extent: Extent = Extent()
    remembered: Remembered | None = None
    belief: Belief = field(default_factory=lambda: Belief(default_calibration().calibrator))


@dataclass(frozen=True, slots=True, eq=False)
class _Worn:
    """An adapter for a task and what it took; `judged` if the guard has still to say how much of it is kept."""

    adapter: Adapter
    steps: int
    seconds: float
    judged: bool
    curve: dict[int, Adapter] = field(default_factory=dict)


def measure_task(
    lab: Lab, task: Task, modes: Sequence[Mode], on_step: OnStep = lambda done, total: None
) -> Iterator[Record]:
    """Each mode's record, as soon as it is measured; not in the order of `modes`."""
    desk = _Desk(lab, task)
    groups: dict[tuple[bool, Start, Strategy | None, Data], list[Mode]] = {}
    for mode in modes:
        data: Data = mode.data if mode.weights else "plain"
        groups.setdefault((mode.adapts, mode.start, mode.weights, data), []).append(mode)
    try:
        # The base first: what adapted modes say is compared with it.
        for (adapts, _, _, _), same in sorted(groups.items(), key=lambda item: item[0][0]):
            worn = desk.adapter_for(same[0], on_step) if adapts else None
            for mode in same:
                yield desk.adapted(mode, worn) if worn is not None else desk.base(mode)
    finally:
        lab.reader.forget()


class _Desk:
    """What is known of one task so far."""

    def __init__(self, lab: Lab, task: Task) -> None:
        self._lab, self._task, self._target = lab, task, task.target
        started = time.perf_counter()
        offsets = lab.engine.codec.offsets
        # What is indexed may be the tree before a commit, where the visible lines have other numbers.
        visible = last_tokens(task.left, lab.settings.prompt.context_tokens, offsets).count("\n")
        indexed = Region(task.path, task.indexed_line - visible, task.indexed_line)
        self._excluded = [indexed] if task.commit else []
        self._seen = seen(self._target, offsets, lab.settings)
        self._found = search_around(lab.index, offsets, self._target, lab.settings, self._excluded)
        self._search_seconds = time.perf_counter() - started
        self._choices: dict[tuple[Strategy, Data], tuple[Choice, float]] = {}
        self._readings: dict[tuple[str, Recalled], Reading] = {}
        self._texts: dict[tuple[str, Recalled], Written] = {}
        self._memory: Memory | None = None
        self._adapters = 0

    # What is chosen, and shown

    def _choice(self, strategy: Strategy, data: Data = "plain") -> tuple[Choice, float]:
        """The choice, and the seconds that it took behind the search."""
        if (strategy, data) not in self._choices:
            chunks = [found.chunk for found in self._found]
            if data == "planted":
                nearest = choose(chunks, self._target, self._lab.settings, "nn").picked()
                chunks = planted(chunks, nearest)
            started = time.perf_counter()
            lab, target, offsets = self._lab, self._target, self._lab.engine.codec.offsets
            choice = chosen(lab.index, chunks, offsets, target, lab.settings, strategy, self._excluded)
            self._choices[strategy, data] = choice, time.perf_counter() - started
        return self._choices[strategy, data]

    def _snippets(self, source: Strategy | Ranking | None, data: Data) -> tuple[list[Chunk], float]:
        picks = self._lab.settings.prompt.picks
        if source is None:
            return [], 0.0
        if source == "hybrid" or source == "bm25":
            ranked = self._found
            if source == "bm25":
                ranked = [found for found in self._found if found.lexical_rank is not None]
                ranked.sort(key=lambda found: found.lexical_rank or 0)
            # As long as the picks of a selection, so that only the choosing differs.
            least, walls = self._lab.settings.select.least_lines, [self._seen, *self._excluded]
            chunks = lengthened([found.chunk for found in ranked[:picks]], self._lab.index.source, least, walls)
            return list(chunks), self._search_seconds
        choice, seconds = self._choice(source, data)
        return choice.snippets(picks), self._search_seconds + seconds

    def _prompt(self, mode: Mode) -> tuple[Prompt, float]:
        snippets, seconds = self._snippets(mode.prompt, mode.data)
        return prompt_for(self._target, snippets, self._lab.engine, self._lab.settings), seconds

    def _recall(self, mode: Mode) -> Memory | None:
        if mode.memory == "none" or self._lab.remembered is None:
            return None
        if self._memory is None:
            self._memory = self._lab.remembered.at(self._task.path, self._task.left, self._task.right)
        return self._memory

    # The base

    def _base_reading(self, prompt: Prompt, mode: Mode) -> Reading:
        key = prompt.text, mode.memory
        if key not in self._readings:
            self._readings[key] = self._lab.reader.read(BASE, prompt, self._task.truth, self._recall(mode))
        return self._readings[key]

    def _base_text(self, prompt: Prompt, mode: Mode) -> Written:
        self._base_reading(prompt, mode)  # the prompt is read once
        key = prompt.text, mode.memory
        if key not in self._texts:
            self._texts[key] = self._lab.reader.write(BASE, prompt, self._target, self._recall(mode))
        return self._texts[key]

    def base(self, mode: Mode) -> Record:
        """A mode that adapts nothing, or for which there is nothing to wear."""
        prompt, seconds = self._prompt(mode)
        reading, written = self._base_reading(prompt, mode), self._base_text(prompt, mode)
        seconds += reading.seconds + written.seconds
        outcome = Outcome(
            written, written, reading.bits, reading.bits, seconds, context_loss={0.0: reading.context_loss}
        )
        return self._record(mode, outcome)

    # Adapters

    def adapter_for(self, mode: Mode, on_step: OnStep) -> _Worn | None:
        """What the mode wears; None where there is nothing to learn, or nothing that could be learned."""
        lab = self._lab
        self._adapters += 1
        begin = lab.warm if mode.start == "warm" else None
        if mode.weights is None:
            # It is worn as the held-out code has judged it.
            return _Worn(begin, 0, 0.0, judged=False) if begin is not None else None
        choice, seconds = self._choice(mode.weights, mode.data)
        examples = examples_of(choice, lab.settings)
        started = time.perf_counter()
        bare = prompt_for(self._target, [], lab.engine, lab.settings)
        watched = [bare_context_of(bare)] if lab.settings.tune.guard else []
        run = TuningRun(lab.engine, lab.wardrobe, examples, tuning_settings(lab.settings), start=begin, watched=watched)
        if not run.steps:
            return None
        curve: dict[int, Adapter] = {}
        aside = 0.0
        try:
            while run.done < run.steps:
                run.step()
                on_step(run.done, run.steps)
                if run.done in lab.extent.curve and run.done < run.steps:
                    paused = time.perf_counter()
                    curve[run.done] = run.adapter()
                    aside += time.perf_counter() - paused
            adapter = run.adapter()
        finally:
            lab.wardrobe.dismiss(run)
        if not adapter.is_finite:
            return None
        spent = self._search_seconds + seconds + time.perf_counter() - started - aside
        return _Worn(adapter, run.steps, spent, judged=lab.settings.tune.guard, curve=curve)

    def adapted(self, mode: Mode, worn: _Worn) -> Record:
        """A mode that wears `worn`, as much of it as the guard allows with this mode's prompt."""
        lab, own = self._lab, worn.adapter.scale
        prompt, seconds = self._prompt(mode)
        memory = self._recall(mode)
        if worn.steps:
            seconds = worn.seconds + (seconds if mode.weights != mode.prompt else 0.0)
        readings: dict[float, Reading] = {}
        if worn.judged:
            readings[0.0] = self._base_reading(prompt, mode)
        for scale in (own, *(s * own for s in lab.extent.scales if worn.judged)):
            with lab.wardrobe.wearing(replace(worn.adapter, scale=scale)):
                readings[scale] = lab.reader.read(self._under(scale), prompt, self._task.truth, memory)
        context_loss = {scale: reading.context_loss for scale, reading in readings.items()}
        kept = best_scale(context_loss)
        seconds += sum(reading.seconds for reading in readings.values())
        base = self._base_text(prompt, mode)
        if kept == 0:
            written, change = base, 0.0
        else:
            with lab.wardrobe.wearing(replace(worn.adapter, scale=kept)):
                written = lab.reader.write(self._under(kept), prompt, self._target, memory)
                change = lab.reader.log_probability(self._under(kept), prompt, written.shown)
            change -= lab.reader.log_probability(BASE, prompt, written.shown)
        seconds += written.seconds
        bits, full = readings[kept].bits, readings[own].bits
        curve = self._curve(prompt, mode, worn, full) if lab.extent.curve and worn.steps else {}
        outcome = Outcome(written, base, bits, full, seconds, worn.steps, kept, change, curve, context_loss)
        return self._record(mode, outcome)

    def _curve(self, prompt: Prompt, mode: Mode, worn: _Worn, last: float) -> dict[int, float]:
        bits = {0: self._base_reading(prompt, mode).bits, worn.steps: last}
        for steps, adapter in worn.curve.items():
            under = f"{self._under(1.0)} after {steps}"
            with self._lab.wardrobe.wearing(adapter):
                bits[steps] = self._lab.reader.read(under, prompt, self._task.truth, self._recall(mode)).bits
        return dict(sorted(bits.items()))

    def _under(self, scale: float) -> str:
        return f"adapter {self._adapters} at {scale:g}"

    def _record(self, mode: Mode, outcome: Outcome) -> Record:
        choice, _ = self._choice(_chooser(mode), mode.data)
        return record_of(self._lab.repo, self._task, mode, choice, outcome, self._lab.belief)


def _chooser(mode: Mode) -> Strategy:
    """Whose sigmas are a mode's: those of its own selection, else of what SIFT would select."""
    if mode.weights is not None:
        return mode.weights
    return "sift" if mode.prompt is None or mode.prompt == "bm25" or mode.prompt == "hybrid" else mode.prompt
