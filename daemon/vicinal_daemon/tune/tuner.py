"""The tuner: one gradient step per pick, in order, then the guard.

Owns the optimiser and the decision how much of an adapter to keep. It does not know how picks were chosen
or how the adapter will be used.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.lora import Adapter, AttachedLora, attached

OnStep = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, that step's loss in nats per token)."""

GUARD_SCALES = (1.0, 0.5)


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How to learn. `learning_rate` is Adam's; `max_tokens` cuts each example; `rank` is LoRA's r."""

    rank: int
    learning_rate: float
    max_tokens: int
    guard: bool
    seed: int


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
) -> Tuned:
    """Take one Adam step on each example in order; then keep as much of it as the visible context bears out.

    The guard: the user's file up to the cursor is held-out text near the target, and free. The adapter is
    scored on it at full and at half strength against the base, and the best of the three is kept.
    """
    encoded = [engine.codec.encode(text)[0][: settings.max_tokens] for text in examples]
    encoded = [ids for ids in encoded if len(ids) > 1]
    if not encoded:
        return Tuned(None, (), {}, (0.0, 0.0))
    started = time.perf_counter()
    losses: list[float] = []
    with attached(engine.model, settings.rank, settings.seed) as lora:
        optimizer = torch.optim.Adam(lora.parameters, lr=settings.learning_rate)
        # Linear decay: the last, least informative picks must not undo the first.
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1.0 / len(encoded), len(encoded))
        for ids in encoded:
            if cancelled():
                return Tuned(None, tuple(losses), {}, (time.perf_counter() - started, 0.0))
            losses.append(_step(lora, optimizer, torch.tensor([ids], device=engine.device)))
            decay.step()
            on_step(len(losses), len(encoded), losses[-1])
        trained = time.perf_counter()
        context_loss = guard(engine, lora, prompt) if settings.guard else {}
        scale = best_scale(context_loss)
        adapter = Adapter(lora.tensors(), settings.rank, scale) if scale > 0 else None
    return Tuned(adapter, tuple(losses), context_loss, (trained - started, time.perf_counter() - trained))


def _step(lora: AttachedLora, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> float:
    """One step on one example; returns the loss before it."""
    loss = lora.model(tokens, labels=tokens, use_cache=False).loss
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def guard(engine: TransformersEngine, lora: AttachedLora, prompt: Prompt) -> dict[float, float]:
    """Nats per token of the visible context under the base (0.0) and under each scale of the adapter."""
    start, end = prompt.context
    result: dict[float, float] = {}
    for scale in (0.0, *GUARD_SCALES):
        lora.scale(scale)
        values = engine.score(prompt.text[:end], start).log_probabilities
        if not values:
            return {}
        result[scale] = -sum(values) / len(values)
    lora.scale(1.0)
    return result


def best_scale(context_loss: Mapping[float, float]) -> float:
    """The scale whose loss on the visible context is least; 1 where there was no context to judge by."""
    return min(context_loss, key=lambda scale: context_loss[scale]) if context_loss else 1.0
