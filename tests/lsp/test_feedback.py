"""What of an accepted text still stands a while later."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from vicinal_daemon.protocol.requests import FeedbackRequest
from vicinal_lsp.feedback import Feedback, survived

TEXT = "total = price * count\n    return total"


@pytest.mark.parametrize(
    ("document", "share"),
    [
        ("def f():\n    total = price * count\n    return total\n", 1.0),
        ("def f():\n    return total\n\n\ndef g():\n    total = price * count\n", 1.0),
        ("def f():\n    pass\n", 0.0),
    ],
)
def test_what_stands_is_counted_wherever_it_was_moved(document: str, share: float) -> None:
    assert survived(TEXT, document, 13) == share


def test_a_changed_line_survives_in_part() -> None:
    assert 0.3 < survived(TEXT, "def f():\n    total = price * amount\n    return 1\n", 13) < 1.0


def test_it_is_told_at_each_clock_while_the_document_is_open() -> None:
    documents: dict[str, str | None] = {"a": TEXT}
    told: list[FeedbackRequest] = []
    both = asyncio.Event()

    async def send(request: FeedbackRequest) -> None:
        told.append(request)
        if len(told) == 3:
            both.set()

    async def run() -> None:
        feedback = Feedback(send, documents.get, lambda: True, survival_seconds=(0.0, 0.01))
        offer: Any = SimpleNamespace(id="1", typed=0, snapshot=SimpleNamespace(uri="a", offset=0))
        feedback.accepted(offer, TEXT)
        await asyncio.wait_for(both.wait(), 10)
        feedback.close()

    asyncio.run(run())
    assert [request.event for request in told] == ["accepted", "survived", "survived"]
    assert [(request.kept_share, request.after_seconds) for request in told[1:]] == [(1.0, 0.0), (1.0, 0.01)]


def test_it_is_told_in_the_order_in_which_it_happened() -> None:
    told: list[str] = []
    first, all_told = asyncio.Event(), asyncio.Event()

    async def send(request: FeedbackRequest) -> None:
        if request.event == "shown":
            await first.wait()
        told.append(request.event)
        if len(told) == 2:
            all_told.set()

    async def run() -> None:
        feedback = Feedback(send, lambda uri: None, lambda: True)
        feedback.shown(SimpleNamespace(id="1", typed=0, snapshot=SimpleNamespace(uri="a", offset=0)))  # type: ignore[arg-type]
        feedback.passed("a")
        asyncio.get_running_loop().call_soon(first.set)
        await asyncio.wait_for(all_told.wait(), 10)

    asyncio.run(run())
    assert told == ["shown", "rejected"]
