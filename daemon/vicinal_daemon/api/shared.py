"""What routes share: the daemon behind them, the smallest answers, and the progress of an index that is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from pydantic import BaseModel

from vicinal_daemon.daemon import Daemon
from vicinal_daemon.protocol.state import Event
from vicinal_daemon.stages import OnStage

OPEN_SECONDS = 60.0
INDEX_STAGES = ("wait", "verify", "scan", "index", "optimize")


async def _daemon(request: Request) -> Daemon:  # async: the framework would send it to a thread and back
    daemon: Daemon = request.app.state.daemon
    return daemon


TheDaemon = Annotated[Daemon, Depends(_daemon)]


class Count(BaseModel):
    """How many were affected."""

    count: int


class Said(BaseModel):
    """What was done, in words."""

    said: str


@asynccontextmanager
async def indexing_told(daemon: Daemon, root: str, on_stage: OnStage) -> AsyncIterator[OnStage]:
    """While the index of a repository is waited for, its progress is told, too: until another stage begins."""
    waiting = True

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal waiting
        waiting = stage == "index"
        on_stage(stage, done, total)

    async def follow(events: AsyncIterator[Event]) -> None:
        async for event in events:
            if waiting and event.name == "index" and event.stage in INDEX_STAGES and event.workspace == root:
                on_stage(event.stage, event.done, event.total)

    with daemon.events.listening() as events:
        told = asyncio.ensure_future(follow(events))
        try:
            yield tell
        finally:
            told.cancel()
