"""What was measured as rows, steps and sentences.

Owns medians, floors and what is said of the worst parts. Pure: traces and rates in, values out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from vicinal_daemon.profile.flops import Rates
from vicinal_daemon.profile.operators import Kind, kind_of
from vicinal_daemon.profile.parts import BY_STEP, PARTS, STEP, Part
from vicinal_daemon.profile.recorder import Trace, by_step, total

WORST = 3
"""Parts that are told of in a sentence."""

NEAR = 1.3
"""Times its floor: a part that takes no longer is as good as done."""

LEAST_SHARE = 0.05
"""Of a part: what is less is not told in its sentence."""

_IN_A_DAEMON = {
    "memory.learn": "A daemon does it once, behind its answers.",
    "tuning.attach": "A daemon does it once.",
    "writing.wear": "A daemon keeps the LoRA attached, and only fills it.",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One part of a request.

    Attributes:
        stage, label: what it is, for people; `key` for machines.
        first: seconds in the first request.
        later: seconds in those behind it, the median; those of the first where there are no others.
        share: of `later`, of all parts', in [0, 1].
        times: how often it was done in a later request, the median.
        floor: seconds that its work takes at least, in a later request; None where it is no arithmetic of the model's.
        bound: what the floor is made of; "" where there is none.
        kinds: shares of `later` in torch, by kind of operator; None if they were not heard. What is left is outside.
    """

    stage: str
    label: str
    key: str
    first: float
    later: float
    share: float
    times: float
    floor: float | None
    bound: str
    kinds: tuple[tuple[Kind, float], ...] | None = None

    @property
    def ratio(self) -> float | None:
        """Times the floor."""
        return self.later / self.floor if self.floor else None

    @property
    def lost(self) -> float:
        """Seconds above the floor."""
        return max(0.0, self.later - (self.floor or 0.0))


@dataclass(frozen=True, slots=True)
class Step:
    """Seconds of a training step by part (median of the later requests), in the order of `BY_STEP`."""

    number: int
    seconds: tuple[tuple[str, float], ...]

    @property
    def total(self) -> float:
        """Of the whole step."""
        return sum(seconds for _, seconds in self.seconds)


def rows_of(first: Trace, later: Sequence[Trace], heard: Trace | None, rates: Rates) -> list[Row]:
    """The parts that there were, in the order of a request."""
    warm = later or (first,)
    medians = {part.key: median(total(trace.of(part.key)) for trace in warm) for part in PARTS}
    whole = sum(medians.values())
    rows = []
    for part in PARTS:
        times = median(len(trace.of(part.key)) for trace in warm)
        if not times and not first.of(part.key):
            continue
        floor, bound = _floor(part, warm, rates)
        share = medians[part.key] / whole if whole else 0.0
        kinds = _kinds(part, heard, medians[part.key]) if heard is not None else None
        seconds = total(first.of(part.key))
        row = Row(part.stage, part.label, part.key, seconds, medians[part.key], share, times, floor, bound, kinds)
        rows.append(row)
    return rows


def _floor(part: Part, warm: Sequence[Trace], rates: Rates) -> tuple[float | None, str]:
    spans = [span for trace in warm for span in trace.of(part.key)]
    if not any(span.work for span in spans):
        return None, ""
    computing = sum(span.work.flops for span in spans) / rates.flops
    reading = sum(span.work.bytes for span in spans) / rates.bandwidth
    # Each time it is done waits for one of both: a prompt for arithmetic, each token behind it for the weights.
    floor = median(sum(rates.floor(span.work) for span in trace.of(part.key)) for trace in warm)
    return floor, "arithmetic" if computing >= reading else "memory"


def _kinds(part: Part, heard: Trace, seconds: float) -> tuple[tuple[Kind, float], ...]:
    found: dict[Kind, float] = {}
    for span in heard.of(part.key):
        for operator, lasted in span.operators:
            kind = kind_of(operator)
            found[kind] = found.get(kind, 0.0) + lasted
    # Two requests are compared: the operators of the one may have taken a little longer than all of the other.
    whole = max(seconds, sum(found.values()))
    return tuple(sorted(((kind, lasted / whole) for kind, lasted in found.items()), key=lambda pair: -pair[1]))


def steps_of(traces: Sequence[Trace]) -> list[Step]:
    """Each training step, by its number from 1 on; steps that not all traces have are left out."""
    by_trace = [by_step(trace, STEP) for trace in traces]
    count = min(map(len, by_trace), default=0)
    return [
        Step(number + 1, tuple((p, median(steps[number].get(p, 0.0) for steps in by_trace)) for p in BY_STEP))
        for number in range(count)
    ]


def notes_of(rows: Iterable[Row]) -> list[str]:
    """A sentence about each of the worst parts: those that lose most seconds above their floors."""
    worst = sorted(rows, key=lambda row: -row.lost)[:WORST]
    return [_note(row) for row in worst if row.lost > 0]


def _note(row: Row) -> str:
    said = f"{row.stage}, {row.label}: {row.later:.3g} s, {row.share:.0%} of a request"
    if row.times > 1:
        said += f", {row.times:g} times {row.later / row.times:.2g} s"
    if row.ratio is None:
        said += "; no arithmetic of the model's, so there is no floor"
    elif row.ratio <= NEAR:
        said += f"; {row.ratio:.1f} times its floor: less of it would help, not a faster way to do it"
    else:
        said += f"; {row.ratio:.1f} times its floor, which is {row.bound}"
    said += f". {_dominates(row)}"
    return " ".join(filter(None, (said, _IN_A_DAEMON.get(row.key))))


def _dominates(row: Row) -> str:
    """What most of it is."""
    if row.kinds is None:
        return "What it consists of was not listened to."
    outside = 1.0 - sum(share for _, share in row.kinds)
    shares = sorted([*row.kinds, ("work outside torch's operators", outside)], key=lambda pair: -pair[1])
    return f"It is {', '.join(f'{share:.0%} {kind}' for kind, share in shares if share >= LEAST_SHARE)}."


def rates_as_json(rates: Rates) -> dict[str, object]:
    """For machines."""
    shapes = [{"shape": list(shape), "flops_per_second": rate} for shape, rate in rates.shapes]
    return {
        "flops_per_second": rates.flops,
        "bytes_per_second": rates.bandwidth,
        "shapes": shapes,
        "numbers": rates.numbers,
    }


def row_as_json(row: Row) -> dict[str, object]:
    """For machines."""
    return {**asdict(row), "kinds": None if row.kinds is None else dict(row.kinds), "ratio": row.ratio}
