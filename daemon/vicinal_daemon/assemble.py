"""From what the stages found out to the messages that say it.

Owns that mapping. It decides nothing and runs nothing.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vicinal_daemon import protocol
from vicinal_daemon.neighbourhood import Choice
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.uncertainty import Belief, clues_of
from vicinal_daemon.uncertainty.reasons import reasons
from vicinal_daemon.uncertainty.score import explained
from vicinal_daemon.worth import Wanted


@dataclass(frozen=True, slots=True)
class Learned:
    """What an adapter is made of.

    Attributes:
        steps: gradient steps taken.
        losses: of each step's example before its step, in nats per token; empty if that is not known any more.
        context_loss: nats per token of the visible context by scale, empty if there was no guard.
        scale: what the guard left of it; 0 is nothing.
    """

    steps: int = 0
    losses: tuple[float, ...] = ()
    context_loss: Mapping[float, float] | None = None
    scale: float = 0.0


def text_of(
    text: str, log_probabilities: Sequence[float], tokens: int, seconds: float, *, finished: bool
) -> protocol.Text:
    """A text and how likely the model found the tokens of it that are shown."""
    count = len(log_probabilities)
    mean = sum(log_probabilities) / count if count else None
    return protocol.Text(
        text=text, tokens=tokens, mean_log_probability=mean, seconds=round(seconds, 4), finished=finished
    )


def confidence_of(
    belief: Belief,
    choice: Choice,
    text: str,
    log_probabilities: Sequence[float],
    *,
    first_entropy: float,
    least_token: str,
) -> protocol.Confidence:
    """How sure a text is whose shown tokens have these natural log probabilities.

    Args:
        first_entropy: nats, at its first token.
        least_token: the least likely of those shown.
    """
    selection = choice.selection
    clues = clues_of(
        text,
        log_probabilities,
        first_entropy=first_entropy,
        sigma_0=selection.sigma_0,
        sigma_n=selection.sigma_n,
        sigma_inf=selection.sigma_inf,
        similarity=choice.similarity,
    )
    value = belief.in_text(clues)
    return protocol.Confidence(
        value=value,
        feedbacks=belief.local.observations,
        reasons=[protocol.Reason(kind=why.kind, text=why.text) for why in reasons(value, clues, least_token)],
        explained=explained(selection.sigma_0, selection.sigma_n),
        token_probability=math.exp(clues.mean_log_probability) if clues is not None else 0.0,
        least_probability=math.exp(clues.least_log_probability) if clues is not None else 0.0,
        least_token=least_token,
        first_entropy=first_entropy,
        similarity=choice.similarity,
        shown_tokens=clues.tokens if clues is not None else 0,
        sigma_0=selection.sigma_0,
        sigma_n=selection.sigma_n,
        sigma_inf=selection.sigma_inf,
        curve=[variance**0.5 for variance in selection.variances],
    )


def adaptation_of(
    kind: protocol.AdaptationKind,
    strategy: Strategy,
    learned: Learned,
    *,
    aim: Wanted | None,
    nearness: float = 1.0,
    behind: bool = False,
) -> protocol.Adaptation:
    """What was learned for an answer; an adapter that the guard dropped is the base. `aim`: None without candidates."""
    loss = learned.context_loss
    return protocol.Adaptation(
        kind=kind if learned.scale > 0 else "base",
        strategy=strategy,
        steps=learned.steps,
        losses=list(learned.losses),
        scale=learned.scale,
        guard=protocol.Guard(base=loss[0.0], full=loss[1.0], half=loss[0.5]) if loss else None,
        nearness=nearness,
        behind=behind,
        forecast=_forecast_of(aim) if aim is not None else None,
    )


def _forecast_of(aim: Wanted) -> protocol.Forecast:
    return protocol.Forecast(
        prompt=round(aim.worth.prompt, 4), tuning=round(aim.worth.tuning, 4), steps=aim.steps, shows=aim.prompt
    )


def evidence_of(choice: Choice, steps: int, in_prompt: int) -> list[protocol.Evidence]:
    """The distinct picks, of which the first `in_prompt` were shown and the first `steps` picks trained on."""
    shares: defaultdict[int, float] = defaultdict(float)
    for pick, share in zip(choice.selection.picks, choice.selection.shares, strict=True):
        shares[pick] += share
    trained = Counter(choice.selection.picks[:steps])
    return [
        protocol.Evidence(
            path=choice.chunks[pick].path,
            start_line=choice.chunks[pick].start_line,
            end_line=choice.chunks[pick].end_line,
            symbol=choice.chunks[pick].symbol,
            share=min(1.0, shares[pick]),
            steps=trained[pick],
            in_prompt=rank < in_prompt,
        )
        for rank, pick in enumerate(choice.selection.distinct())
    ]
