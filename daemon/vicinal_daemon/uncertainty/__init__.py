"""How far to trust an answer: clues -> features -> a calibrated probability, and reasons; what became of answers."""

from vicinal_daemon.uncertainty.features import Clues, clues_of
from vicinal_daemon.uncertainty.score import Belief

__all__ = ["Belief", "Clues", "clues_of"]
