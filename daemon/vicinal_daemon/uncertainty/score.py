"""From the clues of an answer to the probability that it is right.

Owns the combination: the calibrator, and what this repository's users made of it. It does not know where either
comes from.
"""

from dataclasses import dataclass

from vicinal_daemon.uncertainty.calibrator import Calibrator, probability
from vicinal_daemon.uncertainty.features import Clues, vector
from vicinal_daemon.uncertainty.recalibration import UNCHANGED, Recalibration


@dataclass(frozen=True, slots=True)
class Belief:
    """How clues are weighed, for one repository."""

    calibrator: Calibrator
    local: Recalibration = UNCHANGED

    def in_text(self, clues: Clues | None) -> float:
        """The probability that the text shown is right: the line is the one that the user wants, character by
        character.

        Where feedback exists it is that of being kept. Nothing shown is never right: 0.
        """
        if clues is None:
            return 0.0
        return float(probability(self.local.logit(self.calibrator.logit(vector(clues, self.calibrator.features)))))


def explained(sigma_0: float, sigma_n: float) -> float:
    """1 - sigma_n^2 / sigma_0^2: the share of the variance at the prompt that the picks remove, in [0, 1]."""
    return min(1.0, max(0.0, 1 - (sigma_n / sigma_0) ** 2)) if sigma_0 > 0 else 0.0
