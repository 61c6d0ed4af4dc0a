"""One life of the engine process, seen from its parent.

Owns the child, its pipes, and the watch over its memory and its signs of life. It does not start it again; that is
the supervisor's.
"""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from vicinal_daemon.errors import EngineCrashed, EngineFailed, EngineHung, EngineOutOfMemory, errors_by_type
from vicinal_daemon.machine import many_threads_again
from vicinal_daemon.worker import frames
from vicinal_daemon.worker.messages import NO_MEMORY_FOR_GOOD, Envelope, Failed, Load, Piece, Result, Unit
from vicinal_indexer.errors import VicinalError

OnPiece = Callable[[str], None]

WATCH_SECONDS = 0.25
LOADING_IS_SLOWER = 10
"""So many times `hang_seconds` may pass while the model is loaded: torch says nothing meanwhile."""

ORDERLY_SECONDS = 5.0

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # glibc: large tensors go back to the system at once. By itself it learns to keep them, and a quarter of the model's
    # size lies idle after a training step. Below this size, reading a prompt would take a tenth longer.
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**20),
}


class EngineProcess:
    """A running child; `start` makes one."""

    def __init__(self, child: asyncio.subprocess.Process, memory_limit_bytes: int, hang_seconds: float) -> None:
        self._child = child
        self._memory_limit = memory_limit_bytes
        self._hang_seconds = hang_seconds
        self._numbers = itertools.count(1)
        self._number = 0
        self._answer: asyncio.Future[Result] | None = None
        self._on_piece: OnPiece = lambda text: None
        self._patience = hang_seconds
        self._alive = asyncio.get_running_loop().time()
        self._verdict: EngineFailed | None = None
        self.memory_bytes = 0
        self._watching = asyncio.create_task(self._watch())
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def start(cls, *, memory_limit_bytes: int, hang_seconds: float, log: Path | None) -> "EngineProcess":
        """Start a child with nothing loaded. Its stderr is appended to `log`, or is ours.

        Raises:
            EngineFailed: the system starts no process, or the log cannot be written.
        """
        try:
            with _appending(log) as stderr:
                child = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",  # the folder that somebody stands in may be a repository with a torch.py of its own
                    "-m",
                    "vicinal_daemon.worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env=many_threads_again(os.environ) | ENVIRONMENT,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except OSError as error:
            raise EngineFailed(f"the engine process cannot be started: {error}") from error
        return cls(child, memory_limit_bytes, hang_seconds)

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_over(self) -> bool:
        """Whether the child is gone."""
        return self._receiving.done()

    async def ask(self, unit: Unit, *, cancelled: asyncio.Event | None, on_piece: OnPiece | None) -> Result:
        """Have a unit done; see `Supervisor.do`."""
        await self._settled()
        answer = self._send(unit, on_piece or (lambda text: None))
        withdrawal = asyncio.create_task(cancelled.wait()) if cancelled is not None else None
        try:
            if withdrawal is not None:
                first: set[asyncio.Future[Any]] = {answer, withdrawal}
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                if not answer.done():
                    self._cancel()
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            self._cancel()  # whoever asks next waits until this unit has ended
            raise
        finally:
            if withdrawal is not None:
                withdrawal.cancel()
            self._on_piece = lambda text: None

    async def end(self) -> None:
        """End the child: it goes by itself once its input ends; if it does not, it is killed."""
        self._verdict = self._verdict or EngineFailed("the engine was stopped", hint="ask again; it starts by itself")
        if self._child.stdin is not None:
            self._child.stdin.close()
        try:
            async with asyncio.timeout(ORDERLY_SECONDS):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()

    async def ended(self) -> EngineFailed:
        """Wait until the child is gone and all that it held is closed; returns why it went."""
        await asyncio.shield(self._receiving)
        assert self._verdict is not None  # noqa: S101 - `_receive` leaves one
        return self._verdict

    def kill(self) -> None:
        """End the child at once."""
        with suppress(ProcessLookupError):
            self._child.kill()

    def _send(self, unit: Unit, on_piece: OnPiece) -> "asyncio.Future[Result]":
        loop = asyncio.get_running_loop()
        self._answer, self._on_piece, self._number = loop.create_future(), on_piece, next(self._numbers)
        self._patience = self._hang_seconds * (LOADING_IS_SLOWER if isinstance(unit, Load) else 1)
        self._alive = loop.time()
        if self.is_over:
            self._settle(self._verdict or EngineCrashed("the engine process is gone"))
        else:
            self._write(Envelope(self._number, unit))
        return self._answer

    def _cancel(self) -> None:
        self._write(Envelope(self._number, None))

    def _write(self, envelope: Envelope) -> None:
        # Units are small; what the pipe does not take at once waits in the transport's buffer.
        if self._child.stdin is not None and not self._child.stdin.is_closing():
            self._child.stdin.write(frames.pack(envelope))

    async def _settled(self) -> None:
        if self._answer is not None and not self._answer.done():
            await asyncio.wait({self._answer})

    def _settle(self, outcome: Result | VicinalError) -> None:
        if self._answer is None or self._answer.done():
            return
        if isinstance(outcome, VicinalError):
            self._answer.set_exception(outcome)
            self._answer.exception()  # whoever asked may be gone; that is no error
        else:
            self._answer.set_result(outcome)

    async def _receive(self) -> None:
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        try:
            while (envelope := await frames.receive(self._child.stdout)) is not None:
                self._alive = asyncio.get_running_loop().time()
                if envelope.number == self._number:
                    self._take(envelope)
        except frames.BadFrame as error:
            self._verdict = self._verdict or EngineCrashed(f"the engine process sent garbage: {error}")
            self.kill()
        self._watching.cancel()
        if self._child.stdin is not None:
            self._child.stdin.close()
        code = await self._child.wait()
        self.memory_bytes = 0
        self._verdict = self._verdict or _obituary(code)
        self._settle(self._verdict)

    def _take(self, envelope: Envelope) -> None:
        body = envelope.body
        if isinstance(body, Piece):
            # What the callback raises is not to end the reading.
            asyncio.get_running_loop().call_soon(self._on_piece, body.text)
        elif isinstance(body, Failed):
            self._settle(_error(body))
        elif isinstance(body, Result):
            self._settle(body)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(psutil.Error):
                self.memory_bytes = psutil.Process(self.pid).memory_info().rss
            if self.memory_bytes > self._memory_limit:
                self._condemn(
                    EngineOutOfMemory(
                        f"the engine took {self.memory_bytes / 2**20:,.0f} MB; "
                        f"{self._memory_limit / 2**20:,.0f} MB are allowed"
                    )
                )
            running = self._answer is not None and not self._answer.done()
            if running and loop.time() - self._alive > self._patience:
                self._condemn(EngineHung(f"the engine gave no sign of life for {self._patience:g} s"))
            await asyncio.sleep(min(WATCH_SECONDS, self._hang_seconds / 2))

    def _condemn(self, verdict: EngineFailed) -> None:
        self._verdict = self._verdict or verdict
        self.kill()


@contextmanager
def _appending(log: Path | None) -> Iterator[BinaryIO | None]:
    if log is None:
        yield None
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        yield file


def _error(failed: Failed) -> VicinalError:
    kind = errors_by_type().get(failed.kind)
    if kind is None:
        return EngineFailed(f"{failed.kind}: {failed.message}", hint=failed.hint)
    return kind(failed.message, hint=failed.hint)


def _obituary(code: int) -> EngineFailed:
    if code == NO_MEMORY_FOR_GOOD:
        return EngineOutOfMemory("the engine found no memory, and ended")
    if code >= 0:
        return EngineCrashed(f"the engine process ended with code {code}")
    name = signal.Signals(-code).name
    guess = "; perhaps the system ran out of memory" if name == "SIGKILL" else ""
    return EngineCrashed(f"the engine process died of {name}{guess}")
