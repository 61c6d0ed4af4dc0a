"""Times of nested pieces of work.

Owns who is inside of whom, and that each moment counts for one piece only: the innermost. It does not know what the
pieces are.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from vicinal_daemon.profile.flops import NOTHING, Work


@dataclass(frozen=True, slots=True)
class Span:
    """One time that a part was done.

    Attributes:
        seconds: without the parts inside of it.
        work: what it computed.
        operators: seconds of each of torch's operators, where they were listened to.
    """

    part: str
    seconds: float
    work: Work = NOTHING
    operators: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """One request: its spans, in the order of their ends."""

    spans: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """Of all of it."""
        return sum(span.seconds for span in self.spans)

    def of(self, part: str) -> list[Span]:
        """The spans of one part."""
        return [span for span in self.spans if span.part == part]


@dataclass
class _Open:
    part: str
    started: float
    inside: float = 0.0
    work: Work = NOTHING
    operators: dict[str, float] = field(default_factory=dict)


class Recorder:
    """Records what the thread that made it does.

    Args:
        wait: called before each look at the clock; on a device that works on its own, it waits until it is done.
    """

    def __init__(self, wait: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._wait, self._clock = wait, clock
        self._thread = threading.get_ident()
        self._open: list[_Open] = []
        self._spans: list[Span] = []

    @property
    def innermost(self) -> str:
        """The part that is being done; "" if none is, or if another thread asks."""
        return self._open[-1].part if self._open and threading.get_ident() == self._thread else ""

    @contextmanager
    def span(self, part: str) -> Iterator[None]:
        """The block is a `part`, but for the parts inside of it."""
        self._wait()
        self._open.append(_Open(part, self._clock()))
        try:
            yield
        finally:
            self._wait()
            done = self._open.pop()
            lasted = self._clock() - done.started
            if self._open:
                self._open[-1].inside += lasted
            operators = tuple(done.operators.items())
            self._spans.append(Span(part, max(0.0, lasted - done.inside), done.work, operators))

    def add(self, work: Work) -> None:
        """What is being done costs this much."""
        if self._open:
            self._open[-1].work += work

    def add_operator(self, name: str, seconds: float) -> None:
        """So long took one of torch's operators in what is being done."""
        if self._open:
            operators = self._open[-1].operators
            operators[name] = operators.get(name, 0.0) + seconds

    def take(self) -> Trace:
        """What was recorded since the last call."""
        spans, self._spans = self._spans, []
        return Trace(tuple(spans))


def by_step(trace: Trace, step: str) -> list[dict[str, float]]:
    """For each span of part `step`, the seconds of what ended since the one before it: itself, and what is inside."""
    steps: list[dict[str, float]] = []
    current: dict[str, float] = {}
    for span in trace.spans:
        current[span.part] = current.get(span.part, 0.0) + span.seconds
        if span.part == step:
            steps.append(current)
            current = {}
    return steps


def total(spans: Sequence[Span]) -> float:
    """Seconds of some spans."""
    return sum(span.seconds for span in spans)
