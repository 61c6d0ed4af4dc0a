"""What became of answers, in numbers.

Owns these sums. Pure; it does not know where what was told is kept, nor who asks.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from vicinal_daemon.config import FeedbackSettings
from vicinal_daemon.protocol.state import FeedbackState, KindFeedback
from vicinal_daemon.uncertainty.feedback import EventName, Told

_JUDGED: Final[frozenset[EventName]] = frozenset({"shown", "accepted", "partly", "rejected"})
_ACCEPTED: Final[frozenset[EventName]] = frozenset({"accepted", "partly"})


def tally(told: Iterable[Told], settings: FeedbackSettings) -> FeedbackState:
    """Count what was told. An event that is told twice of an answer is two events, but one judgement."""
    events: Counter[str] = Counter()
    answers: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    for one in told:
        kind, heard = one.features.kind, {outcome.event for outcome in one.outcomes}
        events.update(outcome.event for outcome in one.outcomes)
        answers[kind] += 1
        judged[kind] += bool(heard & _JUDGED)
        accepted[kind] += bool(heard & _ACCEPTED)
    kinds = [
        KindFeedback(
            kind=kind,
            answers=answers[kind],
            judged=judged[kind],
            accepted=accepted[kind],
            acceptance=accepted[kind] / judged[kind] if judged[kind] else None,
        )
        for kind in sorted(answers)
    ]
    return FeedbackState(
        enabled=settings.enabled, answers=answers.total(), events=dict(sorted(events.items())), kinds=kinds
    )
