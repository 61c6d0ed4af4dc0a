"""From a cancellation to the moment in which the accelerator is free.

Free is when the next unit starts. So a probe is sent right behind the cancellation: a completion that needs nothing but
the engine. What the client saw of both, less the engine's passes for the probe, is an upper bound: it contains two HTTP
requests. Whether a step was taken later is told by the running mean of the step's time, which every step changes.
"""

import string
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np

from measures.house import House, Sizes, Spot, daemon, one_a_file, package, quiet, ready
from measures.table import Row, Rows, milliseconds, short
from vicinal_daemon.client import Client
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.protocol.requests import CancelRequest, CompleteRequest
from vicinal_daemon.protocol.state import Event

NO_TUNING: dict[str, bool | int | float | str] = {"tune.steps": 0}
WRITING = NO_TUNING | {"generate.max_tokens": 200}


@dataclass
class Asked:
    """A request in a thread of its own, and the stages that it told of."""

    client: Client
    request: CompleteRequest
    stages: list[tuple[float, str, int]] = field(default_factory=list)
    outcome: str = ""
    """`answered`, `withdrawn`, or another error in words."""

    def __post_init__(self) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            answer = self.client.complete(self.request, self._told)
            self.outcome = f"answered with {answer.completion.tokens} tokens"
        except Withdrawn:
            self.outcome = "withdrawn"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
            self.outcome = repr(error)
        self._begun.set()

    def _told(self, event: Event) -> None:
        self.stages.append((time.perf_counter(), event.stage, event.done))
        if event.stage in ("tune", "generate"):
            self._begun.set()

    def wait_for_work(self) -> None:
        """Until it tunes or writes, or is over."""
        self._begun.wait(600)

    def end(self) -> None:
        self._thread.join(600)

    def steps(self) -> list[float]:
        """Seconds of the training steps that it told of; the first holds the beginning of the run too."""
        told = [at for at, stage, _ in self.stages if stage == "tune"]
        return list(np.diff(told))


@dataclass(frozen=True, slots=True)
class Trial:
    """One cancellation that hit something."""

    free: float
    phase: str
    steps: list[float]
    later: bool
    """Whether a step was taken after the accelerator was free."""


def trial(client: Client, probe: CompleteRequest, asked: Asked, after: float, pause: float) -> Trial | None:
    """Cancel after so many seconds of work; None if it was over before."""
    asked.wait_for_work()
    time.sleep(after)
    begun = time.perf_counter()
    hit = client.cancel(CancelRequest(id=asked.request.id))["count"]
    answer = client.complete(probe)
    free = time.perf_counter() - begun - answer.seconds["read"] - answer.seconds["write"]
    before = client.status().model.seconds_per_step
    asked.end()
    time.sleep(pause)
    later = quiet(client).model.seconds_per_step != before
    if not hit or asked.outcome != "withdrawn":
        return None
    tuned = [done for _, stage, done in asked.stages if stage == "tune"]
    phase = (
        "writing" if any(stage == "generate" for _, stage, _ in asked.stages) else "judging" if 8 in tuned else "tuning"
    )
    return Trial(free, phase, asked.steps(), later)


def trials(count: int, one: Callable[[int], Trial | None]) -> Iterator[Trial]:
    """So many trials that hit; three times as many tries at most."""
    hits = 0
    for number in range(3 * count):
        found = one(number)
        if found is not None:
            hits += 1
            yield found
        if hits == count:
            return


def probes(spot: Spot) -> Iterator[CompleteRequest]:
    """Requests with nothing to find and next to nothing to read, once the first is answered; no two the same."""
    for letter in cycle(string.ascii_lowercase):
        yield spot.ask(letter, client="probe", settings=NO_TUNING, lines=1)


def measure(home: House, sizes: Sizes) -> Rows:
    root = package("rich", home.folder / "rich")
    chance = np.random.default_rng(0)
    with daemon(home) as client:
        ready(client, root)
        places = one_a_file(root)
        probe = probes(places[0])
        client.complete(next(probe))
        begun = time.perf_counter()
        idle = client.complete(next(probe))
        floor = time.perf_counter() - begun - idle.seconds["read"] - idle.seconds["write"]
        yield Row("a probe of a free accelerator, what the next rows contain", "", f"{short(floor * 1e3)} ms")

        full = Asked(client, places[1].ask(client="tunes", id="full", settings={"seed": 10_000}))
        full.end()
        steps = full.steps()
        told = [at for at, stage, _ in full.stages if stage in ("tune", "generate")]
        whole = told[-1] - told[0]

        def tuning(number: int) -> Trial | None:
            place = places[1 + number % min(8, len(places) - 1)]
            request = place.ask(client="tunes", id=f"t{number}", settings={"seed": number})
            asked = Asked(client, request)
            return trial(client, next(probe), asked, float(chance.uniform(0, whole)), 1.5 * max(steps))

        found = list(trials(sizes.tunings, tuning))
        steps += [second for one in found for second in one.steps]
        for phase, unit in (("tuning", "one step"), ("judging", "one pass of the guard")):
            chosen = [one for one in found if one.phase == phase]
            if chosen:
                yield from _rows(f"cancel while {phase}", unit, chosen, steps)

        token = client.status().model.seconds_per_token or 0.0
        writes = places[1].ask(client="writes", id="w", settings=WRITING, lines=100)
        begun = time.perf_counter()
        answer = client.complete(writes)
        token = max(token, answer.seconds["write"] / max(1, answer.completion.tokens))

        def writing(number: int) -> Trial | None:
            # Another document would have its prompt read first: the same one, of which all but a letter is known.
            request = places[1].ask(
                "abcdefgh"[number % 8], client="writes", id=f"w{number}", settings=WRITING, lines=100
            )
            asked = Asked(client, request)
            return trial(
                client, next(probe), asked, float(chance.uniform(0, max(token, 0.8 * answer.seconds["write"]))), 0.0
            )

        found = list(trials(sizes.writings, writing))
        if not found:
            yield Row("cancel while writing", "within one token, p99", "no cancellation came in time")
        else:
            yield from _rows("cancel while writing", "one token", found, [token])


def _rows(what: str, unit: str, found: list[Trial], units: list[float]) -> Rows:
    free = [one.free for one in found]
    p99, longest = float(np.percentile(free, 99)), max(units)
    yield Row(f"{what} -> accelerator free ({len(found)})", f"within {unit}, p99", milliseconds(free))
    what_unit = "one token" if unit == "one token" else "one step"
    yield Row(
        f"… p99 in units of {what_unit}",
        "at most 1",
        f"{p99 / longest:.2f} ({what_unit}: mean {short(float(np.mean(units)) * 1e3)} ms,"
        f" longest {short(longest * 1e3)} ms); later steps in {sum(one.later for one in found)} of {len(found)}",
    )
