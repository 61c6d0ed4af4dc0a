"""What becomes of offers: shown, accepted, partly, rejected, and what of it survives a while later.

Owns what has been told of each offer, and the clocks of accepted texts. It tells the daemon, which keeps it on this
machine; it does not know how it is used.
"""

import asyncio
from collections.abc import Callable, Coroutine
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from vicinal_lsp.offers import Offer

if TYPE_CHECKING:
    from vicinal_daemon.protocol.requests import FeedbackRequest

SURVIVAL_SECONDS = (30.0, 300.0)
FOLLOWED = 64
"""Accepted texts that are watched at once; more are not."""

Send = Callable[["FeedbackRequest"], Coroutine[Any, Any, None]]


class Feedback:
    """Tells the daemon what becomes of offers.

    Args:
        send: hands one on; never raises. One at a time, in the order in which things happened.
        text: of a document now, None if it is closed.
        enabled: whether the user lets anything be told.
    """

    def __init__(
        self,
        send: Send,
        text: Callable[[str], str | None],
        enabled: Callable[[], bool],
        survival_seconds: tuple[float, ...] = SURVIVAL_SECONDS,
    ) -> None:
        self._send = send
        self._text = text
        self._enabled = enabled
        self._survival_seconds = survival_seconds
        self._open: dict[str, Offer] = {}
        self._clocks: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    def shown(self, offer: Offer) -> None:
        """It stands on the screen; the one before in that document was not wanted, if nothing was said of it."""
        before = self._open.get(offer.snapshot.uri)
        if before is not None and before.id == offer.id:
            return
        self.passed(offer.snapshot.uri)
        self._open[offer.snapshot.uri] = offer
        self._tell(offer, "shown")

    def accepted(self, offer: Offer, text: str) -> None:
        """All of `text` was taken."""
        self._open.pop(offer.snapshot.uri, None)
        self._tell(offer, "accepted", accepted_characters=offer.typed + len(text))
        self._watch(offer, text)

    def partly(self, offer: Offer, characters: int) -> None:
        """The first so many characters of an offer were taken, in all."""
        self._open.pop(offer.snapshot.uri, None)
        self._tell(offer, "partly", accepted_characters=characters)

    def taken(self, uri: str) -> None:
        """What was shown in this document stands there now; whether it was accepted or typed is told behind, or not."""
        self._open.pop(uri, None)

    def passed(self, uri: str) -> None:
        """What was shown in this document is gone without having been taken."""
        offer = self._open.pop(uri, None)
        if offer is not None:
            self._tell(offer, "rejected")

    def close(self) -> None:
        """Stop the clocks."""
        for clock in self._clocks:
            clock.cancel()
        self._clocks.clear()

    def _watch(self, offer: Offer, text: str) -> None:
        if len(self._clocks) >= FOLLOWED * len(self._survival_seconds):
            return
        loop = asyncio.get_running_loop()

        def look(seconds: float) -> None:
            now = loop.time()
            self._clocks = {clock for clock in self._clocks if clock.when() > now and not clock.cancelled()}
            document = self._text(offer.snapshot.uri)
            if document is not None:
                share = survived(text, document, offer.snapshot.offset)
                self._tell(offer, "survived", kept_share=share, after_seconds=seconds)

        for seconds in self._survival_seconds:
            self._clocks.add(loop.call_later(seconds, look, seconds))

    def _tell(self, offer: Offer, event: str, **more: Any) -> None:
        if not self._enabled() or not offer.id:
            return
        from vicinal_daemon.protocol.requests import FeedbackRequest

        request = FeedbackRequest.model_validate({"id": offer.id, "event": event, **more})
        task = asyncio.ensure_future(self._in_turn(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_turn(self, request: "FeedbackRequest") -> None:
        async with self._turn:  # whoever waits first goes first
            await self._send(request)


def survived(text: str, document: str, offset: int) -> float:
    """How much of an accepted text still stands about where it was put, in [0, 1].

    Whole lines are looked for anywhere, as the user may have moved them; of changed ones what is left near the place.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return 1.0 if text in document else 0.0
    standing = {line.strip() for line in document.splitlines()}
    near = document[max(0, offset - 200) : offset + 2 * len(text) + 400]
    kept = 0.0
    for line in lines:
        if line in standing or line in near:
            kept += len(line)
        else:
            matcher = SequenceMatcher(None, line, near, autojunk=False)
            kept += sum(block.size for block in matcher.get_matching_blocks() if block.size * 4 >= len(line))
    return min(1.0, kept / sum(map(len, lines)))
