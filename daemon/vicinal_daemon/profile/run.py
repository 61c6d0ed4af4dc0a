"""The same request several times, looked at from outside.

Owns the order: a first request in a process that has answered none, more of them, one whose operators are listened to,
then the rates of the machine. What is asked is `complete`, as it is. It does not know how a profile is shown.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from vicinal_daemon.complete import complete
from vicinal_daemon.config import Settings
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.profile.flops import Rates
from vicinal_daemon.profile.meter import Meter
from vicinal_daemon.profile.operators import listening
from vicinal_daemon.profile.parts import REST
from vicinal_daemon.profile.probes import installed
from vicinal_daemon.profile.rates import measure, shapes_of
from vicinal_daemon.profile.recorder import Recorder, Trace
from vicinal_daemon.protocol import Answer
from vicinal_daemon.stages import OnStage, Stopwatch, silent
from vicinal_daemon.target import Target
from vicinal_daemon.uncertainty import Belief
from vicinal_indexer.index import RepositoryIndex


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found.

    Attributes:
        answer: to the last request that was timed.
        first: the trace of a process's first request.
        later: of those behind it; what was studied before is remembered then, and all libraries are loaded.
        heard: of one more, with its operators; None where they cannot be timed one by one. Its seconds mean nothing.
        rates: of the machine.
        counted: whether it is known what the model computes; else there is no floor for it.
        threads: that torch uses.
        cores: that this process had on average while requests were timed; few, if others compute on this machine, too.
    """

    answer: Answer
    first: Trace
    later: tuple[Trace, ...]
    heard: Trace | None
    rates: Rates
    counted: bool
    threads: int
    cores: float


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What is asked, and of whom; see `complete`."""

    target: Target
    index: RepositoryIndex
    engine: TransformersEngine
    settings: Settings
    repository: str
    skipped_files: int
    belief: Belief

    def answered(self) -> Answer:
        """Answer it, without the base model's text to compare with."""
        return complete(
            self.target,
            self.index,
            self.engine,
            self.settings,
            repository=self.repository,
            skipped_files=self.skipped_files,
            watch=Stopwatch(),
            compare=False,
            belief=self.belief,
        )


def profile(request: Request, repeat: int, on_stage: OnStage = silent) -> Measured:
    """Answer once, `repeat` >= 0 more times, and once more to hear the operators.

    Raises:
        VicinalError: the store or the model cannot be used.
    """
    engine = request.engine
    wait = waiting(engine.device)
    recorder = Recorder(wait)
    meter = Meter(engine, recorder)
    hears = engine.device.type == "cpu"
    requests = 1 + repeat + hears
    with meter.counting(), installed(recorder):
        traces = []
        started, busy = time.perf_counter(), time.process_time()
        for number in range(1 + repeat):
            on_stage("requests", number, requests)
            with recorder.span(REST):
                answer = request.answered()
            traces.append(recorder.take())
        cores = (time.process_time() - busy) / (time.perf_counter() - started)
        heard = None
        if hears:
            on_stage("requests", 1 + repeat, requests)
            with ExitStack() as stack:
                stack.enter_context(recorder.span(REST))
                stack.enter_context(listening(recorder))
                request.answered()
            heard = recorder.take()
    on_stage("rates", 0, 0)
    rates = measure(shapes_of(meter.layers), engine.device, engine.dtype, wait)
    return Measured(
        answer,
        traces[0],
        tuple(traces[1:]),
        heard,
        rates,
        counted=bool(meter.layers),
        threads=torch.get_num_threads(),
        cores=cores,
    )


def waiting(device: torch.device) -> Callable[[], None]:
    """Waits until a device has done what it was told; a CPU always has."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    return lambda: None
