"""A profile as a PNG, by matplotlib, which comes with the extra `vicinal[pictures]`.

Owns its looks: bars of the parts with their floors, and the training steps, stacked.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vicinal_daemon.extras import require_matplotlib
from vicinal_daemon.profile.parts import PARTS
from vicinal_daemon.profile.report import Row, Step
from vicinal_indexer.errors import InputError

DPI = 144
SIZE = (11.0, 6.0)


def save(rows: Sequence[Row], steps: Sequence[Step], title: str, file: Path) -> None:
    """Draw into `file`.

    Raises:
        ExtraMissing: matplotlib is not installed.
        InputError: the file cannot be written.
    """
    require_matplotlib()
    from matplotlib.figure import Figure as Canvas  # not pyplot: it keeps figures, and looks for a display

    canvas = Canvas(figsize=SIZE, dpi=DPI, layout="constrained")
    left, *right = canvas.subplots(1, 2 if steps else 1, squeeze=False)[0]
    _parts(left, rows)
    for axes in right:
        _steps(axes, steps)
    canvas.suptitle(title)
    try:
        canvas.savefig(file, format="png")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}", hint="name another file") from error


def _parts(axes: Any, rows: Sequence[Row]) -> None:
    names = [f"{row.stage}: {row.label}" for row in rows]
    places = range(len(rows))
    axes.barh([p - 0.2 for p in places], [row.first for row in rows], height=0.4, color="0.8", label="first request")
    axes.barh([p + 0.2 for p in places], [row.later for row in rows], height=0.4, color="C0", label="later requests")
    known = [(place, row.floor) for place, row in enumerate(rows) if row.floor is not None]
    axes.plot([f for _, f in known], [p + 0.2 for p, _ in known], "|", color="C3", markersize=9, label="the floor")
    axes.set_yticks(list(places), names, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("seconds")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(fontsize="small")


def _steps(axes: Any, steps: Sequence[Step]) -> None:
    labels = {part.key: part.label for part in PARTS}
    numbers = [step.number for step in steps]
    below = [0.0] * len(steps)
    for place, (key, _) in enumerate(steps[0].seconds):
        heights = [step.seconds[place][1] for step in steps]
        axes.bar(numbers, heights, bottom=below, label=labels[key])
        below = [sum(pair) for pair in zip(below, heights, strict=True)]
    axes.set(title="training steps, later requests", xlabel="step", ylabel="seconds", xticks=numbers)
    axes.legend(fontsize="small")
