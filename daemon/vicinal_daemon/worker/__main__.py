"""The engine process: `python -m vicinal_daemon.worker`, started by `worker.process`.

Owns its pipes, its threads and its end. Units are done on the main thread; a second one reads, so that a cancellation
arrives while the first computes. It does not know what units are for.
"""

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, BinaryIO

from vicinal_daemon.errors import EngineFailed, EngineOutOfMemory, error_type
from vicinal_daemon.worker import frames
from vicinal_daemon.worker.messages import NO_MEMORY_FOR_GOOD, Done, Envelope, Failed, Piece, Result, Unit
from vicinal_indexer.errors import VicinalError
from vicinal_indexer.priority import step_back

if TYPE_CHECKING:
    from vicinal_daemon.worker.bench import Bench

NICENESS = 5
SIGN_SECONDS = 0.02
"""At most one sign of life in so long."""

_NEVER_AGAIN = "could not create a primitive"
"""oneDNN has found no memory for code; it says so of the same product ever after."""

_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "cannot allocate memory")


class Line:
    """The connection to the parent.

    A sign of life is sent only from where work is done, never by a clock: it proves progress.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._units: queue.SimpleQueue[tuple[int, Unit]] = queue.SimpleQueue()
        self._cancelled = 0  # one unit at a time is asked for, so one number is enough
        self._last_sign = 0.0

    def listen(self) -> None:
        """Read until the parent closes its end or sends garbage; then the process ends at once."""
        try:
            while (envelope := frames.read(self._source)) is not None:
                if envelope.body is None:
                    self._cancelled = envelope.number
                elif isinstance(envelope.body, Unit):
                    self._units.put((envelope.number, envelope.body))
                else:
                    raise frames.BadFrame(f"{type(envelope.body).__name__} is no unit")
        except (frames.BadFrame, OSError) as error:
            print(f"the engine ends: {error}", file=sys.stderr, flush=True)  # noqa: T201 - stderr is its log
            os._exit(3)
        os._exit(0)  # not sys.exit: the main thread may be inside torch

    def next(self) -> tuple[int, Unit]:
        """Wait for the next unit and its number."""
        return self._units.get()

    def cancelled(self, number: int) -> bool:
        """Whether that unit was cancelled; asking is a sign of life."""
        now = time.monotonic()
        if now - self._last_sign >= SIGN_SECONDS:
            self.say(0, Done())
        return number == self._cancelled

    def say(self, number: int, body: Result | Piece | Failed) -> None:
        """Send one message."""
        self._last_sign = time.monotonic()
        try:
            self._sink.write(frames.pack(Envelope(number, body)))
            self._sink.flush()
        except OSError:
            os._exit(0)  # nobody is there to hear it


def main() -> None:
    """Do units until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    faulthandler.enable()
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what native code prints must not come between frames
    step_back(NICENESS)
    line = Line(sys.stdin.buffer, sink)
    threading.Thread(target=line.listen, name="listen", daemon=True).start()

    number, unit = line.next()
    line.say(0, Done())
    from vicinal_daemon.worker.bench import Bench  # torch takes seconds to import

    bench = Bench()
    while True:
        line.cancelled(number)
        line.say(number, _outcome(bench, line, number, unit))
        number, unit = line.next()


def _outcome(bench: "Bench", line: Line, number: int, unit: Unit) -> Result | Failed:
    def on_piece(text: str) -> None:
        line.say(number, Piece(text))

    try:
        return bench.do(unit, cancelled=lambda: line.cancelled(number), on_piece=on_piece)
    except VicinalError as error:
        return Failed(error_type(type(error)), error.message, error.hint)
    except Exception as error:  # noqa: BLE001 - whatever it is, it costs one unit
        traceback.print_exc()
        if _NEVER_AGAIN in str(error):
            sys.stderr.flush()
            os._exit(NO_MEMORY_FOR_GOOD)
        kind = EngineOutOfMemory if _is_out_of_memory(error) else EngineFailed
        return Failed(error_type(kind), f"{type(unit).__name__} failed: {error!r}", "")


def _is_out_of_memory(error: Exception) -> bool:
    # torch's allocator for the CPU has no class of its own for this.
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
