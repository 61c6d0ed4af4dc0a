"""The messages between Vicinal's parts and its users, versioned. Imports no torch and no lancedb."""

from vicinal_daemon.protocol.answers import (
    Adaptation,
    AdaptationKind,
    Answer,
    Confidence,
    Evidence,
    Finding,
    Findings,
    Forecast,
    Guard,
    Reason,
    Sentence,
    Text,
    WrittenAnswer,
)
from vicinal_daemon.protocol.message import PROTOCOL_VERSION, Message

__all__ = [
    "PROTOCOL_VERSION",
    "Adaptation",
    "AdaptationKind",
    "Answer",
    "Confidence",
    "Evidence",
    "Finding",
    "Findings",
    "Forecast",
    "Guard",
    "Message",
    "Reason",
    "Sentence",
    "Text",
    "WrittenAnswer",
]
