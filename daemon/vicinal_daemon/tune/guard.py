"""The guard: how much of an adapter to keep, by what it does to text that was not trained on.

Owns that decision: while an adapter is tuned (`Watch`: go on, or go back to where it was best) and in the end (at which
scale it is worn, if at all). It does not know how the adapter is made.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.lora import Adapter, Tensors
from vicinal_daemon.tune.wardrobe import Wardrobe

GUARD_SCALES = (1.0, 0.5)

ROUNDING = 1e-5
"""Nats per token: the same numbers, added up in another order, differ by less."""

WATCH_EVERY = 4
"""Steps between two looks at the held-out text."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Held-out text; what lies behind character `start` is scored, given all before it."""

    text: str
    start: int


def loss(
    engine: TransformersEngine, passages: Sequence[Passage], check: Callable[[], None] = lambda: None
) -> float | None:
    """Nats per token of the passages under what is worn; None if there is no token.

    Args:
        check: called before each forward pass; what it raises ends the scoring.
    """
    values: list[float] = []
    for passage in passages:
        check()
        values += engine.score_again(passage.text, passage.start).log_probabilities
    return -sum(values) / len(values) if values else None


def context_loss(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    adapter: Adapter,
    passages: Sequence[Passage],
    check: Callable[[], None] = lambda: None,
    most: float = 1.0,
) -> dict[float, float]:
    """Nats per token of the passages by scale: the base (0.0), `most` and half of it; empty if there is no token."""
    result: dict[float, float] = {}
    for scale in (0.0, *(most * part for part in GUARD_SCALES)):
        with wardrobe.wearing(replace(adapter, scale=scale)):
            found = loss(engine, passages, check)
        if found is None:
            return {}
        result[scale] = found
    return result


def best_scale(context_loss: Mapping[float, float], most: float = 1.0) -> float:
    """The scale whose loss on the visible context is least; `most` where there was no context to judge by.

    The base (0) unless another is better by more than rounding: an adapter that was taken back changes nothing.
    """
    if not context_loss:
        return most
    best = min(context_loss, key=lambda scale: context_loss[scale])
    return best if 0.0 not in context_loss or context_loss[best] < context_loss[0.0] - ROUNDING else 0.0


class Watch:
    """Looks at held-out text while an adapter is tuned: a run whose last steps did not help there is over.

    Args:
        score: nats per token of the text under what is worn now; None if there is no token.
    """

    def __init__(self, score: Callable[[], float | None]) -> None:
        self._score = score
        self._best: float | None = None
        self.kept: Tensors | None = None

    def start(self) -> None:
        """To be called before the first step, with what the run starts from."""
        self._best = self._score()

    def goes_on(self, tensors: Callable[[], Tensors]) -> bool:
        """Whether what is worn now is better than at every look before. `kept` is what was best, None: the start.

        Args:
            tensors: gives a copy of what is worn now.
        """
        found = self._score()
        if found is None or self._best is None:
            return True
        if not found < self._best:  # which also says no to what is not a number
            return False
        self._best, self.kept = found, tensors()
        return True
