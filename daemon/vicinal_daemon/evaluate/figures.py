"""From records to points: what each plot shows.

Owns which numbers are drawn. Pure; it does not know how they are drawn, on paper or in a terminal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vicinal_daemon.evaluate.modes import IN_FILE
from vicinal_daemon.evaluate.record import Record, by_mode
from vicinal_daemon.evaluate.report import bits, exact, values
from vicinal_daemon.evaluate.statistics import mean

BINS = 8
"""Groups of equally many tasks, along sigma and along the confidence."""


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one name; `low` and `high` are the ends of intervals around y, or empty."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    style: Literal["line", "points", "guide"] = "line"


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot without its looks; `name` is fit for a file."""

    name: str
    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


def all_figures(records: Sequence[Record]) -> list[Figure]:
    """Every figure for which there are points, over the tasks that all modes have measured."""
    grouped = by_mode(records)
    every = [compute(grouped), steps(grouped), sigma(grouped), reliability(grouped), risk(grouped)]
    return [figure for figure in every if any(series.style != "guide" for series in figure.series)]


def compute(grouped: dict[str, list[Record]]) -> Figure:
    """Quality against compute: a point a mode, seconds against bits per byte."""
    series = []
    for mode, found in grouped.items():
        if found:
            told = mean(values(found, bits))
            seconds = float(values(found, lambda r: r.seconds).mean())
            series.append(Series(mode, (seconds,), (told.value,), (told.low,), (told.high,), "points"))
    return Figure("compute", "Quality against compute", "seconds a completion", "bits per byte", tuple(series))


def steps(grouped: dict[str, list[Record]]) -> Figure:
    """Quality against training steps, unguarded: the curves of tuned modes, over the steps that all tasks have."""
    series = []
    for mode, found in grouped.items():
        curves = [record.curve for record in found if record.curve]
        shared = sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
        if len(shared) > 1:
            told = [mean(np.array([curve[step] for curve in curves])) for step in shared]
            series.append(
                Series(
                    mode,
                    tuple(map(float, shared)),
                    tuple(t.value for t in told),
                    tuple(t.low for t in told),
                    tuple(t.high for t in told),
                )
            )
    return Figure("steps", "Quality against training steps", "steps", "bits per byte, unguarded", tuple(series))


def sigma(grouped: dict[str, list[Record]]) -> Figure:
    """Quality against sigma_n: the tasks of each mode in groups of equal size."""
    series = []
    for mode, found in grouped.items():
        sigmas = values(found, lambda r: r.evidence.sigma_n)
        x, y = _binned(sigmas, values(found, bits))
        if len(x) > 1:
            series.append(Series(mode, x, y))
    return Figure("sigma", "Quality against sigma", "sigma_n", "bits per byte", tuple(series))


def reliability(grouped: dict[str, list[Record]]) -> Figure:
    """How often texts of a confidence are right; the diagonal is a number that can be believed."""
    series = [Series("believable", (0.0, 1.0), (0.0, 1.0), style="guide")]
    for mode, found in grouped.items():
        x, y = _binned(values(found, lambda r: r.confidence), values(found, exact))
        if len(x) > 1:
            series.append(Series(mode, x, y))
    return Figure("reliability", "Reliability", "confidence", "share that is right", tuple(series))


def risk(grouped: dict[str, list[Record]]) -> Figure:
    """The share of wrong texts among those that are shown, if only the surest are."""
    series = []
    for mode, found in grouped.items():
        if len(found) > 1:
            surest = np.argsort(-values(found, lambda r: r.confidence), kind="stable")
            wrong = 1 - values(found, exact)[surest]
            shown = np.arange(1, len(found) + 1)
            series.append(
                Series(mode, tuple(map(float, shown / len(found))), tuple(map(float, np.cumsum(wrong) / shown)))
            )
    return Figure("risk", "Risk and coverage", "share that is shown", "share of those that is wrong", tuple(series))


def main_modes(figure: Figure, most: int = 6) -> Figure:
    """The same with the first `most` modes at most, guides aside: more lines cannot be told apart."""
    guides = [series for series in figure.series if series.style == "guide"]
    others = [series for series in figure.series if series.style != "guide"]
    others.sort(key=lambda series: (series.name != IN_FILE.name, series.name.count("+") == 0))
    return Figure(figure.name, figure.title, figure.x_label, figure.y_label, (*guides, *others[:most]))


def _binned(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means of x and y in groups of equally many values, by x; fewer groups where there are few values."""
    groups = min(BINS, len(x) // 5)
    if groups < 1:
        return (), ()
    order = np.array_split(np.argsort(x, kind="stable"), groups)
    return tuple(float(x[part].mean()) for part in order), tuple(float(y[part].mean()) for part in order)
