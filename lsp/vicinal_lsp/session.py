"""The connection to the daemon, on an asyncio loop: found or started when needed, made anew when it breaks.

Owns the line at hand, the threads that wait on it, the back-off after a daemon that does not start, and what the user
is told of all this. It knows neither documents nor LSP. Every method belongs on the loop on which `begin` was called.

    absent ──a request, begin, restart──► connecting ──► ready
      ▲  ▲                                    │            │
      │  └──────────── it failed ─────────────┘            │
      └────────── the daemon has gone from the line ───────┘
    absent ──somebody else started a daemon──► ready
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from vicinal_daemon.errors import DaemonNotRunning, DaemonUnreachable, ModelMissing
from vicinal_indexer.errors import VicinalError
from vicinal_lsp import news
from vicinal_lsp.board import Board
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
    from vicinal_lsp.line import Line, Met, Way

Connectedness = Literal["connecting", "ready", "absent"]
Result = TypeVar("Result")
Json = dict[str, Any]

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
        self._on_event = on_event
        self._load_settings = settings
        self._board = Board(on_status, on_missing_model, lambda: self._spawn(self._look))
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="vicinal session")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._line: Line | None = None
        self._opening: asyncio.Task[Line] | None = None
        self._way: Way = "reach"
        self._watching = False
        self._failure: _Failure | None = None
        self._closed = False

    @property
    def state(self) -> Connectedness:
        """Whether there is a daemon at hand."""
        if self._line is not None:
            return "ready"
        return "connecting" if self._opening is not None else "absent"

    @property
    def model_missing(self) -> str:
        """The name of the daemon's model if it is not on this machine, else an empty text."""
        return self._board.missing

    def begin(self) -> None:
        """Find or start the daemon, behind whatever else happens. What comes of it is told as a status."""
        self._spawn(self._reach)

    async def complete(self, request: "CompleteRequest") -> "Answer":
        """Complete at a cursor. A request that is called off here is called off in the daemon.

        Raises:
            RequestDropped: a newer request took its place, or it was cancelled.
            VicinalError: as of all requests.
        """
        try:
            if request.trigger == "invoked":
                await self._reach_now()
            return await self._steadily(lambda line: line.complete(request))
        except asyncio.CancelledError:
            if request.id and not self._closed:
                self._spawn(partial(self.cancel, request.id))
            raise
        except ModelMissing:
            self._spawn(self._look)
            raise

    async def cancel(self, identity: str) -> None:
        """Call off the completion of this id. A daemon that is gone has nothing to call off."""
        if (line := self._line) is not None:
            from vicinal_daemon.protocol.requests import CancelRequest

            with suppress(VicinalError):
                await self._apply(line, lambda line: line.cancel(CancelRequest(id=identity)))

    async def hint(self, request: "HintRequest") -> Json:
        """The cursor has come to rest. No daemon is started for it."""
        return await self._if_there(lambda line: line.hint(request))

    async def feedback(self, request: "FeedbackRequest") -> Json:
        """What became of an answer. No daemon is started for it: the user may have ended it since."""
        return await self._if_there(lambda line: line.feedback(request))

    async def erase_feedback(self) -> str:
        """Forget what became of all answers."""
        said: str = (await self._once(lambda line: line.erase_feedback()))["said"]
        return said

    async def query(self, request: "QueryRequest") -> "Findings":
        """Find the code that tells most about a question."""
        await self._reach_now()
        return await self._steadily(lambda line: line.query(request))

    async def status(self) -> "DaemonState":
        """What the daemon says of itself."""
        return await self._once(lambda line: line.status())

    async def models(self) -> Json:
        """The models that the daemon offers."""
        return await self._once(lambda line: line.models())

    async def pull(self, request: "ModelPullRequest", on_event: "OnEvent") -> Json:
        """Have a model fetched over the network; `on_event` is told on the loop how far it is."""
        await self._reach_now()
        loop = asyncio.get_running_loop()

        def tell(event: "Event") -> None:
            loop.call_soon_threadsafe(on_event, event)

        said = await self._once(lambda line: line.pull(request, tell))
        self._board.fetched(request.name)
        await self._look()
        return said

    async def cancel_pull(self) -> None:
        """Have no model fetched any more; `pull` then raises `RequestDropped`."""
        await self._once(lambda line: line.cancel_pull())

    async def add_workspace(self, request: "WorkspaceRequest") -> Json:
        """Open a repository; it is indexed behind."""
        return await self._once(lambda line: line.add_workspace(request))

    async def remove_workspace(self, request: "WorkspaceRequest") -> Json:
        """Close a repository."""
        return await self._once(lambda line: line.remove_workspace(request))

    async def restart(self) -> None:
        """End the daemon in order and start another.

        Raises:
            VicinalError: it does not end, or none starts; that is told as a status, too.
        """
        while self._opening is not None:
            with suppress(VicinalError):
                await asyncio.shield(self._opening)
        self._failure = None
        if self._line is not None:
            self._line.retire()
            self._line = None
        await self._open("renew")

    async def close(self) -> None:
        """Let go of the daemon, which goes on. Requests under way end with `DaemonError`; no thread is left.

        Only the start of a daemon cannot be called off: it is waited for, but not for long.
        """
        self._closed = True
        self._board.close()
        if (opening := self._opening) is not None:
            await asyncio.wait({opening}, timeout=_CLOSE_SECONDS)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        if self._line is not None:
            self._line.retire()
            self._line = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown()  # every thread has been woken

    # Requests

    async def _steadily(self, ask: "Callable[[Line], Result]") -> Result:
        """As `_once`; if the daemon goes away under it the next daemon is asked, once."""
        line = await self._reach()
        try:
            return await self._apply(line, ask)
        except DaemonUnreachable as error:
            if self._closed or not line.broke(error):
                raise
        return await self._once(ask)

    async def _once(self, ask: "Callable[[Line], Result]") -> Result:
        return await self._apply(await self._reach(), ask)

    async def _if_there(self, ask: "Callable[[Line], Result]") -> Result:
        if self._line is None and self._opening is None:
            raise DaemonNotRunning("no daemon is running")
        return await self._once(ask)

    async def _apply(self, line: "Line", ask: "Callable[[Line], Result]") -> Result:
        def work() -> Result:
            with line.held():
                return ask(line)

        try:
            return await self._in_pool(work)
        except VicinalError as error:
            if line.broke(error):
                self._lost(line)
            raise

    # Getting a line

    async def _reach_now(self) -> None:
        """Have a line even if the last try failed a moment ago: somebody asked for it."""
        if self._line is None and self._opening is None:
            await self._open("reach")

    async def _reach(self) -> "Line":
        while self._line is None and self._opening is not None:
            opening, way = self._opening, self._way
            try:
                return await asyncio.shield(opening)
            except VicinalError:
                if way != "meet":
                    raise
        if self._line is not None:
            return self._line
        failure = self._failure
        if failure is not None and time.monotonic() < failure.until:
            raise type(failure.error)(failure.error.message, hint=failure.error.hint)
        return await self._open("reach")

    async def _open(self, way: "Way") -> "Line":
        if self._closed:
            raise DaemonNotRunning("the session is closed")
        self._way = way
        self._opening = asyncio.get_running_loop().create_task(self._opened(way))
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())  # some ask for no answer
        return await asyncio.shield(self._opening)

    async def _opened(self, way: "Way") -> "Line":
        if self._failure is None and way != "meet":
            self._board.say(news.RESTARTING if way == "renew" else news.CONNECTING)
        try:
            met = await self._apart(way)
        except VicinalError as error:
            if way != "meet":
                self._failed(error)
            raise
        finally:
            self._opening = None
        if self._closed:
            met.line.retire()
            raise DaemonNotRunning("the session is closed")
        self._adopt(met)
        return met.line

    async def _apart(self, way: "Way") -> "Met":
        """Get a line in a thread of its own: nothing ends it early, so the end of this process must not wait for it."""
        promise: Future[Met] = Future()
        promise.set_running_or_notify_cancel()

        def run() -> None:
            try:
                from vicinal_lsp.line import get

                met = get(way, self._load_settings)
            except BaseException as error:  # noqa: BLE001 - raised where the promise is awaited
                promise.set_exception(error)
                return
            if self._closed:
                met.line.retire()
            promise.set_result(met)

        thread = threading.Thread(target=run, name="vicinal session opening", daemon=True)
        thread.start()
        try:
            return await asyncio.wrap_future(promise)
        finally:
            if promise.done():
                thread.join()  # it has nothing left to do

    def _adopt(self, met: "Met") -> None:
        self._line, self._failure = met.line, None
        if met.state is None:
            theirs = met.line.connection.serving.version
            self._board.say(news.other_version(theirs) or news.NOT_UNDERSTOOD)
        else:
            self._board.judge(met.state)
        self._board.look_soon()  # a daemon that has just started does not know yet whether it has its model
        self._pool.submit(self._listen, asyncio.get_running_loop(), met.line)

    def _failed(self, error: VicinalError) -> None:
        is_news = self._failure is None
        self._failure = _Failure.following(self._failure, error)
        if is_news:
            self._board.say(news.failure(error))
        self._watch()

    def _lost(self, line: "Line") -> None:
        if line is self._line:
            self._line = None
            line.retire()
            self._board.say(news.LOST)
            self._watch()

    def _watch(self) -> None:
        if not self._watching and not self._closed:
            self._watching = True
            self._spawn(self._watched)

    async def _watched(self) -> None:
        """Look out for a daemon that somebody else starts. This starts none: the user may have ended it."""
        pause = _FIRST_WATCH
        try:
            while self._line is None:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_WATCH)
                if self._line is None and self._opening is None and await self._in_pool(self._is_there):
                    with suppress(VicinalError):
                        await (self._opening or self._open("meet"))
        finally:
            self._watching = False

    def _is_there(self) -> bool:
        from vicinal_lsp.line import is_there

        return is_there(self._load_settings)

    # What the daemon says

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
        if line is self._line:
            self._on_event(event)
            self._board.hear(event)

    async def _look(self) -> None:
        if (line := self._line) is not None:
            state = await self._apply(line, lambda line: line.status())
            if line is self._line:
                self._board.judge(state)

    def _spawn(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do this behind; an expected failure of it has been told or is nobody's concern."""
        if self._closed:
            return

        async def quietly() -> None:
            with suppress(VicinalError):
                await work()

        task = asyncio.get_running_loop().create_task(quietly())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _in_pool(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
