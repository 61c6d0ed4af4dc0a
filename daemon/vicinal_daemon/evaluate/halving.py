"""Picking settings for a repository and a machine from a small budget.

Owns the race: successive halving (Jamieson & Talwalkar 2016) in bits per byte, with seconds as the limit. Pure but for
the function that measures. It does not know where settings are written.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from vicinal_daemon.evaluate import statistics
from vicinal_daemon.evaluate.statistics import Interval

SPACE: Mapping[str, tuple[float, ...]] = {
    "prompt.picks": (0, 2, 4, 6),
    "tune.steps": (0, 4, 8),
    "tune.learning_rate": (4e-3, 8e-3, 1.6e-2),
    "select.noise": (0.03, 0.1, 0.3),
}
FIRST_TASKS = 2
SLOWER = 1.25
"""Without a limit in seconds, others may take so many times as long as the settings of now."""

Values = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one task said of some settings: bits per byte, seconds."""

    bits: float
    seconds: float


@dataclass(slots=True)
class Runner:
    """Settings in the race, and what was measured of them so far, task by task."""

    values: Values
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def bits(self) -> float:
        """The mean so far."""
        return float(np.mean([outcome.bits for outcome in self.outcomes]))

    @property
    def seconds(self) -> float:
        """The mean so far."""
        return float(np.mean([outcome.seconds for outcome in self.outcomes]))


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the race ended.

    Attributes:
        now: the settings as they are; they run to the end.
        best: of those that are fast enough, the one with the fewest bits; may be `now`.
        gain: bits(best) - bits(now), paired over the tasks of the last round.
        limit: seconds that a completion might take.
    """

    now: Runner
    best: Runner
    gain: Interval
    limit: float
    runners: tuple[Runner, ...]

    @property
    def changes(self) -> dict[str, float]:
        """What to change, by key; empty where nothing is better."""
        before = dict(self.now.values)
        return {key: value for key, value in self.best.values if before[key] != value}


def draw(now: Values, count: int, seed: int) -> list[Values]:
    """`now`, and up to `count` - 1 others of the space, by seed; of those that tell the same one.

    Without steps the learning rate does not matter, and stays as it is.
    """
    known = dict(now)
    others: dict[Values, None] = {}
    for point in product(*SPACE.values()):
        values = dict(zip(SPACE, point, strict=True))
        if not values["tune.steps"]:
            values["tune.learning_rate"] = known["tune.learning_rate"]
            if not values["prompt.picks"]:
                values["select.noise"] = known["select.noise"]
        others[tuple(values.items())] = None
    others.pop(now, None)
    order = list(others)
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not cryptography
    return [now, *order[: max(0, count - 1)]]


def race(
    candidates: Sequence[Values],
    tasks: int,
    measure: Callable[[Values, int], Outcome],
    limit: float | None = None,
) -> Verdict:
    """Measure all on a few tasks, the better half on twice as many, and so on; the first candidate is never dropped.

    Args:
        candidates: the settings of now first.
        tasks: in the last round, the first of which were those of the rounds before.
        measure: candidate and number of the task -> outcome.
        limit: seconds that a completion may take in the mean; None: `SLOWER` times what it takes now.
    """
    runners = [Runner(values) for values in candidates]
    now, left, upto = runners[0], runners, min(FIRST_TASKS, tasks)
    while True:
        for runner in left:
            for task in range(len(runner.outcomes), upto):
                runner.outcomes.append(measure(runner.values, task))
        bound = limit if limit is not None else SLOWER * now.seconds
        allowed = [runner for runner in left if runner is now or runner.seconds <= bound]
        # The settings of now may be too slow themselves: then anything that is fast enough is better.
        allowed.sort(key=lambda runner: (runner.seconds > bound, runner.bits))
        if upto == tasks:
            break
        kept = allowed[: max(1, len(left) // 2)]
        left = kept if now in kept else [*kept, now]
        upto = min(tasks, 2 * upto) if len(left) > 2 else tasks
    best = allowed[0]
    own, other = (np.array([outcome.bits for outcome in runner.outcomes]) for runner in (best, now))
    return Verdict(now, best, statistics.difference(own, other), bound, tuple(runners))
