"""What it is worth here: whether code in the prompt, and tuning, will help this completion, and by how much.

Owns that forecast, from what the selection says before the model is asked anything. The weights were learned from
evaluations (`benchmarks/worth.py`), none depends on a repository. Pure; it does not know what things cost here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

CLUES: Final = ("one", "sigma_n", "sigma_inf", "similarity", "context")
"""Of the selection: uncertainty with all picks, and with all candidates taken to the limit; the largest kernel value.
And how much of the open file the prompt shows, from 0 (nothing) to 1 (as much as it may)."""

FULL_CONTEXT: Final = 50
"""Lines before the cursor, about, that fill a prompt's part of the open file."""


@dataclass(frozen=True, slots=True)
class Worth:
    """Expected gains in bits per byte of what will be written; negative where it is expected to do harm.

    Attributes:
        prompt: of code in the prompt, over none.
        tuning: of all steps of tuning, on top of the prompt.
    """

    prompt: float
    tuning: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """Linear in the clues.

    Attributes:
        prompt, tuning: a weight for each of CLUES.
        decay: of the gain that is left after n steps, exp(-n / decay) is still to come.
    """

    prompt: tuple[float, ...]
    tuning: tuple[float, ...]
    decay: float

    def __post_init__(self) -> None:
        if len(self.prompt) != len(CLUES) or len(self.tuning) != len(CLUES) or self.decay <= 0:
            raise ValueError("the forecast has other weights than clues")

    def worth(self, clues: Sequence[float]) -> Worth:
        """What is to be expected; `clues` as `clues_of` gives them."""
        return Worth(_dot(self.prompt, clues), _dot(self.tuning, clues))

    def steps(self, worth: Worth, most: int, price: float) -> int:
        """How many of `most` steps to take, if each costs `price` bits per byte: until the next brings less than that.

        The gain after n steps is taken to be worth.tuning (1 - exp(-n / decay)) / (1 - exp(-most / decay)).
        """
        if worth.tuning <= 0 or most == 0:
            return 0
        all_of_it = 1 - math.exp(-most / self.decay)
        first = worth.tuning * (1 - math.exp(-1 / self.decay)) / all_of_it
        if price <= 0:
            return most
        if first <= price:
            return 0
        # The gain of step n + 1 is that of the first one, times exp(-n / decay).
        return min(most, math.ceil(self.decay * math.log(first / price)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is worth its time: so many steps, and code in the prompt or none; and what was expected of both."""

    steps: int
    prompt: bool
    worth: Worth


def wanted(
    forecast: Forecast, clues: Sequence[float], most: int, *, price: float, step_seconds: float, prompt_seconds: float
) -> Wanted:
    """What to do at a place, if a second must bring `price` bits per byte; at 0, whatever is expected to do no harm.

    Args:
        most: steps that could be taken.
        step_seconds: of one step; 0 where it was never measured.
        prompt_seconds: of reading the code in the prompt; likewise.
    """
    told = forecast.worth(clues)
    return Wanted(forecast.steps(told, most, price * step_seconds), told.prompt > price * prompt_seconds, told)


def clues_of(sigma_n: float, sigma_inf: float, similarity: float, context: float) -> tuple[float, ...]:
    """The clues in the order of CLUES; `context` in [0, 1]."""
    return (1.0, sigma_n, sigma_inf, similarity, context)


def context_at(line: int) -> float:
    """The clue `context` for a cursor in that line, 1-based."""
    return min(1.0, (line - 1) / FULL_CONTEXT)


@cache
def default_forecast() -> Forecast:
    """The weights that come with Vicinal."""
    told: Mapping[str, Mapping[str, float]] = json.loads(files(__package__).joinpath("worth.json").read_text("utf-8"))
    prompt, tuning = (tuple(told[name][clue] for clue in CLUES) for name in ("prompt", "tuning"))
    return Forecast(prompt, tuning, told["decay"]["steps"])


def _dot(weights: Sequence[float], clues: Sequence[float]) -> float:
    return sum(weight * clue for weight, clue in zip(weights, clues, strict=True))
