"""Long work, as `$/progress` bars in the editor: indexing, tuning, downloads.

Owns the bars that are open. It hears of the work by the daemon's events; it does not know who does it.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

if TYPE_CHECKING:
    from pygls.lsp.server import LanguageServer

    from vicinal_daemon.protocol.state import Event

TITLES = {"index": "Vicinal: indexing", "tune": "Vicinal: studying", "download": "Vicinal: fetching the model"}
FINISHED = {"ready", "failed", "gone", "paused", "closed"}
QUIET_SECONDS = 30.0
"""A bar of which nothing is heard for so long ends: what it showed was called off."""


class Progress:
    """The bars of one session; without the client's capability there are none.

    Args:
        server: whom the client listens to.
        cancel: is told the name of the work whose bar the user has cancelled.
    """

    def __init__(self, server: "LanguageServer", cancel: Callable[[str], None]) -> None:
        self._server = server
        self._cancel = cancel
        self._bars: dict[tuple[str, str], str] = {}
        self._clocks: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._opening: set[asyncio.Task[None]] = set()

    def heard(self, event: "Event") -> None:
        """Something happened in the daemon."""
        if event.name not in TITLES:
            return
        key = (event.name, event.workspace or event.detail)
        over = event.stage in FINISHED or (event.total > 0 and event.done >= event.total)
        if over:
            self.over(*key)
        elif event.total > 0 or key in self._bars:
            self._report(key, event)

    def over(self, name: str, what: str) -> None:
        """This work has ended, whatever came of it; `what` is the repository or model."""
        self._end((name, what))

    def cancelled(self, token: object) -> None:
        """The user has cancelled the bar with this token."""
        for (name, _), known in self._bars.items():
            if known == token:
                self._cancel(name)

    def close(self) -> None:
        """Forget the bars."""
        for clock in self._clocks.values():
            clock.cancel()
        for task in self._opening:
            task.cancel()

    def _report(self, key: tuple[str, str], event: "Event") -> None:
        known = self._bars.get(key)
        if known is None:
            token = self._bars[key] = f"vicinal-{event.name}-{uuid.uuid4().hex[:8]}"
            task = asyncio.ensure_future(self._open(key, token, _percent(event)))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        elif known in self._server.work_done_progress.tokens:
            words = f"{event.done:,} of {event.total:,}" if event.total and event.name != "download" else event.stage
            report = types.WorkDoneProgressReport(message=words, percentage=_percent(event))
            self._server.work_done_progress.report(known, report)
        clock = self._clocks.pop(key, None)
        if clock is not None:
            clock.cancel()
        self._clocks[key] = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._end, key)

    async def _open(self, key: tuple[str, str], token: str, percentage: int | None) -> None:
        progress = self._server.work_done_progress
        try:
            await progress.create_async(token)
        except JsonRpcException:  # a client that refuses a bar has none; the work goes on
            self._bars.pop(key, None)
            return
        name = key[0]
        progress.begin(
            token, types.WorkDoneProgressBegin(TITLES[name], cancellable=name == "download", percentage=percentage)
        )
        if self._bars.get(key) != token:  # it was over before the client had answered
            progress.end(token, types.WorkDoneProgressEnd())

    def _end(self, key: tuple[str, str]) -> None:
        clock = self._clocks.pop(key, None)
        if clock is not None:
            clock.cancel()
        token = self._bars.pop(key, None)
        if token is not None and token in self._server.work_done_progress.tokens:
            self._server.work_done_progress.end(token, types.WorkDoneProgressEnd())
            self._server.work_done_progress.tokens.pop(token, None)


def _percent(event: "Event") -> int | None:
    return min(100, event.done * 100 // event.total) if event.total > 0 else None
