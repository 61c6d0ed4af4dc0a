"""Why an answer is unsure, in words.

Owns the rules and their thresholds. Pure; it does not know the probability's calibration, nor who reads.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from vicinal_daemon.uncertainty.features import Clues

SURE: Final = 0.8
"""From here on an answer needs no excuse: one of five such answers at most is wrong."""

UNKNOWN_SHARE: Final = 0.6
"""sigma_inf / sigma_0. Above it more than a third of the prompt's variance (.6^2) is beyond every candidate together:
what is wanted here is not in the repository."""

UNLEARNED_SHARE: Final = 0.25
"""(sigma_n - sigma_inf) / sigma_0. Above it the picks leave a quarter of the uncertainty that the repository could
remove: more picks or steps would have taught more."""

AMBIGUOUS_PROBABILITY: Final = 0.3
"""Of the least likely token shown. Below it the model saw at least two other ways to go on that were together
likelier."""

AMBIGUOUS_ENTROPY: Final = 2.0
"""Nats at the first token: as many ways to begin as e^2 = 7.4 equally likely ones."""

ReasonKind = Literal["unknown", "unlearned", "ambiguous"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: `unknown` the repository has nothing like it, `unlearned` not all of it was learned, `ambiguous` the text
    itself."""

    kind: ReasonKind
    text: str


def reasons(value: float, clues: Clues | None, least_token: str) -> tuple[Reason, ...]:
    """Why an answer of this probability is not surer; empty if it is sure, or no rule tells why not.

    Args:
        least_token: the least likely token shown.
    """
    if clues is None or value >= SURE:
        return ()
    found: list[Reason] = []
    if clues.sigma_0 > 0:
        if clues.sigma_inf > UNKNOWN_SHARE * clues.sigma_0:
            found.append(
                Reason(
                    "unknown",
                    f"the repository has nothing like this: all of it together leaves sigma at {clues.sigma_inf:.2f} "
                    f"of {clues.sigma_0:.2f}",
                )
            )
        if clues.sigma_n - clues.sigma_inf > UNLEARNED_SHARE * clues.sigma_0:
            found.append(
                Reason(
                    "unlearned",
                    f"the model has not learned it yet: sigma is {clues.sigma_n:.2f}, and more of the repository could "
                    f"bring it to {clues.sigma_inf:.2f}",
                )
            )
    least = math.exp(clues.least_log_probability)
    if least < AMBIGUOUS_PROBABILITY:
        found.append(
            Reason(
                "ambiguous",
                f"the text itself is ambiguous: the model gave {least_token!r} a probability of {least:.2f}",
            )
        )
    elif clues.first_entropy > AMBIGUOUS_ENTROPY:
        ways = math.exp(clues.first_entropy)
        found.append(Reason("ambiguous", f"the text itself is ambiguous: it could begin in about {ways:.0f} ways"))
    return tuple(found)
