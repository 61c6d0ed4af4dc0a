"""The tuner: a whole run at once, then the guard.

Owns the order of these two. It does not know how picks were chosen or how the adapter will be used.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.guard import Passage, best_scale, context_loss
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.wardrobe import Wardrobe

OnStep = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, that step's loss in nats per token)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tuned:
    """An adapter and how it came to be.

    Attributes:
        adapter: None where the guard dropped it, nothing was learned or the run was cancelled at the start.
        losses: of each step's example before its step, in nats per token.
        context_loss: nats per token on the visible context, by adapter scale; 0.0 is the base. Empty if the
            guard was off or there was no context to look at.
        seconds: of training, of the guard.
    """

    adapter: Adapter | None
    losses: tuple[float, ...]
    context_loss: dict[float, float]
    seconds: tuple[float, float]


def tune(
    engine: TransformersEngine,
    examples: Sequence[str],
    prompt: Prompt,
    settings: TuningSettings,
    *,
    on_step: OnStep = lambda done, total, loss: None,
    cancelled: Callable[[], bool] = lambda: False,
    start: Adapter | None = None,
) -> Tuned:
    """Take one Adam step on each example in order; then keep as much of it as the visible context bears out.

    The guard: the user's file up to the cursor is held-out text near the target, and free. Every few steps the
    adapter is scored on it, and steps that did not help are taken back and end the run. In the end, with the prompt's
    code before that text, it is scored at full and half strength against the base, and the best of the three is kept.
    """
    started = time.perf_counter()
    with Wardrobe(engine) as wardrobe:
        watched = [bare_context_of(prompt)] if settings.guard else []
        run = TuningRun(engine, wardrobe, examples, settings, start=start, watched=watched)
        if not run.steps:
            return Tuned(None, (), {}, (0.0, 0.0))
        while run.done < run.steps:
            if cancelled():
                return Tuned(None, tuple(run.losses), {}, (time.perf_counter() - started, 0.0))
            loss = run.step()
            on_step(run.done, run.steps, loss)
        trained = time.perf_counter()
        passages = [context_of(prompt)] if settings.guard else []
        adapter, losses = judge(engine, wardrobe, run.adapter(), passages)
    return Tuned(adapter, tuple(run.losses), losses, (trained - started, time.perf_counter() - trained))


def judge(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    adapter: Adapter,
    passages: Sequence[Passage],
    check: Callable[[], None] = lambda: None,
    most: float = 1.0,
) -> tuple[Adapter | None, dict[float, float]]:
    """As much of what was learned as the passages bear out: `most`, half of it or nothing; and their losses.

    Without passages it is `most`. An adapter that is not made of numbers is dropped unheard.
    """
    if not adapter.is_finite:
        return None, {}
    losses = context_loss(engine, wardrobe, adapter, passages, check, most)
    scale = best_scale(losses, most)
    return (replace(adapter, scale=scale) if scale > 0 else None), losses


def context_of(prompt: Prompt) -> Passage:
    """The visible context of a prompt, as the guard reads it in the end."""
    start, end = prompt.context
    return Passage(prompt.text[:end], start)


def bare_context_of(prompt: Prompt) -> Passage:
    """The same without the code before it, which is quicker to score now and then."""
    start, end = prompt.context
    return Passage(prompt.text[start:end], 0)
