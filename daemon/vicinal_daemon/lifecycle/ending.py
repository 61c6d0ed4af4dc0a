"""How the app ends the daemon, and how it learns that the daemon ends.

Owns that one state. It does not know what is done at the end.
"""

import asyncio


class Ending:
    """Whether the daemon is to end. The app finds it as `app.state.ending`; not for use from other threads."""

    def __init__(self) -> None:
        self.reason = ""
        """Why, in words; empty while the daemon is to go on."""
        self._begun = asyncio.Event()

    def ask(self, reason: str) -> None:
        """End the daemon in order, soon; the first reason is kept."""
        self.reason = self.reason or reason

    def begin(self) -> None:
        """No request is accepted any more; what has no end of its own is to end now."""
        self._begun.set()

    async def begun(self) -> None:
        """Wait until the end has begun. An endless stream waits for this beside its next event, or holds the end up."""
        await self._begun.wait()
