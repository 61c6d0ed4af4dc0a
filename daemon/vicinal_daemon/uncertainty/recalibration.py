"""What the users of one repository make of its answers: the calibrated probability, corrected there.

Owns the correction and how it is learned. Pure; it does not know where feedback is kept. Nothing of it is stored: it
follows from the feedback.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from vicinal_daemon.uncertainty.calibrator import Vector, newton
from vicinal_daemon.uncertainty.feedback import Outcome

OFFSET_SPREAD: Final = 0.6
"""How far repositories differ in the logit, a priori (standard deviation): .6 is from 50 % to 65 %."""

SLOPE_SPREAD: Final = 0.35
"""How far they differ in the logit's slope. With both, what was said at 80 % is said at 64 % after five of ten were
right, and a hundred judgements bring a repository whose logits are off by 1, or have a slope of 0.6, to within 0.03."""

LEAST_SLOPE: Final = 0.1
"""The order of answers stays that of the calibrator, whatever users say."""

KEPT_WHOLE: Final = 0.9
"""Of an accepted text, the share that must still stand for it to have been right: a changed comma is no error."""

HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Recalibration:
    """logit p' = offset + slope logit p.

    Attributes:
        observations: how many judgements it rests on.
    """

    offset: float = 0.0
    slope: float = 1.0
    observations: int = 0

    def logit(self, logit: float) -> float:
        """The corrected one."""
        return self.offset + self.slope * logit


UNCHANGED: Final = Recalibration()


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether an answer was right, as far as its user's deeds tell, and how much that counts."""

    right: bool
    count: float


def judgement(outcomes: Sequence[Outcome]) -> Judgement | None:
    """What the outcomes of one answer say of it, None if they say nothing.

    - `survived` is the best witness, and the last one counts: what still stands a while after it was accepted was
    right, and
      what was changed was not, however willingly it was taken.
    - `accepted` alone counts half: users take what is nearly right and mend it.
    - `rejected`: something else was typed, so this was wrong.
    - `partly`: all that is known is that the whole was not taken; wrong, counts half. (A text taken word by word to
    its end
      is told as `accepted`.)
    - `shown` alone says nothing: the user may have looked away.
    """
    for outcome in reversed(outcomes):
        if outcome.event == "survived" and outcome.kept_share is not None:
            return Judgement(outcome.kept_share >= KEPT_WHOLE, 1.0)
    for outcome in reversed(outcomes):
        match outcome.event:
            case "accepted":
                return Judgement(True, HALF)
            case "rejected":
                return Judgement(False, 1.0)
            case "partly":
                return Judgement(False, HALF)
            case _:
                continue
    return None


def recalibrate(judged: Iterable[tuple[float, Judgement]]) -> Recalibration:
    """The likeliest correction given what was said of answers with these logits.

    Bayesian: offset ~ N(0, `OFFSET_SPREAD`^2) and slope ~ N(1, `SLOPE_SPREAD`^2) are the prior, the mode of the
    posterior (Laplace) is used. Without judgements it is exactly `UNCHANGED`.
    """
    pairs = list(judged)
    if not pairs:
        return UNCHANGED
    logits = np.array([logit for logit, _ in pairs])
    right = np.array([float(said.right) for _, said in pairs])
    count = np.array([said.count for _, said in pairs])
    prior = np.array([0.0, 1.0])
    precision = np.array([OFFSET_SPREAD, SLOPE_SPREAD]) ** -2.0
    offset, slope = newton(np.column_stack([np.ones(len(logits)), logits]), right, count, precision, prior, prior)
    if slope < LEAST_SLOPE:
        slope, offset = LEAST_SLOPE, _offset(logits * LEAST_SLOPE, right, count)
    return Recalibration(float(offset), float(slope), len(pairs))


def _offset(logits: Vector, right: Vector, count: Vector) -> float:
    """The likeliest offset for a given slope: the same, with the logits as a column whose weight is held at 1."""
    held = np.array([OFFSET_SPREAD**-2.0, 1e12])
    prior = np.array([0.0, 1.0])
    return float(newton(np.column_stack([np.ones(len(logits)), logits]), right, count, held, prior, prior)[0])
