"""The guard: how much of an adapter to keep, by what it does to text that was not trained on.

Owns that decision. It does not know how the adapter was made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.wardrobe import Wardrobe

GUARD_SCALES = (1.0, 0.5)


@dataclass(frozen=True, slots=True)
class Passage:
    """Held-out text; what lies behind character `start` is scored, given all before it."""

    text: str
    start: int


def context_loss(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    adapter: Adapter,
    passages: Sequence[Passage],
    check: Callable[[], None] = lambda: None,
) -> dict[float, float]:
    """Nats per token of the passages under the base (0.0) and under each scale; empty if there is no token.

    Args:
        check: called before each forward pass; what it raises ends the judging.
    """
    result: dict[float, float] = {}
    for scale in (0.0, *GUARD_SCALES):
        values: list[float] = []
        with wardrobe.wearing(replace(adapter, scale=scale)):
            for passage in passages:
                check()
                values += engine.score(passage.text, passage.start).log_probabilities
        if not values:
            return {}
        result[scale] = -sum(values) / len(values)
    return result


def best_scale(context_loss: Mapping[float, float]) -> float:
    """The scale whose loss on the visible context is least; 1 where there was no context to judge by."""
    return min(context_loss, key=lambda scale: context_loss[scale]) if context_loss else 1.0
