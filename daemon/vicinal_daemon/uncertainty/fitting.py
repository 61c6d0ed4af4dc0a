"""Fitting a calibration, and judging it on repositories that it has not seen.

Owns the protocol: one repository is left out at a time, every repository counts the same, and features are compared
on the same answers. Pure; it does not know files, nor how answers were measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.errors import RecordsTooFew
from vicinal_daemon.uncertainty import scoring
from vicinal_daemon.uncertainty.calibration import Calibration, DataSheet, Source
from vicinal_daemon.uncertainty.calibrator import Calibrator, Matrix, Vector, fit, probability
from vicinal_daemon.uncertainty.features import GROUPS, MEASURED_ONLY, Clues, vector
from vicinal_daemon.uncertainty.scoring import Estimate, Measure

PENALTIES: Final = (1.0, 3.0, 10.0, 30.0, 100.0)
ALWAYS_KNOWN: Final = tuple(name for group, names in GROUPS.items() if group not in MEASURED_ONLY for name in names)
"""Features of every answer. `change` costs a second reading of prompt and text by the base model, so answers lack
it."""

HIDDEN: Final = (0.25, 0.5, 0.75, 0.9)
"""Shares of the wrong answers that the data sheet tells thresholds for."""

MEASURES: Final[Mapping[str, Measure]] = {
    "auroc": scoring.auroc,
    "brier_skill": scoring.brier_skill,
    "calibration_error": scoring.calibration_error,
    "risk_area": scoring.risk_area,
    "right_lost": scoring.right_lost,
}


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer whose truth is known.

    Attributes:
        task: its id, the same for all answers to it.
        right: whether it is exact.
    """

    repository: str
    task: str
    clues: Clues
    right: bool


@dataclass(frozen=True, slots=True)
class Row:
    """What some features are worth, on repositories left out.

    Attributes:
        name: what was added.
        features: all of them.
        measures: see `MEASURES`.
        gain: AUROC over the first row, paired.
        step: AUROC over the row before, paired.
        steps: the same in each repository, without intervals.
    """

    name: str
    features: tuple[str, ...]
    measures: dict[str, Estimate]
    gain: Estimate
    step: Estimate
    steps: dict[str, float]


class Answers:
    """Answers of several repositories, as arrays.

    Raises:
        RecordsTooFew: fewer than two repositories, or one of which the others are all right or all wrong.
    """

    def __init__(self, answered: Sequence[Answered]) -> None:
        self.answered = tuple(answered)
        self.repositories = tuple(sorted({one.repository for one in answered}))
        self.right: Vector = np.array([float(one.right) for one in answered])
        self.repository = np.array([one.repository for one in answered])
        keys = {key: n for n, key in enumerate(dict.fromkeys((one.repository, one.task) for one in answered))}
        self.tasks: Vector = np.array([float(keys[one.repository, one.task]) for one in answered])
        if len(self.repositories) < 2:
            raise RecordsTooFew(f"there are answers of {len(self.repositories)} repositories; it takes two")
        for name in self.repositories:
            share = float(self.right[self.repository != name].mean())
            if share in (0.0, 1.0):
                raise RecordsTooFew(f"without {name}, all answers are {'right' if share else 'wrong'}")

    def rows(self, features: Sequence[str]) -> Matrix:
        """(n, d)."""
        return np.array([vector(one.clues, features) for one in self.answered]).reshape(len(self.right), -1)

    def counts(self, among: NDArray[np.bool_]) -> Vector:
        """(n,) with 0 outside `among`; each repository in it counts the same, the mean is 1."""
        names, place, sizes = np.unique(self.repository[among], return_inverse=True, return_counts=True)
        found = np.zeros(len(self.right))
        found[among] = among.sum() / (len(names) * sizes[place])
        return found


def fitted(answers: Answers, features: Sequence[str], penalty: float) -> Calibrator:
    """On all answers."""
    everything = np.ones(len(answers.right), dtype=bool)
    return fit(features, answers.rows(features), answers.right, penalty=penalty, counts=answers.counts(everything))


