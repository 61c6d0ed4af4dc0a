"""The path of a completion: may it be asked for, is it there already, what the daemon says, what of it is offered.

Owns one request a document, the pause before automatic ones, and that no answer is given for a text that is no longer
there. It does not know LSP's messages, nor how the daemon is reached.

While one types on, the daemon is not interrupted: its answer for some keys ago is waited for, and if it says what has
been typed since, its rest is the answer. Only what goes elsewhere ends a request.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from vicinal_lsp import form
from vicinal_lsp.documents import Snapshot
from vicinal_lsp.form import Trigger
from vicinal_lsp.offers import Offer, Offers
from vicinal_lsp.settings import LspSettings, allows

if TYPE_CHECKING:
    from vicinal_daemon.protocol import Answer
    from vicinal_daemon.protocol.requests import CompleteRequest, HintRequest
    from vicinal_indexer.errors import VicinalError
    from vicinal_lsp.session import Session

MAX_CHARACTERS = 1_000_000
"""Of a document: the daemon reads no longer ones."""

MAX_TYPED = 64
"""Characters that may be typed while the daemon works and still be hoped to be what it says."""

GRACE_SECONDS = 0.1
"""Editors cancel a request with each key and send the next one in the same breath."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Whom the path tells what.

    Attributes:
        answered: each answer of the daemon, and "yes" if it is shown, else why not.
        failed: an answer that did not come, and what it was asked for by.
        refused: why an invoked request is not sent to the daemon at all.
    """

    answered: Callable[[Offer, str], None]
    failed: "Callable[[VicinalError, Trigger], None]"
    refused: Callable[[str], None]


class Completions:
    """Asks the daemon for completions.

    Args:
        settings: as they are now.
        version: of a document, as it is now; None if the client tells none or it is closed.
    """

    def __init__(
        self,
        session: "Session",
        offers: Offers,
        settings: Callable[[], LspSettings],
        version: Callable[[str], int | None],
        telling: Telling,
    ) -> None:
        self._session = session
        self._offers = offers
        self._settings = settings
        self._version = version
        self._telling = telling
        self._client = f"lsp-{uuid.uuid4().hex[:12]}"
        self._running: dict[str, _Running] = {}
        self._newest: dict[str, asyncio.Future[None]] = {}
        self._accepted: dict[str, str] = {}

    async def ask(self, snapshot: Snapshot, trigger: Trigger) -> Offer | None:
        """What is offered at a place; None if nothing is.

        A newer request for the document ends an older one, which then offers nothing.
        """
        uri = snapshot.uri
        newer = self._supersede(uri)
        running = self._running.get(uri)
        reason = self._refusal(snapshot, trigger)
        if running is not None and (reason is not None or trigger == "invoked" or not running.is_for(snapshot)):
            self._drop(running)
            running = None
        if reason is not None:
            if reason and trigger == "invoked":
                self._telling.refused(reason)
            return None
        known = self._offers.last(uri)
        rest = known.after(snapshot) if known is not None and trigger == "automatic" else None
        if known is not None and rest is not None and rest.typed > known.typed:
            self._offers.add(rest)
            return rest
        if running is not None:
            offer = await self._waited(running, newer)
            if newer.done():
                return None
            rest = offer.after(snapshot) if offer is not None else None
            if rest is not None:
                return self._given(rest, trigger)
        pause = self._settings().debounce_ms / 1000 if trigger == "automatic" and running is None else 0.0
        offer = await self._waited(self._begin(snapshot, trigger, pause), newer)
        return self._given(offer, trigger) if offer is not None and not newer.done() else None

    def accepted(self, uri: str, left: str) -> None:
        """A text was accepted, and this stands before the cursor now: editors ask again at once, for nothing."""
        self._accepted[uri] = left

    def closed(self, uri: str) -> None:
        """Nothing is wanted for this document any more."""
        self._supersede(uri)
        running = self._running.get(uri)
        if running is not None:
            self._drop(running)
        del self._newest[uri]
        self._accepted.pop(uri, None)

    def hint(self, snapshot: Snapshot) -> "HintRequest":
        """The place whose completion is to be prepared."""
        from vicinal_daemon.protocol.requests import HintRequest

        return HintRequest(**self._place(snapshot))

    def close(self) -> None:
        """Drop what is under way."""
        for running in self._running.values():
            running.task.cancel()

    def _refusal(self, snapshot: Snapshot, trigger: Trigger) -> str | None:
        """Why nothing is asked: words worth telling, "" for none; None if it may be asked."""
        settings = self._settings()
        reason = allows(settings, snapshot.language, snapshot.file, snapshot.folder)
        if reason:
            return reason
        if snapshot.size > MAX_CHARACTERS:
            return f"documents of more than {MAX_CHARACTERS:,} characters are not completed"
        if trigger == "invoked":
            return None
        just_accepted = self._accepted.pop(snapshot.uri, None)
        unwanted = not settings.automatic or just_accepted == snapshot.left
        return "" if unwanted or not form.may_ask(snapshot.left, snapshot.right, invoked=trigger) else None

    def _supersede(self, uri: str) -> "asyncio.Future[None]":
        """End the request before this one; what is done when there is a newer one than this."""
        before = self._newest.get(uri)
        if before is not None and not before.done():
            before.set_result(None)
        newer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._newest[uri] = newer
        return newer

    def _begin(self, snapshot: Snapshot, trigger: Trigger, pause: float) -> "_Running":
        running = _Running(snapshot)
        running.task = asyncio.ensure_future(self._asked(running, trigger, pause))
        self._running[snapshot.uri] = running
        return running

    def _drop(self, running: "_Running") -> None:
        """Nobody wants its answer any more."""
        running.task.cancel()
        if self._running.get(running.snapshot.uri) is running:
            del self._running[running.snapshot.uri]

    async def _waited(self, running: "_Running", newer: "asyncio.Future[None]") -> Offer | None:
        """What comes of a request; None if nothing does, or if a newer one comes first, which may wait for it, too."""
        running.waiting += 1
        try:
            either: set[asyncio.Future[Any]] = {running.task, newer}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            running.waiting -= 1
            if running.task.done():
                self._drop(running)
            elif not running.waiting:
                asyncio.get_running_loop().call_later(GRACE_SECONDS, self._drop_unwanted, running)
        return running.task.result() if running.task.done() and not running.task.cancelled() else None

    def _drop_unwanted(self, running: "_Running") -> None:
        if not running.waiting:
            self._drop(running)

    async def _asked(self, running: "_Running", trigger: Trigger, pause: float) -> Offer | None:
        from vicinal_daemon.errors import RequestDropped
        from vicinal_indexer.errors import VicinalError

        if pause:
            await asyncio.sleep(pause)
        snapshot = running.snapshot
        if self._version(snapshot.uri) != snapshot.version:
            return None
        running.is_asked = True
        try:
            request = self._request(snapshot, trigger)
            answer = await self._session.complete(request)
        except RequestDropped:
            return None
        except VicinalError as error:
            self._telling.failed(error, trigger)
            return None
        return _offer(snapshot, answer, request.lines or 1)

    def _given(self, offer: Offer, trigger: Trigger) -> Offer | None:
        """The offer, if it is for the text as it is now and worth showing."""
        if self._version(offer.snapshot.uri) != offer.snapshot.version:
            return None
        shown = _shown(offer, trigger, self._settings())
        self._telling.answered(offer, shown)
        if shown != "yes":
            return None
        self._offers.add(offer)
        return offer

    def _request(self, snapshot: Snapshot, trigger: Trigger) -> "CompleteRequest":
        from vicinal_daemon.protocol.requests import CompleteRequest

        settings = self._settings()
        invoked = trigger == "invoked"
        return CompleteRequest(
            **self._place(snapshot),
            id=uuid.uuid4().hex,
            lines=form.wanted_lines(snapshot.left, snapshot.right, settings.max_lines, snapshot.language),
            budget_ms=settings.budget_invoked_ms if invoked else settings.budget_automatic_ms,
            alternatives=settings.alternatives if invoked else 0,
            trigger=trigger,
        )

    def _place(self, snapshot: Snapshot) -> dict[str, Any]:
        """Where it is, in the daemon's words."""
        line, column = snapshot.daemon_place()
        return {
            "client": self._client,
            "workspace": str(snapshot.folder) if snapshot.folder is not None else None,
            "alone": snapshot.folder is None,
            "path": snapshot.path,
            "text": snapshot.document,
            "line": line,
            "column": column,
        }


