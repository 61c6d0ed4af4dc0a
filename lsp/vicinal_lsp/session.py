"""What is asked of the daemon: one method for each thing, on an asyncio loop.

Owns what a request wants of the link: whether a daemon is started for it, whether it is asked again, what is called
off. It knows neither documents nor LSP. Every method belongs on the loop on which `begin` was called.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from vicinal_daemon.errors import ModelMissing
from vicinal_indexer.errors import VicinalError
from vicinal_lsp.board import Board
from vicinal_lsp.link import Connectedness, Link
from vicinal_lsp.news import Status

if TYPE_CHECKING:  # they take 0.15 s to import, and `initialize` is answered first
    from vicinal_daemon.client import OnEvent
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.answers import Answer, Findings
    from vicinal_daemon.protocol.requests import (
        CompleteRequest,
        FeedbackRequest,
        HintRequest,
        ModelPullRequest,
        QueryRequest,
        WorkspaceRequest,
    )
    from vicinal_daemon.protocol.state import DaemonState, Event

Json = dict[str, Any]


class Session:
    """The language server's side of the daemon.

    Args:
        on_status: told what the user should see, whenever that changes.
        on_event: told everything that happens in the daemon.
        settings: those that name the daemon's place and start it; called in a thread, may raise ConfigError. By default
            the user's own.
        on_missing_model: told the name of the daemon's model when it turns out not to be on this machine; once a name.

    All three are called on the loop. Requests raise what the daemon raised, and if there is none `DaemonError`,
    `ConfigError` or whatever else kept it from starting.
    """

    def __init__(
        self,
        on_status: Callable[[Status], None],
        on_event: "Callable[[Event], None]",
        settings: "Callable[[], Settings] | None" = None,
        on_missing_model: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._board = Board(on_status, on_missing_model, lambda: self._link.behind(self._look))
        self._link = Link(self._board, on_event, settings)

    @property
    def state(self) -> Connectedness:
        """Whether there is a daemon at hand."""
        return self._link.state

    @property
    def model_missing(self) -> str:
        """The name of the daemon's model if it is not on this machine, else an empty text."""
        return self._board.missing

    def begin(self) -> None:
        """Find or start the daemon, behind whatever else happens. What comes of it is told as a status."""
        self._link.begin()

    async def complete(self, request: "CompleteRequest") -> "Answer":
        """Complete at a cursor. A request that is called off here is called off in the daemon.

        Raises:
            RequestDropped: a newer request took its place, or it was cancelled.
            VicinalError: as of all requests.
        """
        try:
            if request.trigger == "invoked":
                await self._link.insist()
            return await self._link.steadily(lambda line: line.complete(request))
        except asyncio.CancelledError:
            if request.id and not self._link.closed:
                self._link.behind(partial(self.cancel, request.id))
            raise
        except ModelMissing:
            self._link.behind(self._look)
            raise

    async def cancel(self, identity: str) -> None:
        """Call off the completion of this id. A daemon that is gone has nothing to call off."""
        if (line := self._link.line) is not None:
            from vicinal_daemon.protocol.requests import CancelRequest

            with suppress(VicinalError):
                await self._link.ask(line, lambda line: line.cancel(CancelRequest(id=identity)))

    async def hint(self, request: "HintRequest") -> Json:
        """The cursor has come to rest. No daemon is started for it."""
        return await self._link.if_there(lambda line: line.hint(request))

    async def feedback(self, request: "FeedbackRequest") -> Json:
        """What became of an answer. No daemon is started for it: the user may have ended it since."""
        return await self._link.if_there(lambda line: line.feedback(request))

    async def erase_feedback(self) -> str:
        """Forget what became of all answers."""
        said: str = (await self._link.once(lambda line: line.erase_feedback()))["said"]
        return said

    async def query(self, request: "QueryRequest") -> "Findings":
        """Find the code that tells most about a question."""
        await self._link.insist()
        return await self._link.steadily(lambda line: line.query(request))

    async def status(self) -> "DaemonState":
        """What the daemon says of itself."""
        return await self._link.once(lambda line: line.status())

    async def models(self) -> Json:
        """The models that the daemon offers."""
        return await self._link.once(lambda line: line.models())

    async def pull(self, request: "ModelPullRequest", on_event: "OnEvent") -> Json:
        """Have a model fetched over the network; `on_event` is told on the loop how far it is."""
        await self._link.insist()
        loop = asyncio.get_running_loop()

        def tell(event: "Event") -> None:
            loop.call_soon_threadsafe(on_event, event)

        said = await self._link.once(lambda line: line.pull(request, tell))
        self._board.fetched(request.name)
        await self._look()
        return said

    async def cancel_pull(self) -> None:
        """Have no model fetched any more; `pull` then raises `RequestDropped`."""
        await self._link.once(lambda line: line.cancel_pull())

    async def add_workspace(self, request: "WorkspaceRequest") -> Json:
        """Open a repository; it is indexed behind."""
        return await self._link.once(lambda line: line.add_workspace(request))

    async def remove_workspace(self, request: "WorkspaceRequest") -> Json:
        """Close a repository."""
        return await self._link.once(lambda line: line.remove_workspace(request))

    async def restart(self) -> None:
        """End the daemon in order and start another.

        Raises:
            VicinalError: it does not end, or none starts; that is told as a status, too.
        """
        await self._link.renew()

    async def close(self) -> None:
        """Let go of the daemon, which goes on. Requests under way end with `DaemonError`; no thread is left.

        Only the start of a daemon cannot be called off: it is waited for, but not for long.
        """
        await self._link.close()

    async def _look(self) -> None:
        if (line := self._link.line) is not None:
            state = await self._link.ask(line, lambda line: line.status())
            if line is self._link.line:
                self._board.judge(state)
