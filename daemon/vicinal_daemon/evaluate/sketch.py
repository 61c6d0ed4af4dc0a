"""Figures in a terminal: characters on a grid, with a legend.

Owns the drawing. Pure: a figure in, lines of text out. It colours nothing, so that it can be piped.
"""

from collections.abc import Iterator
from itertools import pairwise

from vicinal_daemon.evaluate.figures import Figure, Series

WIDTH, HEIGHT = 64, 14
_MARKS = "ox+*#@%&$=~^"
_GUIDE = "."


def sketch(figure: Figure, width: int = WIDTH, height: int = HEIGHT) -> str:
    """The figure as text, `height` rows of points and its axes and legend; one without points is only its title."""
    xs = [x for series in figure.series for x in series.x]
    ys = [y for series in figure.series for y in series.y]
    if not xs:
        return figure.title
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    grid = [[" "] * width for _ in range(height)]
    named: list[tuple[str, str]] = []
    for series in sorted(figure.series, key=lambda series: series.style != "guide"):
        mark = _GUIDE if series.style == "guide" else _MARKS[len(named) % len(_MARKS)]
        if series.style != "guide":
            named.append((mark, series.name))
        for x, y in _points(series, width):
            column = round((x - left) / (right - left) * (width - 1)) if right > left else width // 2
            row = round((top - y) / (top - bottom) * (height - 1)) if top > bottom else height // 2
            grid[row][column] = mark
    labels = {0: f"{top:.3g}", height - 1: f"{bottom:.3g}"}
    margin = max(map(len, labels.values()))
    rows = [f"{labels.get(number, ''):>{margin}} |{''.join(row).rstrip()}" for number, row in enumerate(grid)]
    low, high = f"{left:.3g}", f"{right:.3g}"
    pad = " " * margin
    return "\n".join(
        [
            f"{figure.title}: {figure.y_label}",
            *rows,
            f"{pad} +{'-' * width}",
            f"{pad}  {low}{figure.x_label:^{max(0, width - len(low) - len(high))}}{high}",
            *(f"{pad}  {mark} {name}" for mark, name in named),
        ]
    )


def _points(series: Series, width: int) -> Iterator[tuple[float, float]]:
    """The points of a series; for a line also those between them, one a column."""
    points = list(zip(series.x, series.y, strict=True))
    if series.style == "points" or len(points) < 2:
        yield from points
        return
    for (x, y), (next_x, next_y) in pairwise(points):
        for part in range(width + 1):
            share = part / width
            yield x + share * (next_x - x), y + share * (next_y - y)
