"""From sigma and token probabilities to one number in [0, 1].

Owns the combination. It is *not yet calibrated*: it orders answers, it does not promise a frequency.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vicinal_daemon.select import Selection


@dataclass(frozen=True, slots=True)
class Confidence:
    """One number and what it is made of.

    Attributes:
        value: in [0, 1]; the geometric mean of `explained` and `token_probability`.
        explained: 1 - sigma_n^2 / sigma_0^2, the share of the uncertainty at the prompt that the picks remove.
        token_probability: the geometric mean of the probabilities of the tokens shown; 0 if there is none.
        least_probability: of the least likely token shown.
    """

    value: float
    explained: float
    token_probability: float
    least_probability: float


def confidence(selection: Selection, log_probabilities: Sequence[float]) -> Confidence:
    """Combine the surrogate's view (does the repo cover this prompt?) with the model's (does the text flow?).

    Args:
        selection: its variances tell sigma_0 and sigma_n.
        log_probabilities: natural logs, of the tokens that are shown.
    """
    explained = 1 - selection.variances[-1] / selection.variances[0] if selection.variances[0] > 0 else 0.0
    if log_probabilities:
        mean = math.exp(math.fsum(log_probabilities) / len(log_probabilities))
        least = math.exp(min(log_probabilities))
    else:
        mean = least = 0.0
    explained = min(1.0, max(0.0, explained))
    return Confidence(math.sqrt(explained * mean), explained, mean, least)
