"""What fits a budget: how much is tuned before an answer, with which adapter it is written, how much the prompt shows.

Owns the decision, from costs that were measured on this machine. Pure: numbers in, a plan out. It does not know how
anything is carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

WRITTEN_TOKENS = 12
"""Tokens that an answer of one line takes, about; what is reserved for writing it."""

SMALLEST_CONTEXT = 64
"""Tokens of the open file that are read whatever the budget."""

FRESH_WEIGHT = 0.3
"""Weight of the newest measurement in the running mean of a cost."""

FIXED_SECONDS = 0.02
"""For everything that is neither reading nor writing nor tuning."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Measured seconds, None where nothing has been measured yet."""

    read: float | None = None
    """To read one token of a prompt."""
    write: float | None = None
    """To write one token."""
    step: float | None = None
    """Of one training step."""
    judge: float | None = None
    """Of the guard."""

    def learn(self, **measured: float) -> "Costs":
        """With new measurements (of `read`, `write`, `step`, `judge`) taken in."""
        values = {}
        for name, value in measured.items():
            known = getattr(self, name)
            values[name] = value if known is None else (1 - FRESH_WEIGHT) * known + FRESH_WEIGHT * value
        return replace(self, **values)


@dataclass(frozen=True, slots=True)
class Ready:
    """What is there already: an adapter for this very selection, one for a selection near to it, the warm one."""

    exact: bool = False
    near: bool = False
    warm: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do for one answer.

    Attributes:
        kind: with which adapter it is written; `fresh` after `steps` training steps.
        picks: how many selected chunks the prompt shows.
        context_tokens: how much of the open file it shows.
        behind: whether tuning goes on behind the answer.
    """

    kind: Literal["fresh", "cached", "warm", "base"]
    steps: int
    picks: int
    context_tokens: int
    behind: bool


def decide(
    budget: float | None,
    costs: Costs,
    ready: Ready,
    *,
    steps: int,
    context_tokens: int,
    pick_tokens: Sequence[int],
    unread: int | None = None,
) -> Plan:
    """Choose the best answer that fits.

    An adapter for this very selection is as good as tuning now. Otherwise all steps are taken if they fit; if not, the
    nearest adapter serves, then the warm one, then as many steps as fit, then the base. What was not tuned is tuned
    behind the answer. Costs nobody has measured yet are not assumed to fit.

    Args:
        budget: seconds left for this answer; None is no bound.
        steps: training steps wanted.
        context_tokens: tokens of the open file that the prompt would show.
        pick_tokens: tokens of each selected chunk that it would show, most informative first.
        unread: tokens of that full prompt that the engine does not know yet, where that is known.
    """
    if budget is None:
        kind: Literal["fresh", "cached", "base"] = "cached" if ready.exact else "fresh" if steps else "base"
        return Plan(kind, 0 if ready.exact else steps, len(pick_tokens), context_tokens, behind=False)

    writing = (costs.write or 0.0) * WRITTEN_TOKENS + FIXED_SECONDS
    full = sum(pick_tokens) + context_tokens if unread is None else unread
    picks, context = len(pick_tokens), context_tokens
    reading = (costs.read or 0.0) * full
    if costs.read and reading + writing > budget:
        shorter = _shorter(int((budget - writing) / costs.read), context_tokens, pick_tokens)
        tokens = sum(pick_tokens[: shorter[0]]) + shorter[1]
        if tokens < full:  # else what the engine knows of the full prompt makes that the quicker one
            (picks, context), reading = shorter, costs.read * tokens
    if ready.exact:
        return Plan("cached", 0, picks, context, behind=False)
    fitting = 0
    if steps and costs.step is not None and costs.judge is not None:
        fitting = max(0, min(steps, int((budget - reading - writing - costs.judge) / costs.step)))
    behind = steps > 0
    if fitting == steps > 0:
        return Plan("fresh", steps, picks, context, behind=False)
    if ready.near:
        return Plan("cached", 0, picks, context, behind)
    if ready.warm:
        return Plan("warm", 0, picks, context, behind)
    return Plan("fresh" if fitting else "base", fitting, picks, context, behind)


def _shorter(tokens: int, context_tokens: int, pick_tokens: Sequence[int]) -> tuple[int, int]:
    """How many picks and how much of the file `tokens` allow: the file first, then picks in their order."""
    context = max(min(SMALLEST_CONTEXT, context_tokens), min(context_tokens, tokens))
    left, picks = tokens - context, 0
    for size in pick_tokens:
        if size > left:
            break
        left -= size
        picks += 1
    return picks, context
