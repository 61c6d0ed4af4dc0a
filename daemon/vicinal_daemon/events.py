"""What happens in the daemon, told to whoever listens.

Owns the listeners. Slow ones lose the oldest events, nobody waits for them. May be told from any thread.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from vicinal_daemon.protocol.state import Event

BACKLOG = 512


class Events:
    """One broadcast, on the event loop that is running when it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners: set[asyncio.Queue[Event | None]] = set()

    def tell(self, event: Event) -> None:
        """Tell everybody who listens."""
        if self._listeners and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, event)

    def _deliver(self, event: Event | None) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    @contextmanager
    def listening(self) -> Iterator[AsyncIterator[Event]]:
        """All events from now on, until `close`."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG)

        async def events() -> AsyncIterator[Event]:
            while (event := await queue.get()) is not None:
                yield event

        self._listeners.add(queue)
        try:
            yield events()
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """Let all who listen go."""
        self._deliver(None)
