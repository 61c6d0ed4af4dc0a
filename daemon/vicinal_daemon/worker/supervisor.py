"""The engine process as the daemon knows it: units in, results out, whatever becomes of the process.

Owns when the process is started, again and after what pause, and what state it is in. It does not know what a unit is
for, nor which comes next: one unit at a time, the scheduler above sees to it.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from vicinal_daemon.errors import EngineFailed, Withdrawn
from vicinal_daemon.worker.messages import Load, Loaded, Result, Unit
from vicinal_daemon.worker.process import EngineProcess, OnPiece
from vicinal_indexer.errors import VicinalError

State = Literal["unloaded", "loading", "ready", "failed"]

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


def pause_seconds(failures: int) -> float:
    """How long after its last end the process is started again: 0, 0.5, 1, 2, ... at most 30 seconds.

    Args:
        failures: how many lives in a row ended without a unit done.
    """
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 16)) if failures else 0.0


class Supervisor:
    """Keeps one engine process, and starts it when it is needed.

    Args:
        load: what the process loads first.
        memory_limit_bytes: of resident memory; a process that takes more is killed.
        hang_seconds: a process that gives no sign of life for so long while a unit runs is killed.
        log: the file that the process's stderr is appended to; None: our own stderr.
        on_change: called, on the event loop, after each change of `state`.

    Attributes:
        state: `failed` is after a failed start or an end that nobody asked for; the next unit starts it again.
        generation: grows at each start: runs, and adapters without a file, of an older one are gone.
        restarts: how often it was started again after an end that nobody asked for.
        problem: why it failed last; None once a unit was done.
        device, precision: in torch's words; empty until it was loaded once.
        engine: that writes, once it is loaded; until then what is wanted.
    """

    def __init__(
        self,
        load: Load,
        *,
        memory_limit_bytes: int,
        hang_seconds: float,
        log: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._load = load
        self._memory_limit = memory_limit_bytes
        self._hang_seconds = hang_seconds
        self._log = log
        self._on_change = on_change
        self._process: EngineProcess | None = None
        self._starting: asyncio.Task[EngineProcess] | None = None
        self._vigil: asyncio.Task[None] | None = None
        self._failures = 0
        self._next_start = 0.0
        self._busy = False
        self._closed = False
        self.state: State = "unloaded"
        self.generation = 0
        self.restarts = 0
        self.problem: VicinalError | None = None
        self.device = self.precision = ""
        self.engine: str = load.engine

    @property
    def pid(self) -> int | None:
        """Of the process, None if there is none."""
        return self._process.pid if self._process is not None else None

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process, as last seen."""
        return self._process.memory_bytes if self._process is not None else 0

    async def do(
        self, unit: Unit, *, cancelled: asyncio.Event | None = None, on_piece: OnPiece | None = None
    ) -> Result:
        """Have one unit done, in a process that is started for it if there is none.

        Once `cancelled` is set, the unit ends within one token or one step: a `Write` with what it has, others with
        `Withdrawn` if they had not begun. `on_piece` gets the text so far, of a unit that streams.

        Raises:
            EngineCrashed, EngineHung, EngineOutOfMemory: the process ended; the next unit starts it again.
            Withdrawn: it was cancelled before it began.
            VicinalError: what the unit itself raised; the process goes on.
        """
        if self._busy:
            raise RuntimeError("the engine does one unit at a time, and another one is being done")
        self._busy = True
        try:
            process = await self._ready(cancelled)
            try:
                result = await process.ask(unit, cancelled=cancelled, on_piece=on_piece)
            except EngineFailed:
                await self._notice(process)
                raise
        finally:
            self._busy = False
        self._failures, self.problem = 0, None
        return result

    async def start(self) -> None:
        """Load the model now rather than with the first unit.

        Raises:
            VicinalError: it cannot be loaded.
        """
        await self._ready(None)

    async def unload(self) -> None:
        """End the process in order; the next unit starts one again. A unit that runs fails with `EngineFailed`."""
        starting, self._starting = self._starting, None
        if starting is not None and not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
        process, self._process = self._process, None
        if process is not None:
            await process.end()
        if self._vigil is not None:
            await asyncio.wait({self._vigil})
        self._become("unloaded")

    async def close(self) -> None:
        """As `unload`, for good."""
        self._closed = True
        await self.unload()

    async def _ready(self, cancelled: asyncio.Event | None) -> EngineProcess:
        if self._closed:
            raise EngineFailed("the engine is closed", hint="start the daemon again: vicinal daemon start")
        if self._process is not None:
            await self._notice(self._process)
        if self.state == "ready" and self._process is not None:
            return self._process
        if self._starting is None or self._starting.done():
            self._fail_early()
            self._starting = asyncio.create_task(self._start())
            # Whoever asked may be gone when it fails; `problem` tells.
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        starting = self._starting
        withdrawal = asyncio.create_task(cancelled.wait()) if cancelled is not None else None
        try:
            # A start goes on though the request that began it is withdrawn: the next one needs it too.
            await asyncio.wait({starting, *filter(None, [withdrawal])}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if withdrawal is not None:
                withdrawal.cancel()
        if not starting.done():
            raise Withdrawn("the request was cancelled while the model was loading")
        if starting.cancelled():
            raise EngineFailed("the engine was unloaded", hint="ask again; it starts by itself")
        return starting.result()

    async def _notice(self, process: EngineProcess) -> None:
        """If it is over, let `state` say so before anything else happens."""
        if process.is_over and self._vigil is not None:
            await asyncio.shield(self._vigil)

    def _fail_early(self) -> None:
        """A model that cannot be loaded is not tried again before the pause is over, and nobody waits for that."""
        waits = asyncio.get_running_loop().time() < self._next_start
        if waits and self.problem is not None and not isinstance(self.problem, EngineFailed):
            raise self.problem

    async def _start(self) -> EngineProcess:
        process: EngineProcess | None = None
        self._become("loading")
        try:
            await asyncio.sleep(max(0.0, self._next_start - asyncio.get_running_loop().time()))
            self.restarts += self._failures > 0
            self.generation += 1
            process = await EngineProcess.start(
                memory_limit_bytes=self._memory_limit, hang_seconds=self._hang_seconds, log=self._log
            )
            self._process = process
            loaded = await process.ask(self._load, cancelled=None, on_piece=None)
        except asyncio.CancelledError:
            if process is not None:
                process.kill()
                await process.ended()
            raise
        except VicinalError as error:
            if process is not None:
                await process.end()
            self._mourn(error)
            raise
        assert isinstance(loaded, Loaded)  # noqa: S101 - the answer to Load
        self.device, self.precision, self.engine = loaded.device, loaded.precision, loaded.engine
        self._become("ready")
        self._vigil = asyncio.create_task(self._await_end(process))
        return process

    async def _await_end(self, process: EngineProcess) -> None:
        verdict = await process.ended()
        if self._process is process:  # else it was unloaded
            self._mourn(verdict)
        self._vigil = None

    def _mourn(self, problem: VicinalError) -> None:
        self._process = None
        self._failures += 1
        self._next_start = asyncio.get_running_loop().time() + pause_seconds(self._failures)
        self.problem = problem
        self._become("failed")

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._on_change()
