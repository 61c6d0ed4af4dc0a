"""What fits a budget: how much is tuned before an answer, with which adapter it is written, how much the prompt shows.

Owns the decision, from costs that were measured on this machine. Pure: numbers in, a plan out. It does not know how
anything is carried out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

WRITTEN_TOKENS = 12
"""Tokens that one line of an answer takes, about; what is reserved for writing it."""

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
        alternatives: how many other texts are written, too.
    """

    kind: Literal["fresh", "cached", "warm", "base"]
    steps: int
    picks: int
    context_tokens: int
    behind: bool
    alternatives: int = 0


def decide(
    budget: float | None,
    costs: Costs,
    ready: Ready,
    *,
    steps: int,
    context_tokens: int,
    pick_tokens: Sequence[int],
    unread: int | None = None,
    lines: int = 1,
    alternatives: int = 0,
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
        lines: that the answer has at most.
        alternatives: other texts wanted; so many are written as there is time for once all else is done.
    """
    writing = (costs.write or 0.0) * WRITTEN_TOKENS * lines + FIXED_SECONDS
    plan, spare = _chosen(budget, costs, ready, steps, context_tokens, pick_tokens, unread, writing)
    fitting = alternatives if spare is None else int(max(0.0, spare) / writing)
    return replace(plan, alternatives=min(alternatives, fitting))


def _chosen(
    budget: float | None,
    costs: Costs,
    ready: Ready,
    steps: int,
    context_tokens: int,
    pick_tokens: Sequence[int],
    unread: int | None,
    writing: float,
) -> tuple[Plan, float | None]:
    """The plan but for alternatives, and the seconds that it leaves; None if there is no bound."""
    if budget is None:
        kind: Literal["fresh", "cached", "base"] = "cached" if ready.exact else "fresh" if steps else "base"
        plan = Plan(kind, 0 if ready.exact else steps, len(pick_tokens), context_tokens, behind=False)
        return plan, None

    full = sum(pick_tokens) + context_tokens if unread is None else unread
    picks, context = len(pick_tokens), context_tokens
    reading = (costs.read or 0.0) * full
    if costs.read and reading + writing > budget:
        shorter = _shorter(int((budget - writing) / costs.read), context_tokens, pick_tokens)
        tokens = sum(pick_tokens[: shorter[0]]) + shorter[1]
        if tokens < full:  # else what the engine knows of the full prompt makes that the quicker one
            (picks, context), reading = shorter, costs.read * tokens
    spare = budget - reading - writing
    if ready.exact:
        return Plan("cached", 0, picks, context, behind=False), spare
    fitting, tuning = 0, 0.0
    if steps and costs.step is not None and costs.judge is not None:
        fitting = max(0, min(steps, int((spare - costs.judge) / costs.step)))
        tuning = fitting * costs.step + costs.judge if fitting else 0.0
    behind = steps > 0
    if fitting == steps > 0:
        return Plan("fresh", steps, picks, context, behind=False), spare - tuning
    if ready.near:
        return Plan("cached", 0, picks, context, behind), spare
    if ready.warm:
        return Plan("warm", 0, picks, context, behind), spare
    return Plan("fresh" if fitting else "base", fitting, picks, context, behind), spare - tuning


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
