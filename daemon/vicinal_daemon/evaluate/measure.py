"""What each mode gives at one place: bits per byte of the hidden truth.

Owns the list of modes and how they are measured side by side: same place, same candidates, same seed. The
choosing, tuning and prompting are the product's own (`complete`), not a copy.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from vicinal_daemon.complete import adapt, prompt_for
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.places import Hidden, Place, hide
from vicinal_daemon.generate.post import bits_per_byte
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.neighbourhood import choose, find_candidates
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.target import Target
from vicinal_daemon.tune.lora import Adapter, attached
from vicinal_daemon.tune.tuner import GUARD_SCALES, best_scale
from vicinal_indexer.index import RepositoryIndex


@dataclass(frozen=True, slots=True)
class Mode:
    """What is done before the truth is scored; None is nothing.

    Attributes:
        prompt: strategy whose first picks stand in the prompt.
        weights: strategy whose picks are tuned on.
        start: what is worn, and what tuning starts from: the base or the repository's warm adapter.
    """

    name: str
    prompt: Strategy | None
    weights: Strategy | None
    start: Literal["base", "warm"] = "base"


MODES = (
    Mode("in-file", None, None),
    Mode("nearest chunks in the prompt", "nn", None),
    Mode("SIFT chunks in the prompt", "sift", None),
    Mode("nn-tuned", None, "nn"),
    Mode("SIFT-tuned", None, "sift"),
    Mode("SIFT-tuned, SIFT chunks in the prompt", "sift", "sift"),
)


_SHOWN = "SIFT chunks in the prompt"
WARM_MODES = (
    Mode("in-file", None, None),
    Mode("warm", None, None, "warm"),
    Mode("base + SIFT", None, "sift"),
    Mode("warm + SIFT", None, "sift", "warm"),
    Mode(_SHOWN, "sift", None),
    Mode(f"warm, {_SHOWN}", "sift", None, "warm"),
    Mode(f"base + SIFT, {_SHOWN}", "sift", "sift"),
    Mode(f"warm + SIFT, {_SHOWN}", "sift", "sift", "warm"),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One mode at one place.

    Attributes:
        bits: per byte of the truth, with the guard's choice of scale.
        unguarded: the same with all of the adapter; equal to `bits` where nothing was tuned.
        steps: gradient steps taken.
        scale: what the guard left of the adapter, 0 where nothing was tuned.
        seconds: everything this mode would have to do: tuning, guard, and one reading of prompt and truth.
    """

    path: str
    line: int
    mode: str
    bits: float
    unguarded: float
    steps: int
    scale: float
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def target_of(place: Place, hidden: Hidden) -> Target:
    """The place as the pipeline sees it."""
    return Target(place.path, hidden.left, hidden.truth, hidden.right, place.first_line, 1, place.lines)


def at_line_start(target: Target) -> Target:
    """The same place with the cursor behind the newline: where an editor's user stands, and text is written."""
    return replace(target, left=target.left + "\n", hidden=target.hidden.removeprefix("\n"))


def measure_place(
    engine: TransformersEngine,
    index: RepositoryIndex,
    text: str,
    place: Place,
    settings: Settings,
    modes: Sequence[Mode] = MODES,
    on_step: Callable[[int, int, float], None] = lambda done, total, loss: None,
    warm: Adapter | None = None,
) -> list[Measurement]:
    """Measure all modes at one place. Each strategy is tuned once from each start and read with each of its prompts.

    Args:
        warm: the repository's own adapter; None where its guard dropped it, and the base stands for it.
    """
    target = target_of(place, hide(text, place))
    chunks = find_candidates(index, engine.codec.offsets, target, settings)
    strategies: set[Strategy] = {s for mode in modes for s in (mode.prompt, mode.weights) if s}
    choices = {s: choose(chunks, target, settings, s) for s in sorted(strategies)}

    def prompt_of(mode: Mode) -> Prompt:
        snippets = choices[mode.prompt].snippets(settings.prompt.picks) if mode.prompt else []
        return prompt_for(target, snippets, engine, settings)

    prompts = {mode.name: prompt_of(mode) for mode in modes}
    # Modes that share a prompt share the base model's reading of it.
    base = {p.text: read_truth(engine, p, target.hidden) for p in {p.text: p for p in prompts.values()}.values()}
    measured: dict[str, Measurement] = {}
    for mode in modes:
        reading = base[prompts[mode.name].text]
        measured[mode.name] = _measurement(place, mode, reading.bits, reading.bits, 0, 0.0, reading.seconds)
    # The guard is read off together with the truth, so it is not run a second time here.
    unguarded = settings.model_copy(update={"tune": settings.tune.model_copy(update={"guard": False})})
    scales: tuple[float, ...]
    for start, strategy in sorted({(mode.start, mode.weights) for mode in modes}, key=str):
        same = [mode for mode in modes if (mode.start, mode.weights) == (start, strategy)]
        begin = warm if start == "warm" else None
        if strategy is None:
            # What was not tuned for the place is worn as the held-out code has judged it: one reading, no guard.
            adapter, steps, seconds, scales = begin, 0, 0.0, (begin.scale,) if begin is not None else ()
        else:
            prompt = prompts[same[0].name]
            tuned = adapt(engine, choices[strategy], prompt, unguarded, on_step=on_step, start=begin)
            adapter, steps, seconds, scales = tuned.adapter, len(tuned.losses), tuned.seconds[0], GUARD_SCALES
        if adapter is None:
            continue  # the answer is the base's: nothing in the repository is related, or there is no warm adapter
        with attached(engine.model, settings.tune.rank, settings.seed) as lora:
            lora.load(adapter)
            for mode in same:
                readings = {0.0: base[prompts[mode.name].text]} if strategy else {}
                for scale in scales:
                    lora.scale(scale)
                    readings[scale] = read_truth(engine, prompts[mode.name], target.hidden)
                kept = best_scale({s: r.context_loss for s, r in readings.items()})
                spent = seconds + sum(r.seconds for r in readings.values())
                bits, full = readings[kept].bits, readings[max(scales)].bits
                measured[mode.name] = _measurement(place, mode, bits, full, steps, kept, spent)
    return [measured[mode.name] for mode in modes]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one forward pass says: bits per byte of the truth, nats per token of the context, seconds."""

    bits: float
    context_loss: float
    seconds: float


def read_truth(engine: TransformersEngine, prompt: Prompt, truth: str) -> Reading:
    """One forward pass over prompt and truth, tokenised together."""
    started = time.perf_counter()
    start, end = prompt.context
    scores = engine.score(prompt.text + truth, start)
    context = scores.between(start, end)
    return Reading(
        bits_per_byte(scores.between(end, end + len(truth)), truth),
        -sum(context) / max(1, len(context)),
        time.perf_counter() - started,
    )


def _measurement(
    place: Place, mode: Mode, bits: float, unguarded: float, steps: int, scale: float, seconds: float
) -> Measurement:
    return Measurement(place.path, place.first_line, mode.name, bits, unguarded, steps, scale, seconds)
