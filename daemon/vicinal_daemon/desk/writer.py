"""Writing: one generation by the engine, and what the engine has read already.

Owns the memory of which prompts the engine still knows. It does not know why it writes.
"""

from collections import OrderedDict
from dataclasses import replace

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.desk.jobs import Job
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.worker.messages import Code, Wear, Write, Written

KNOWN_PROMPTS = 2
"""As many as the engine keeps the keys and values of."""

CHARACTERS_PER_TOKEN = 3


class Writer:
    """Has the engine write."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._known: OrderedDict[str, tuple[int, tuple[Code, ...], str, str]] = OrderedDict()

    def clear(self) -> None:
        """Forget which prompts were read."""
        self._known.clear()

    async def write(
        self,
        job: Job,
        snippets: tuple[Code, ...],
        context_tokens: int,
        wear: Wear | None,
        cancellation: Cancellation,
        priority: Priority = Priority.WRITE,
    ) -> Written:
        """The completion of a job with this evidence in the prompt and this adapter.

        Raises:
            VicinalError: the reason of the cancellation; the model cannot be had, or failed.
        """
        unit = Write(
            job.shape(snippets, context_tokens),
            wear,
            job.lines,
            job.max_tokens,
            job.stops,
            job.on_piece is not None,
            job.alternatives,
            job.memory,
            # Where in a file an excluded region stands may have changed since: nothing of the file is used.
            tuple({region.path for region in job.excluded}),
        )
        return await self._do(unit, job, cancellation, priority)

    async def write_bare(self, job: Job, context_tokens: int, cancellation: Cancellation) -> Written:
        """What the model says to the open file alone: no evidence, adapter or memory, and no alternatives.

        Raises:
            VicinalError: as `write`.
        """
        unit = Write(job.shape((), context_tokens), None, job.lines, job.max_tokens, job.stops)
        return await self._do(unit, replace(job, on_piece=None), cancellation, Priority.WRITE)

    async def _do(self, unit: Write, job: Job, cancellation: Cancellation, priority: Priority) -> Written:
        written = await self._accelerator.do(
            unit, priority, Written, client=job.client, cancellation=cancellation, on_piece=job.on_piece
        )
        if cancellation.is_set():
            return written  # not all of the prompt may have been read
        key = unit.wear.key if unit.wear is not None else ""
        self._known[key] = (self._accelerator.generation, unit.prompt.snippets, job.target.path, job.target.left)
        self._known.move_to_end(key)
        if len(self._known) > KNOWN_PROMPTS:
            self._known.popitem(last=False)
        return written

    async def read_ahead(
        self,
        job: Job,
        snippets: tuple[Code, ...],
        context_tokens: int,
        wear: Wear | None,
        cancellation: Cancellation,
    ) -> None:
        """Have the engine read the prompt, so that the next answer need not wait for that."""
        await self.write(
            replace(job, max_tokens=1, on_piece=None, alternatives=0),
            snippets,
            context_tokens,
            wear,
            cancellation,
            Priority.SPECULATE,
        )

    def unread(self, job: Job, snippets: tuple[Code, ...], key: str) -> int | None:
        """About how many tokens of a prompt the engine has not read with this adapter; None if it knows none of it."""
        known = self._known.get(key)
        if known is None or known[:3] != (self._accelerator.generation, snippets, job.target.path):
            return None
        before, now = known[3], job.target.left
        same = next(
            (n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now))
        )
        return (len(now) - same) // CHARACTERS_PER_TOKEN + 8
