"""How far to trust an answer: posterior variance and token evidence -> one number. Pure."""

from vicinal_daemon.uncertainty.score import Confidence, confidence

__all__ = ["Confidence", "confidence"]
