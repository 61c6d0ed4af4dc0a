"""The path of a completion: may it be asked for, is it there already, what the daemon says, what of it is offered.

Owns one request a document, the pause before automatic ones, and that no answer is given for a text that is no longer
there. It does not know LSP's messages, nor how the daemon is reached.
"""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
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
        self._running: dict[str, asyncio.Task[Offer | None]] = {}
        self._accepted: dict[str, str] = {}

    async def ask(self, snapshot: Snapshot, trigger: Trigger) -> Offer | None:
        """What is offered at a place; None if nothing is.

        A newer request for the document ends an older one, which then offers nothing.
        """
        reason = self._refusal(snapshot, trigger)
        self._supersede(snapshot.uri)
        if reason is not None:
            if reason and trigger == "invoked":
                self._telling.refused(reason)
            return None
        known = self._offers.last(snapshot.uri)
        rest = known.after(snapshot) if known is not None and trigger == "automatic" else None
        if known is not None and rest is not None and rest.typed > known.typed:
            self._offers.add(rest)
            return rest
        task = asyncio.ensure_future(self._asked(snapshot, trigger))
        self._running[snapshot.uri] = task
        try:
            return await task
        except asyncio.CancelledError:
            task.cancel()
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise  # the client has cancelled it
            return None
        finally:
            if self._running.get(snapshot.uri) is task:
                del self._running[snapshot.uri]

    def accepted(self, uri: str, left: str) -> None:
        """A text was accepted, and this stands before the cursor now: editors ask again at once, for nothing."""
        self._accepted[uri] = left

    def hint(self, snapshot: Snapshot) -> "HintRequest":
        """The place whose completion is to be prepared."""
        from vicinal_daemon.protocol.requests import HintRequest

        return HintRequest(**self._place(snapshot))

    def close(self) -> None:
        """Drop what is under way."""
        for task in self._running.values():
            task.cancel()

    def _refusal(self, snapshot: Snapshot, trigger: Trigger) -> str | None:
        """Why nothing is asked: words worth telling, "" for none; None if it may be asked."""
        settings = self._settings()
        reason = allows(settings, snapshot.language, snapshot.file, snapshot.folder)
        if reason:
            return reason
        if len(snapshot.document) > MAX_CHARACTERS:
            return f"documents of more than {MAX_CHARACTERS:,} characters are not completed"
        if trigger == "invoked":
            return None
        just_accepted = self._accepted.pop(snapshot.uri, None)
        unwanted = not settings.automatic or just_accepted == snapshot.left
        return "" if unwanted or not form.may_ask(snapshot.left, snapshot.right, invoked=trigger) else None

    def _supersede(self, uri: str) -> None:
        task = self._running.pop(uri, None)
        if task is not None:
            task.cancel()

    async def _asked(self, snapshot: Snapshot, trigger: Trigger) -> Offer | None:
        from vicinal_daemon.errors import RequestDropped
        from vicinal_indexer.errors import VicinalError

        settings = self._settings()
        if trigger == "automatic":
            await asyncio.sleep(settings.debounce_ms / 1000)
        if self._version(snapshot.uri) != snapshot.version:
            return None
        identity = uuid.uuid4().hex
        try:
            answer = await self._session.complete(self._request(snapshot, trigger, identity))
        except RequestDropped:
            return None
        except VicinalError as error:
            self._telling.failed(error, trigger)
            return None
        if self._version(snapshot.uri) != snapshot.version:
            return None
        offer = self._offer(snapshot, answer)
        shown = _shown(offer, trigger, settings)
        self._telling.answered(offer, shown)
        if shown != "yes":
            return None
        self._offers.add(offer)
        return offer

    def _request(self, snapshot: Snapshot, trigger: Trigger, identity: str) -> "CompleteRequest":
        from vicinal_daemon.protocol.requests import CompleteRequest

        settings = self._settings()
        invoked = trigger == "invoked"
        return CompleteRequest(
            **self._place(snapshot),
            id=identity,
            lines=self._lines(snapshot),
            budget_ms=settings.budget_invoked_ms if invoked else settings.budget_automatic_ms,
            alternatives=settings.alternatives if invoked else 0,
            trigger=trigger,
        )

    def _lines(self, snapshot: Snapshot) -> int:
        return form.wanted_lines(snapshot.left, snapshot.right, self._settings().max_lines, snapshot.language)

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

    def _offer(self, snapshot: Snapshot, answer: "Answer") -> Offer:
        lines = self._lines(snapshot)
        shaped = (
            form.shaped(text.text, snapshot.left, snapshot.right, most_lines=lines, newline=snapshot.newline)
            for text in (answer.completion, *answer.alternatives)
        )
        # Texts that differ in white space only are one choice.
        distinct = {text.strip(): text for text in reversed([*shaped]) if text}
        return Offer(answer, snapshot, tuple(reversed(distinct.values())))


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
