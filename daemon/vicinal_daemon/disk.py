"""Looks at the user's files for an event loop, which must not wait for a disk.

Owns the threads, how many of them one folder may hold, and how long is waited. A disk that hangs, such as a network
share whose server is gone, holds those few until it answers; who asks for other folders does not notice. It does not
know what is looked at.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TypeVar

from vicinal_indexer.errors import RepositoryUnreadable

SECONDS = 15.0
"""Until a disk is said to be silent: one that slept takes some seconds to turn again."""

LOOKS_EACH = 4
"""At once, in one folder; others wait their turn."""

LOOKS = 64
"""At once, in all."""

Seen = TypeVar("Seen")


@dataclass(eq=False)
class _Folder:
    turns: asyncio.Semaphore
    looks: int = 0


class Disk:
    """The disk, or the disks: who knows? One for the daemon, on its event loop."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turns = asyncio.Semaphore(LOOKS)
        self._folders: dict[str, _Folder] = {}

    async def look(self, where: str, work: Callable[[], Seen]) -> Seen:
        """What `work` returns, done in a thread; `where` is the folder that it looks into, however that is spelled.

        Raises:
            RepositoryUnreadable: it took too long. The thread goes on, and counts until the disk lets go of it.
        """
        try:
            async with asyncio.timeout(self._seconds) as limit:
                return await asyncio.wrap_future(await self._begun(where, work))
        except TimeoutError:
            if not limit.expired():
                raise
            raise RepositoryUnreadable(
                f"the disk of {where} has not answered for {self._seconds:.0f} s",
                hint="check that the drive or network share is there; other folders are served meanwhile",
            ) from None

    async def _begun(self, where: str, work: Callable[[], Seen]) -> "Future[Seen]":
        folder = self._folders.setdefault(where, _Folder(asyncio.Semaphore(LOOKS_EACH)))
        folder.looks += 1
        with ExitStack() as undo:
            undo.callback(self._ended, where)
            for turns in (folder.turns, self._turns):
                await turns.acquire()
                undo.callback(turns.release)
            let_go = undo.pop_all().close
        loop, seen = asyncio.get_running_loop(), Future[Seen]()
        seen.set_running_or_notify_cancel()  # whoever stops waiting does not stop the thread

        def run() -> None:
            try:
                seen.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                seen.set_exception(error)
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(let_go)

        # None of a pool's: Python waits for those when the daemon ends.
        threading.Thread(target=run, name="disk", daemon=True).start()
        return seen

    def _ended(self, where: str) -> None:
        self._folders[where].looks -= 1
        if not self._folders[where].looks:
            del self._folders[where]
