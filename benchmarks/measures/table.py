"""Rows of the table, how they are printed, and the few statistics in them."""

import json
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `goal` is empty where there is none."""

    what: str
    goal: str
    measured: str

    def __str__(self) -> str:
        return f"| {self.what} | {self.goal} | {self.measured} |"


Rows = Iterator[Row]


def print_tables(measured: Iterable[tuple[str, Rows]], file: Path | None) -> None:
    """One Markdown table of all measures, by name, each row as it comes; all rows so far also in a file."""
    print("| what | goal | measured |\n|---|---|---|", flush=True)
    told: dict[str, list[dict[str, str]]] = {}
    for name, rows in measured:
        told[name] = []
        for row in rows:
            print(row, flush=True)
            told[name].append(asdict(row))
        if file is not None:
            file.write_text(json.dumps(told, indent=1))


def milliseconds(seconds: Sequence[float], points: Sequence[int] = (50, 95, 99)) -> str:
    """`p50 1.2 ms, p95 3.4 ms, ...` of times in seconds."""
    if not seconds:
        return "none"
    values = np.percentile(np.array(seconds) * 1e3, points)
    return ", ".join(f"p{point} {short(value)} ms" for point, value in zip(points, values, strict=True))


def short(value: float) -> str:
    """Three digits or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Growth per unit of time, by least squares; 0 for fewer than two values."""
    if len(times) < 2:
        return 0.0
    return float(np.polyfit(np.array(times), np.array(values), 1)[0])
