"""Figures as PNG files, by matplotlib.

Owns their looks. matplotlib comes with the extra `vicinal[pictures]`.
"""

from collections.abc import Sequence
from pathlib import Path

from vicinal_daemon.errors import RecordsUnusable
from vicinal_daemon.evaluate.figures import Figure
from vicinal_daemon.extras import require_matplotlib

DPI = 144
SIZE = (7.0, 4.5)


def save(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Draw each figure into `folder`, as `NAME.png`; returns the files.

    Raises:
        ExtraMissing: matplotlib is not installed.
        RecordsUnusable: the folder cannot be written.
    """
    require_matplotlib()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_save(figure, folder / f"{figure.name}.png") for figure in figures]
    except OSError as error:
        raise RecordsUnusable(
            f"plots cannot be written to {folder}: {error.strerror}", hint="name another folder with --plots"
        ) from error


def _save(figure: Figure, file: Path) -> Path:
    from matplotlib.figure import Figure as Canvas  # not pyplot: it keeps figures, and looks for a display

    canvas = Canvas(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = canvas.add_subplot()
    for series in figure.series:
        if series.style == "guide":
            axes.plot(series.x, series.y, color="0.7", linestyle="--", label=series.name)
            continue
        errors = None
        if series.low:
            below = [max(0.0, y - low) for y, low in zip(series.y, series.low, strict=True)]
            errors = [below, [max(0.0, high - y) for y, high in zip(series.y, series.high, strict=True)]]
        line = "none" if series.style == "points" else "-"
        axes.errorbar(
            series.x, series.y, yerr=errors, label=series.name, marker="o", markersize=4, linestyle=line, capsize=3
        )
    axes.set(title=figure.title, xlabel=figure.x_label, ylabel=figure.y_label)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    canvas.savefig(file)
    return file
