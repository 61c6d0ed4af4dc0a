"""The link to the daemon, on an asyncio loop: a line found or started when needed, made anew when it breaks.

Owns the line at hand, the threads that wait on it, and the back-off after a daemon that does not start. What becomes of
it is said on the board. It does not know what is asked. Every method belongs on one loop.

    absent ──a request, `begin`, `renew`──► connecting ──► ready
      ▲  ▲                                      │            │
      │  └──────────── it failed ───────────────┘            │
      └────────── the daemon has gone from the line ─────────┘
    absent ──somebody else started a daemon──► ready
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from vicinal_daemon.errors import DaemonNotRunning, DaemonUnreachable
from vicinal_indexer.errors import VicinalError
from vicinal_lsp import news
from vicinal_lsp.apart import apart
from vicinal_lsp.news import Status

if TYPE_CHECKING:  # they take 0.15 s to import, and `initialize` is answered first
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.state import Event
    from vicinal_lsp.board import Board
    from vicinal_lsp.line import Line, Met, Way

Connectedness = Literal["connecting", "ready", "absent"]
Result = TypeVar("Result")

_THREADS: Final = 16
"""One follows the events; the others wait for answers, of which a daemon gives two at a time."""
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 60.0
_FIRST_WATCH: Final = 0.25
_LONGEST_WATCH: Final = 4.0
_CLOSE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """The daemon could not be had; it is tried again at `until`, by `time.monotonic`."""

    error: VicinalError
    pause: float
    until: float

    @classmethod
    def following(cls, previous: "_Failure | None", error: VicinalError) -> "_Failure":
        pause = min(previous.pause * 2, _LONGEST_PAUSE) if previous else _FIRST_PAUSE
        return cls(error, pause, time.monotonic() + pause)


class Link:
    """Hands requests to the daemon, in threads.

    Args:
        board: what the user is told; closed with the link.
        on_event: told everything that happens in the daemon.
        settings: those that name the daemon's place and start it; called in a thread, may raise ConfigError. By default
            the user's own.

    Requests raise what the daemon raised, and if there is none `DaemonError`, `ConfigError` or whatever else kept it
    from starting.

    Attributes:
        line: the one at hand; None if there is none.
        closed: whether it was closed; then nothing is asked any more.
    """

    def __init__(
        self, board: "Board", on_event: "Callable[[Event], None]", settings: "Callable[[], Settings] | None"
    ) -> None:
        self._board = board
        self._on_event = on_event
        self._load_settings = settings
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vicinal session")
        self._tasks: set[asyncio.Task[Any]] = set()
        self.line: Line | None = None
        self._opening: asyncio.Task[Line] | None = None
        self._way: Way = "reach"
        self._watching = False
        self._failure: _Failure | None = None
        self.closed = False

    @property
    def state(self) -> Connectedness:
        """Whether there is a daemon at hand."""
        if self.line is not None:
            return "ready"
        return "connecting" if self._opening is not None else "absent"

    def begin(self) -> None:
        """Find or start the daemon, behind whatever else happens."""
        self.behind(self._reach)

    async def insist(self) -> None:
        """Have a line even if the last try failed a moment ago: somebody asked for it."""
        if self.line is None and self._opening is None:
            await self._open("reach")

    async def steadily(self, do: "Callable[[Line], Result]") -> Result:
        """As `once`; if the daemon goes away under it the next daemon is asked, once."""
        line = await self._reach()
        try:
            return await self.ask(line, do)
        except DaemonUnreachable as error:
            if self.closed or not line.broke(error):
                raise
        return await self.once(do)

    async def once(self, do: "Callable[[Line], Result]") -> Result:
        """Ask the daemon, which is found or started if there is none at hand."""
        return await self.ask(await self._reach(), do)

    async def if_there(self, do: "Callable[[Line], Result]") -> Result:
        """As `once`, but no daemon is started for it."""
        if self.line is None and self._opening is None:
            raise DaemonNotRunning("no daemon is running")
        return await self.once(do)

    async def ask(self, line: "Line", do: "Callable[[Line], Result]") -> Result:
        """Ask on this line and no other."""

        def work() -> Result:
            with line.held():
                return do(line)

        try:
            return await self._in_pool(work)
        except VicinalError as error:
            if line.broke(error):
                self._lost(line)
            raise

    async def renew(self) -> None:
        """End the daemon in order and start another.

        Raises:
            VicinalError: it does not end, or none starts; that is told as a status, too.
        """
        while self._opening is not None:
            with suppress(VicinalError):
                await asyncio.shield(self._opening)
        self._failure = None
        if self.line is not None:
            self.line.retire()
            self.line = None
        await self._open("renew")

    async def close(self) -> None:
        """Let go of the daemon, which goes on. Requests under way end with `DaemonError`; no thread is left.

        Only the start of a daemon cannot be called off: it is waited for, but not for long.
        """
        self.closed = True
        self._board.close()
        if (opening := self._opening) is not None:
            await asyncio.wait({opening}, timeout=_CLOSE_SECONDS)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        if self.line is not None:
            self.line.retire()
            self.line = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown()  # every thread has been woken

    def behind(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do this behind; an expected failure of it has been told or is nobody's concern."""
        if self.closed:
            return

        async def quietly() -> None:
            with suppress(VicinalError):
                await work()

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reach(self) -> "Line":
        while self.line is None and self._opening is not None:
            opening, way = self._opening, self._way
            try:
                return await asyncio.shield(opening)
            except VicinalError:
                if way != "meet":
                    raise
        if self.line is not None:
            return self.line
        if (failure := self._failure) is not None and time.monotonic() < failure.until:
            raise type(failure.error)(failure.error.message, hint=failure.error.hint)
        return await self._open("reach")

    async def _open(self, way: "Way") -> "Line":
        if self.closed:
            raise DaemonNotRunning("the session is closed")
        self._way = way
        self._opening = asyncio.get_running_loop().create_task(self._opened(way))
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())  # some ask for no answer
        return await asyncio.shield(self._opening)

    async def _opened(self, way: "Way") -> "Line":
        if self._failure is None and way != "meet":
            self._board.say(news.RESTARTING if way == "renew" else news.CONNECTING)
        try:
            met = await apart(lambda: self._get(way), "vicinal session opening")
        except VicinalError as error:
            if way != "meet":
                self._failed(error)
            raise
        finally:
            self._opening = None
        if self.closed:
            met.line.retire()
            raise DaemonNotRunning("the session is closed")
        self._adopt(met)
        return met.line

    def _get(self, way: "Way") -> "Met":
        """In a thread."""
        from vicinal_lsp.line import get

        met = get(way, self._load_settings)
        if self.closed:
            met.line.retire()
        return met

    def _adopt(self, met: "Met") -> None:
        self.line, self._failure = met.line, None
        if met.state is None:
            theirs = met.line.connection.serving.version
            self._board.say(news.other_version(theirs) or news.NOT_UNDERSTOOD)
        else:
            self._board.judge(met.state)
        self._board.look_soon()  # a daemon that has just started does not know yet whether it has its model
        self._pool.submit(self._listen, asyncio.get_running_loop(), met.line)

    def _failed(self, error: VicinalError) -> None:
        if self._failure is None:
            self._board.say(news.failure(error))
        self._failure = _Failure.following(self._failure, error)
        self._watch()

    def _lost(self, line: "Line") -> None:
        if line is self.line:
            self.line = None
            line.retire()
            self._board.say(news.LOST)
            self._watch()

    def _watch(self) -> None:
        if not self._watching and not self.closed:
            self._watching = True
            self.behind(self._watched)

    async def _watched(self) -> None:
        """Look out for a daemon that somebody else starts. This starts none: the user may have ended it."""
        pause = _FIRST_WATCH
        try:
            while self.line is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_WATCH)
                if self.line is None and self._opening is None and await self._in_pool(self._is_there):
                    with suppress(VicinalError):
                        await (self._opening or self._open("meet"))
        finally:
            self._watching = False

    def _is_there(self) -> bool:
        from vicinal_lsp.line import is_there

        return is_there(self._load_settings)

    def _listen(self, loop: asyncio.AbstractEventLoop, line: "Line") -> None:
        """In a thread, for as long as the line holds."""
        try:
            with line.held():
                for event in line.events():
                    loop.call_soon_threadsafe(self._heard, line, event)
        except VicinalError as error:
            if not line.broke(error):  # not understood; what is asked may be answered all the same
                loop.call_soon_threadsafe(self._board.say, Status("warning", error.message, error.hint))
                return
        loop.call_soon_threadsafe(self._lost, line)

    def _heard(self, line: "Line", event: "Event") -> None:
        if line is self.line:
            self._on_event(event)
            self._board.hear(event)

    async def _in_pool(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