def _offer(snapshot: Snapshot, answer: "Answer", lines: int) -> Offer:
    """What of an answer fits the document."""
    shaped = (
        form.shaped(text.text, snapshot.left, snapshot.right, most_lines=lines, newline=snapshot.newline)
        for text in (answer.completion, *answer.alternatives)
    )
    distinct: dict[str, str] = {}
    for text in filter(None, shaped):
        distinct.setdefault(text.strip(), text)  # texts that differ in white space only are one choice
    return Offer(answer, snapshot, tuple(distinct.values()))


@dataclass(slots=True, eq=False)
class _Running:
    """A request to the daemon that is under way.

    Attributes:
        is_asked: whether it has left; before, it waits for typing to rest.
        waiting: how many wait for it.
    """

    snapshot: Snapshot
    task: "asyncio.Task[Offer | None]" = field(init=False)
    is_asked: bool = False
    waiting: int = 0

    def is_for(self, snapshot: Snapshot) -> bool:
        """Whether its answer may serve there: all that happened since is that something was typed."""
        was = self.snapshot
        typed = snapshot.left.removeprefix(was.left)
        return (
            self.is_asked
            and snapshot.right == was.right
            and snapshot.left == was.left + typed
            and 0 < len(typed) <= MAX_TYPED
        )


def _shown(offer: Offer, trigger: Trigger, settings: LspSettings) -> str:
    """ "yes", or why an offer is not shown."""
    if not offer.texts:
        return "there is nothing to add here"
    if trigger == "automatic" and offer.answer.confidence.value < settings.min_confidence:
        return f"{offer.percent}% sure, and minConfidence is {settings.min_confidence:.0%}"
    return "yes"


def behind_selection(snapshot: Snapshot, start: int, selected: str) -> Snapshot:
    """The document as if what is selected in the editor's menu had been inserted in place of [start, cursor)."""
    text = snapshot.text[:start] + selected + snapshot.right
    return replace(snapshot, text=text, offset=start + len(selected))
