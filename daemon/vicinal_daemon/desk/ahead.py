"""Reading ahead: the engine reads a prompt before it is asked for, so that the next answer need not wait for that.

Owns the one prompt that is being read; any request goes before it. It does not know which prompts are worth it.
"""

import asyncio
import logging

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.desk.jobs import Job
from vicinal_daemon.desk.writer import Writer
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.worker.messages import Code, Wear
from vicinal_indexer.errors import VicinalError

log = logging.getLogger(__name__)


class ReadingAhead:
    """Reads at most one prompt at a time. What was read of one that is called off is not lost: the engine keeps it."""

    def __init__(self, accelerator: Accelerator, writer: Writer) -> None:
        self._accelerator = accelerator
        self._writer = writer
        self._wanted = Cancellation()
        self.tasks: set[asyncio.Task[None]] = set()

    def begin(self, job: Job, snippets: tuple[Code, ...], context_tokens: int, wear: Wear | None) -> None:
        """Read this prompt with this adapter once nobody has asked for anything for a moment."""
        self.stop()
        wanted = self._wanted = Cancellation()

        async def read() -> None:
            try:
                await wanted.first(self._accelerator.quiet(Priority.SPECULATE))
                await self._writer.read_ahead(job, snippets, context_tokens, wear, wanted)
            except VicinalError as error:
                log.debug("reading ahead ended: %s", error.message)

        task = asyncio.ensure_future(read())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def stop(self) -> None:
        """Something else is wanted now."""
        self._wanted.withdraw()

    async def close(self) -> None:
        """Stop, and wait for it."""
        self.stop()
        await asyncio.gather(*self.tasks, return_exceptions=True)
