"""The accelerator: whoever wants something of the model asks here.

Owns the turns on the engine process, what its work costs on this machine, and when the model is unloaded. It does not
know what the work is for.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

import psutil

from vicinal_daemon.config import Settings
from vicinal_daemon.errors import EngineFailed, GaveWay, Withdrawn
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.models.layout import llama_folder
from vicinal_daemon.policy import Costs
from vicinal_daemon.protocol.state import ModelState, Trouble
from vicinal_daemon.scheduler import Cancellation, Priority, Turnstile
from vicinal_daemon.worker.messages import Judge, Judged, Load, Remember, Result, Stepped, Unit, Written
from vicinal_daemon.worker.supervisor import Supervisor
from vicinal_indexer.errors import VicinalError

Answer = TypeVar("Answer", bound=Result)
OnPiece = Callable[[str], None]
QUIET_SECONDS = 1.0
"""Nobody must wait for a training step that nobody waits for: while somebody types, none is begun."""

TELLING_TOKENS = 32
"""So many tokens must have been read for their time to be a measurement."""


class Accelerator:
    """The one owner of the engine process.

    Args:
        find: finds the model's files; takes some milliseconds. Asked again while the model is not loaded, since it may
            be fetched while the daemon runs.
        settings: of the daemon.
        log: where the engine's words go.
        on_change: told when the model is loaded, unloaded or lost.
    """

    def __init__(
        self, find: Callable[[], ModelFiles], settings: Settings, log: Path | None, on_change: Callable[[], None]
    ) -> None:
        self._find = find
        self._settings = settings
        self._log = log
        self._on_change = on_change
        self._turnstile = Turnstile()
        self._supervisor: Supervisor | None = None
        self._problem: VicinalError | None = None
        self._loaded: ModelFiles | None = None
        self._running = ""
        self._units: set[asyncio.Task[Result]] = set()
        self.costs = Costs()
        self.last_used = time.monotonic()
        self._last_asked = 0.0
        self.memory_limit = settings.engine.memory_mb * 1_000_000 or psutil.virtual_memory().total * 3 // 4

    @property
    def generation(self) -> int:
        """Increases whenever the engine process is a new one, which knows no run and no adapter."""
        return self._supervisor.generation if self._supervisor is not None else 0

    def still_knows(self, generation: int) -> bool:
        """Whether the engine process of that generation is there."""
        return self.is_ready and self.generation == generation

    def find(self) -> ModelFiles:
        """The model's files.

        Raises:
            ModelError: they are not there.
        """
        try:
            files = self._find()
        except VicinalError as error:
            self._problem = error
            raise
        self._problem = None
        return files

    async def files(self) -> ModelFiles:
        """As `find`, but those of the loaded model are not looked for again."""
        if self._loaded is None or not self.is_ready:
            self._loaded = await asyncio.to_thread(self.find)
        return self._loaded

    async def do(
        self,
        unit: Unit,
        priority: Priority,
        expected: type[Answer],
        *,
        client: str = "",
        cancellation: Cancellation | None = None,
        on_piece: OnPiece | None = None,
        gives_way: bool = False,
    ) -> Answer:
        """Wait for a turn, have one unit of work done, and return what came of it.

        A unit that is not wanted any more ends early: its answer is what was done until then.

        Args:
            gives_way: end it, as if it had not begun, for whoever is more urgent.

        Raises:
            GaveWay: it was ended so.
            VicinalError: the reason of a cancellation while it waited.
            ModelError: the model cannot be had, or the engine failed.
        """
        if priority <= Priority.TUNE:
            self._last_asked = time.monotonic()
        with (cancellation or Cancellation()).part() as this:
            try:
                result = await self._done(unit, priority, client, this, on_piece, gives_way=gives_way)
            except Withdrawn:
                if isinstance(this.reason, GaveWay):
                    raise this.reason from None
                raise
        self._learn(unit, result)
        if not isinstance(result, expected):
            raise EngineFailed(f"the engine answered {type(unit).__name__} with {type(result).__name__}")
        return result

    async def _done(
        self,
        unit: Unit,
        priority: Priority,
        client: str,
        cancellation: Cancellation,
        on_piece: OnPiece | None,
        *,
        gives_way: bool,
    ) -> Result:
        give_way = partial(cancellation.cancel, GaveWay("somebody waits")) if gives_way else None
        turn = self._turnstile.turn(priority, client, cancellation, give_way)
        await turn.__aenter__()

        async def work() -> Result:
            try:
                self._running = f"{priority.name.lower()}: {type(unit).__name__.lower()}"
                supervisor = await self._engine()
                return await supervisor.do(unit, cancelled=cancellation.event, on_piece=on_piece)
            finally:
                self._running = ""
                if not isinstance(unit, Remember):  # nobody asked for it, and an unloaded model needs none
                    self.last_used = time.monotonic()
                await turn.__aexit__(None, None, None)

        # The engine answers every unit, also one whose asker has gone: the turn ends with the answer, not before.
        task = asyncio.ensure_future(work())
        self._units.add(task)
        task.add_done_callback(self._finished)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            cancellation.event.set()
            raise

    async def quiet(self, priority: Priority) -> None:
        """Wait until a step that nobody waits for is in nobody's way; at once for others, and where steps are quick."""
        pause = min(QUIET_SECONDS, self.costs.step or 0.0)
        while priority > Priority.TUNE and (left := self._last_asked + pause - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def _finished(self, task: "asyncio.Task[Result]") -> None:
        self._units.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has been told, or has gone

    async def _engine(self) -> Supervisor:
        if self._supervisor is None:
            files = await asyncio.to_thread(self.find)
            model, depth = self._settings.model, self._settings.tune.depth
            load = Load(
                files.transformers_dir,
                files.gguf,
                files.name,
                model.engine,
                model.device,
                depth,
                precision=model.precision,
                copies=llama_folder(model.cache_dir, files.fingerprint),
                copy=model.llama_copy,
                threads=model.threads,
            )
            self._supervisor = Supervisor(
                load,
                memory_limit_bytes=self.memory_limit,
                hang_seconds=self._settings.engine.hang_seconds,
                log=self._log,
                on_change=self._on_change,
            )
        return self._supervisor

    def _learn(self, unit: Unit, result: Result) -> None:
        if isinstance(result, Written):
            if result.read_tokens >= TELLING_TOKENS:
                self.costs = self.costs.learn(read=result.read_seconds / result.read_tokens)
            if result.tokens > 1:
                self.costs = self.costs.learn(write=result.write_seconds / result.tokens)
        elif isinstance(result, Stepped):
            self.costs = self.costs.learn(step=result.seconds)
        elif isinstance(unit, Judge) and unit.prompt is not None and isinstance(result, Judged):
            self.costs = self.costs.learn(judge=result.seconds)

    def start(self) -> None:
        """Load the model behind whatever else happens."""

        async def load() -> None:
            async with self._turnstile.turn(Priority.SPECULATE):
                await self.ready()

        task = asyncio.ensure_future(load())
        self._units.add(cast("asyncio.Task[Result]", task))
        task.add_done_callback(lambda t: self._finished(cast("asyncio.Task[Result]", t)))

    @property
    def is_ready(self) -> bool:
        """Whether the model is loaded."""
        return self._supervisor is not None and self._supervisor.state == "ready"

    async def ready(self) -> None:
        """Wait until the model is loaded; it is loaded if it is not being.

        Raises:
            ModelError: it cannot be.
        """
        await (await self._engine()).start()

    async def unload(self) -> None:
        """End the engine process, and all that it holds in memory, once its unit is done; the next unit starts one."""
        async with self._turnstile.turn(Priority.WRITE):
            if self._supervisor is not None:
                await self._supervisor.unload()

    async def unload_if_idle(self, seconds: float) -> None:
        """Give the model's memory back if nothing was asked of it for so long; 0 never does."""
        idle = time.monotonic() - self.last_used
        if seconds and self._supervisor is not None and self.is_ready and idle > seconds:
            async with self._turnstile.turn(Priority.WRITE):
                await self._supervisor.unload()

    async def close(self) -> None:
        """End the engine process; what it was doing is lost."""
        if self._supervisor is not None:
            await self._supervisor.close()
        await asyncio.gather(*self._units, return_exceptions=True)

    def waiting(self) -> dict[str, int]:
        """What waits, by priority."""
        return self._turnstile.counts()

    @property
    def running(self) -> str:
        """What is being done right now, in words."""
        return self._running

    def state(self) -> ModelState:
        """A snapshot."""
        engine = self._supervisor
        problem = self._problem or (engine.problem if engine is not None else None)
        return ModelState(
            name=self._settings.model.name,
            state=engine.state if engine is not None else "failed" if problem else "unloaded",
            engine=engine.engine if engine is not None else self._settings.model.engine,
            device=engine.device if engine is not None else "",
            precision=engine.precision if engine is not None else "",
            pid=engine.pid if engine is not None else None,
            memory_bytes=engine.memory_bytes if engine is not None else 0,
            memory_limit_bytes=self.memory_limit,
            restarts=engine.restarts if engine is not None else 0,
            problem=Trouble.of(problem) if problem is not None else None,
            seconds_per_step=self.costs.step,
            seconds_per_token=self.costs.write,
        )