def left_out(answers: Answers, features: Sequence[str], penalty: float) -> Vector:
    """(n,) the probability of each answer, by a calibrator that has not seen its repository."""
    rows, claimed = answers.rows(features), np.empty(len(answers.right))
    for name in answers.repositories:
        seen = answers.repository != name
        counts = answers.counts(seen)[seen]
        calibrator = fit(features, rows[seen], answers.right[seen], penalty=penalty, counts=counts)
        claimed[~seen] = probability(calibrator.logits(rows[~seen]))
    return claimed


def log_loss(claimed: Vector, right: Vector) -> float:
    """Nats per answer."""
    return float(-np.log(np.where(right > 0.5, claimed, 1 - claimed)).mean())


def best_penalty(answers: Answers, features: Sequence[str]) -> float:
    """Of `PENALTIES`, by log loss on repositories left out."""
    return min(PENALTIES, key=lambda penalty: log_loss(left_out(answers, features, penalty), answers.right))


def ablation(answers: Answers, penalty: float | None = None, *, seed: int = 0, resamples: int = 1000) -> list[Row]:
    """Each group of features added to those before it, in the order of `GROUPS`.

    Args:
        penalty: None: the best for each row.
    """
    rows: list[Row] = []
    features: tuple[str, ...] = ()
    claims: list[Vector] = []
    for group, names in GROUPS.items():
        features += names
        claimed = left_out(answers, features, penalty or best_penalty(answers, features))
        claims.append(claimed)
        before = claims[-2] if len(claims) > 1 else claimed

        def against(rival: Vector, claimed: Vector = claimed) -> Estimate:
            return scoring.estimate_difference(
                scoring.auroc, claimed, rival, answers.right, answers.tasks, seed=seed, resamples=resamples
            )

        rows.append(
            Row(
                group if not rows else f"+ {group}",
                features,
                measured(answers, claimed, seed=seed, resamples=resamples),
                against(claims[0]),
                against(before),
                _differences(auroc_by_repository(answers, claimed), auroc_by_repository(answers, before)),
            )
        )
    return rows


def measured(answers: Answers, claimed: Vector, *, seed: int = 0, resamples: int = 1000) -> dict[str, Estimate]:
    """`MEASURES`, with intervals over tasks."""
    return {
        name: scoring.estimate(measure, claimed, answers.right, answers.tasks, seed=seed, resamples=resamples)
        for name, measure in MEASURES.items()
    }


def auroc_by_repository(answers: Answers, claimed: Vector) -> dict[str, float]:
    """In each repository by itself; NaN where all are right or all wrong."""
    found = {}
    for name in answers.repositories:
        mine = answers.repository == name
        found[name] = scoring.auroc(claimed[mine], answers.right[mine])
    return found


def _differences(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: after[name] - before[name] for name in after}


def calibrate(
    answers: Answers,
    features: Sequence[str],
    *,
    penalty: float | None = None,
    model: str,
    modes: Sequence[str],
    fitted_on: str,
    origins: Mapping[str, tuple[str, str]],
    resamples: int = 1000,
) -> Calibration:
    """Fit on everything; the data sheet tells how good that is on repositories left out.

    Args:
        penalty: None: the best.
        fitted_on: the date.
        origins: of each repository its commit and its language.
    """
    penalty = penalty or best_penalty(answers, features)
    claimed = left_out(answers, features, penalty)
    sources = []
    for name in answers.repositories:
        mine = answers.repository == name
        commit, language = origins[name]
        tasks = len(np.unique(answers.tasks[mine]))
        sources.append(Source(name, commit, language, tasks, int(mine.sum()), int(answers.right[mine].sum())))
    sheet = DataSheet(
        fitted=fitted_on,
        model=model,
        modes=tuple(modes),
        sources=tuple(sources),
        penalty=penalty,
        measures=measured(answers, claimed, resamples=resamples),
        reliability=scoring.reliability(claimed, answers.right),
        hiding=tuple(scoring.hiding(claimed, answers.right, share) for share in HIDDEN),
    )
    return Calibration(fitted(answers, features, penalty), sheet)
