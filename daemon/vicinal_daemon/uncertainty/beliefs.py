"""How sure the answers of each repository are, by the calibration and by what its users made of them.

Owns what was last learned from the feedback of each repository. It does not know who asks, nor what an answer is
made of.
"""

import math
import threading
from pathlib import Path
from typing import Final, Protocol

from vicinal_daemon.uncertainty.calibration import Calibration, load
from vicinal_daemon.uncertainty.calibrator import Calibrator
from vicinal_daemon.uncertainty.features import LEAST_LOG_PROBABILITY, Clues, vector
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Told, feedback_file
from vicinal_daemon.uncertainty.recalibration import Recalibration, judgement, recalibrate
from vicinal_daemon.uncertainty.score import Belief
from vicinal_indexer.types import digest

JUDGED: Final = 500
"""So many of a repository's last judged answers count: what is older was of other code, other settings, another
habit."""


class Feedback(Protocol):
    """What is needed of `feedback.FeedbackStore`."""

    def told_of(self, repository: str, limit: int) -> list[Told]:
        """See there."""


class Beliefs:
    """The belief about each repository. Safe to use from many threads; `of` never waits.

    Args:
        calibration: of all repositories.
    """

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self._lock = threading.Lock()
        self._beliefs: dict[str, Belief] = {}

    def of(self, root: str) -> Belief:
        """As it was last learned; the calibration's own if nothing was."""
        with self._lock:
            return self._beliefs.get(name_of(root), Belief(self.calibration.calibrator))

    def knows(self, root: str) -> bool:
        """Whether its feedback has been looked at."""
        with self._lock:
            return name_of(root) in self._beliefs

    def learn(self, repository: str, feedback: Feedback) -> Belief:
        """Look at a repository's feedback (again). Takes milliseconds, of the disk too.

        Args:
            repository: its name in feedback (`name_of`).

        Raises:
            StoreUnavailable: the feedback cannot be read.
        """
        calibrator = self.calibration.calibrator
        belief = Belief(calibrator, local_recalibration(calibrator, feedback.told_of(repository, JUDGED)))
        with self._lock:
            self._beliefs[repository] = belief
        return belief

    def forget(self) -> None:
        """Go back to the calibration's own: the feedback was erased."""
        with self._lock:
            self._beliefs.clear()


def open_beliefs(data_dir: Path) -> Beliefs:
    """With the user's own calibration, else the package's; see `calibration.load`."""
    return Beliefs(load(data_dir))


def belief_about(root: str, data_dir: Path) -> Belief:
    """The belief about one repository, for who asks once and is no daemon. Makes no file.

    Raises:
        StoreUnavailable: there is feedback, and it cannot be read.
    """
    beliefs = open_beliefs(data_dir)
    file = feedback_file(data_dir)
    if not file.exists():
        return beliefs.of(root)
    feedback = FeedbackStore(file)
    try:
        return beliefs.learn(name_of(root), feedback)
    finally:
        feedback.close()


def name_of(root: str) -> str:
    """What a repository is called in feedback, which holds no paths; "" for none."""
    return digest(root) if root else ""


def local_recalibration(calibrator: Calibrator, told: list[Told]) -> Recalibration:
    """What the users of one repository say of its answers."""
    judged = []
    for one in told:
        said, clues = judgement(one.outcomes), clues_in(one.features)
        if said is not None and clues is not None:
            judged.append((calibrator.logit(vector(clues, calibrator.features)), said))
    return recalibrate(judged)


def clues_in(features: AnswerFeatures) -> Clues | None:
    """The clues of an answer that was recorded; None if too little of them was noted, or nothing was shown."""
    if not features.shown_tokens or features.first_entropy is None or features.similarity is None:
        return None
    return Clues(
        mean_log_probability=_log_of(features.token_probability),
        least_log_probability=_log_of(features.least_probability),
        tokens=features.shown_tokens,
        characters=features.characters,
        lines=features.lines,
        first_entropy=features.first_entropy,
        sigma_0=features.sigma_0,
        sigma_n=features.sigma_n,
        sigma_inf=features.sigma_inf,
        similarity=features.similarity,
        change=features.change,
    )


def _log_of(probability: float) -> float:
    return max(LEAST_LOG_PROBABILITY, math.log(probability)) if probability > 0 else LEAST_LOG_PROBABILITY
