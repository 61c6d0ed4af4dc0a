"""Which requests reach the daemon while one types, and whose answer is given for which text."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vicinal_daemon.protocol import Answer
from vicinal_daemon.protocol.requests import CompleteRequest
from vicinal_lsp.completion import Completions, Telling
from vicinal_lsp.documents import Snapshot
from vicinal_lsp.offers import Offer, Offers
from vicinal_lsp.scripted import answer_to
from vicinal_lsp.settings import LspSettings

BEFORE, AFTER = "def total(order):\n    return ", "\n\n\ndef other():\n    pass\n"


class SlowSession:
    """As `Session`, with a daemon that answers when it is told to."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[tuple[CompleteRequest, asyncio.Future[Answer]]] = asyncio.Queue()
        self.called_off: list[str] = []

    async def complete(self, request: CompleteRequest) -> Answer:
        reply: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.asked.put_nowait((request, reply))
        try:
            return await reply
        except asyncio.CancelledError:
            self.called_off.append(request.id)
            raise


@dataclass
class Scene:
    """A document in an editor, and what is asked of it."""

    session: SlowSession = field(default_factory=SlowSession)
    version: int = 1
    text: str = BEFORE
    answered: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        telling = Telling(
            lambda offer, shown: self.answered.append((offer.id, shown)), lambda *_: None, lambda reason: None
        )
        settings = LspSettings(debounce_ms=0)
        session: Any = self.session
        self.completions = Completions(session, Offers(), lambda: settings, lambda uri: self.version, telling)

    def type(self, text: str) -> None:
        self.version, self.text = self.version + 1, self.text + text

    def ask(self, trigger: Any = "automatic") -> "asyncio.Task[Offer | None]":
        now = Snapshot(
            uri="file:///a.py",
            version=self.version,
            language="python",
            text=self.text + AFTER,
            offset=len(self.text),
            folder=Path("/r").absolute(),
            file=None,
            path="a.py",
            above="",
            encoding="utf-16",
        )
        return asyncio.ensure_future(self.completions.ask(now, trigger))

    def is_idle(self) -> bool:
        return self.session.asked.empty()


def play(scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(scene(Scene()), 10)

    asyncio.run(run())


def test_an_answer_for_some_keys_ago_serves_if_it_says_what_was_typed() -> None:
    async def run(scene: Scene) -> None:
        first = scene.ask()
        request, reply = await scene.session.asked.get()
        scene.type("or")
        second = scene.ask()
        assert await first is None
        scene.type("d")
        third = scene.ask()
        assert await second is None
        reply.set_result(answer_to(request, "order.total", "len(order)"))
        offer = await third
        assert offer is not None
        assert (offer.texts, offer.typed) == (("er.total",), 3)
        assert scene.is_idle()
        assert scene.answered == [(request.id, "yes")]

    play(run)


def test_an_answer_that_says_something_else_is_not_given_and_the_daemon_asked_anew() -> None:
    async def run(scene: Scene) -> None:
        first = scene.ask()
        request, reply = await scene.session.asked.get()
        scene.type("x")
        second = scene.ask()
        assert await first is None
        reply.set_result(answer_to(request, "order.total"))
        again, reply = await scene.session.asked.get()
        assert again.text == BEFORE + "x" + AFTER
        reply.set_result(answer_to(again, ".y"))
        offer = await second
        assert offer is not None
        assert offer.texts == (".y",)
        assert scene.answered == [(again.id, "yes")]

    play(run)


def test_who_goes_elsewhere_calls_the_request_off() -> None:
    async def run(scene: Scene) -> None:
        first = scene.ask()
        request, _ = await scene.session.asked.get()
        scene.version, scene.text = 2, BEFORE.removesuffix("return ")
        second = scene.ask()
        assert await first is None
        again, reply = await scene.session.asked.get()
        assert scene.session.called_off == [request.id]
        reply.set_result(answer_to(again, "return 1"))
        assert await second is not None

    play(run)


def test_an_editor_that_cancels_with_each_key_does_not_interrupt_the_daemon() -> None:
    async def run(scene: Scene) -> None:
        first = scene.ask()
        request, reply = await scene.session.asked.get()
        first.cancel()
        scene.type("o")
        second = scene.ask()
        await asyncio.wait({first})
        reply.set_result(answer_to(request, "order"))
        offer = await second
        assert first.cancelled()
        assert offer is not None
        assert offer.texts == ("rder",)
        assert not scene.session.called_off

    play(run)


def test_a_cancelled_request_that_nobody_follows_is_called_off() -> None:
    async def run(scene: Scene) -> None:
        only = scene.ask()
        request, reply = await scene.session.asked.get()
        only.cancel()
        await asyncio.wait({reply})
        assert scene.session.called_off == [request.id]

    play(run)


def test_a_document_that_is_closed_wants_nothing_any_more() -> None:
    async def run(scene: Scene) -> None:
        only = scene.ask()
        request, _ = await scene.session.asked.get()
        scene.completions.closed("file:///a.py")
        assert await only is None
        assert scene.session.called_off == [request.id]

    play(run)


def test_an_answer_for_a_text_that_is_gone_is_not_given() -> None:
    async def run(scene: Scene) -> None:
        first = scene.ask()
        request, reply = await scene.session.asked.get()
        scene.type("or")  # and nobody asks there
        reply.set_result(answer_to(request, "order"))
        assert await first is None
        assert not scene.answered

    play(run)


def test_texts_that_differ_in_white_space_only_are_one_choice_and_the_best_comes_first() -> None:
    async def run(scene: Scene) -> None:
        invoked = scene.ask("invoked")
        request, reply = await scene.session.asked.get()
        assert request.alternatives == 2
        reply.set_result(answer_to(request, "order.total", "order", "  order.total"))
        offer = await invoked
        assert offer is not None
        assert offer.texts == ("order.total", "order")

    play(run)
