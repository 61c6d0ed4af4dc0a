"""A week of work, compressed, and whether anything grows: `python benchmarks/soak.py [--minutes 30]`.

Examples:

    python benchmarks/soak.py --minutes 10 --png week.png --json week.json
    python benchmarks/soak.py --minutes 0.6 --leak memory     # shows that a leak is found: exit code 1

A real daemon, with a small model of random weights, is typed at, saved under, put to sleep and started anew. Memory,
open handles, threads, disk and latency are read at quiet moments. Exit code 1 if something certainly grows by more than
it may, or a request fails.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from measures.house import commit, house
from measures.trend import Trend, trend
from measures.week import Sample, Week, live
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from vicinal_daemon.config import layers
from vicinal_daemon.models.tiny import write_tiny_model

LONGEST_MINUTES = 30.0
SETTLING = 0.3
"""The share of the first life in which what is loaded or cached when first needed comes to be there."""

COMPILING_MINUTES = 3.0
"""A shorter week is in float32: in bfloat16 the engine grows by 40 MB in its first minute or two, by code for each
shape of product, once."""

START = """
import sys
if "vicinal_daemon.worker" in sys.orig_argv:
    from vicinal_daemon.generate import trunk
    trunk.BYTES_IN_MEMORY = 2**18
"""
# What processes that are started do first. What the engine remembers of texts that were studied may take 256 MB: that
# takes hours and would look like a leak, so here it is full at once.

LEAK = """
import threading
if "run" in sys.orig_argv and "daemon" in sys.orig_argv:
    held = []
    def leak():
        while not threading.Event().wait(0.2):
            held.append({what})
    threading.Thread(target=leak, daemon=True).start()
"""
LEAKS = {"memory": 'b"x" * 1_500_000', "handles": "open(__file__)"}


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is watched: how much of it may come in a run, in its unit."""

    name: str
    what: str
    unit: str
    allowance: float


MEASURES = (
    Measure("daemon_mb", "memory of the daemon", "MB", 15.0),
    Measure("engine_mb", "memory of the engine", "MB", 15.0),
    Measure("handles", "open handles", "", 6.0),
    Measure("threads", "threads", "", 4.0),
    Measure("disk_mb", "disk of the data folder", "MB", 8.0),
    Measure("latency_ms", "median latency of an answer", "ms", 40.0),
)


def trends(samples: Sequence[Sample]) -> dict[str, Trend]:
    """What each measure does in the daemon's first and longest life, once it has settled."""
    first = [sample for sample in samples if sample.life == 0]
    settled = first[int(len(first) * SETTLING) :]
    at = [sample.seconds for sample in settled]
    return {one.name: trend(at, [getattr(sample, one.name) for sample in settled], one.allowance) for one in MEASURES}


@contextmanager
def prepared(leak: str | None) -> Iterator[None]:
    """Daemons that are started in the block have small caches, and lose something all the time if they are to."""
    with tempfile.TemporaryDirectory() as folder:
        text = START + (LEAK.replace("{what}", LEAKS[leak]) if leak is not None else "")
        (Path(folder) / "sitecustomize.py").write_text(text)
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, before)))
        try:
            yield
        finally:
            os.environ.pop("PYTHONPATH")
            if before is not None:
                os.environ["PYTHONPATH"] = before


def draw(week: Week, found: dict[str, Trend], file: Path) -> None:
    """All measures over time, one below the other."""
    from matplotlib.figure import Figure  # not pyplot: it looks for a display

    canvas = Figure(figsize=(8.0, 11.0), dpi=120, layout="constrained")
    for axes, one in zip(canvas.subplots(len(MEASURES), sharex=True), MEASURES, strict=True):
        for life in sorted({sample.life for sample in week.samples}):
            own = [sample for sample in week.samples if sample.life == life]
            minutes = [sample.seconds / 60 for sample in own]
            axes.plot(minutes, [getattr(sample, one.name) for sample in own], ".-", label=f"life {life + 1}")
        told = found[one.name]
        axes.set_title(
            f"{one.what}: {told.slope * 60:+.3g} {one.unit} a minute{', it leaks' if told.leaks else ''}", fontsize=9
        )
        axes.set_ylabel(one.unit)
        axes.set_ylim(0, 1.1 * max(getattr(sample, one.name) for sample in week.samples))
        axes.grid(alpha=0.3)
    canvas.axes[0].legend(fontsize="small")
    canvas.axes[-1].set_xlabel("minutes")
    canvas.savefig(file)


def table(week: Week, found: dict[str, Trend]) -> Table:
    """What was seen, for a terminal."""
    shown = Table("what", "first", "last", "most", "per minute (99 %)", "certain growth", "allowed", "", box=None)
    for one in MEASURES:
        values = [getattr(sample, one.name) for sample in week.samples]
        told = found[one.name]
        shown.add_row(
            one.what,
            *(f"{value:,.1f} {one.unit}" for value in (values[0], values[-1], max(values))),
            f"{told.slope * 60:+.3g} ({told.low * 60:+.3g} to {told.high * 60:+.3g})",
            f"{told.growth:.3g} {one.unit}",
            f"{told.allowed:.3g} {one.unit}",
            "[red]leaks[/]" if told.leaks else "ok",
        )
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=LONGEST_MINUTES, help="of the whole week, 30 at most")
    parser.add_argument("--png", type=Path, help="draw the week into this file")
    parser.add_argument("--json", type=Path, help="write samples and trends into this file")
    parser.add_argument("--leak", choices=LEAKS, help="let the daemon lose something, to see that it is found")
    chosen = parser.parse_args()
    if not 0 < chosen.minutes <= LONGEST_MINUTES:
        parser.error(f"a week takes up to {LONGEST_MINUTES:g} minutes")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that daemons are stopped
    told = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=told) as progress:
        model = write_tiny_model(Path(folder) / "tiny")
        task = progress.add_task("the week begins")

        def show(sample: Sample) -> None:
            progress.update(
                task, description=f"life {sample.life + 1}, {sample.keys:,} keys, {sample.daemon_mb:.0f} MB"
            )

        with house(str(model)) as home, prepared(chosen.leak):
            flags = {"tune.rank": 4, "tune.steps": 3, "tune.max_tokens": 64, "prompt.context_tokens": 128}
            flags |= {"generate.max_tokens": 12, "warm.steps": 8, "warm.idle_seconds": 1.0}
            if chosen.minutes < COMPILING_MINUTES:
                flags["model.precision"] = "float32"
            week = live(replace(home, settings=layers.overridden(home.settings, flags)), chosen.minutes, show)
    found = trends(week.samples)
    if chosen.json is not None:
        said = {"commit": commit(), **asdict(week), "trends": {name: asdict(one) for name, one in found.items()}}
        chosen.json.write_text(json.dumps(said, indent=1))
    if chosen.png is not None:
        draw(week, found, chosen.png)
    out = Console()
    out.print(table(week, found))
    out.print(
        f"{week.keys:,} keys, {week.answered:,} answers, {week.dropped} dropped, {week.saves} saves,"
        f" {week.switches} branches switched, {week.sleeps} rests; {week.samples[-1].seconds / 60:.1f} minutes"
    )
    for failure in sorted(set(week.failures))[:5]:
        out.print(failure, style="red", markup=False)
    sys.exit(1 if any(one.leaks for one in found.values()) or week.failures else 0)


if __name__ == "__main__":
    main()
