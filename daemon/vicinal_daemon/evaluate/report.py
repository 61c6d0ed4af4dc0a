"""From measurements to a table.

Owns the statistics: means over places, and paired differences with their standard errors. Pure.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev

from vicinal_daemon.evaluate.measure import Measurement


def by_mode(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Measurements of each mode, in the same order of places."""
    grouped: dict[str, list[Measurement]] = {}
    for measurement in sorted(measurements, key=lambda m: (m.path, m.line)):
        grouped.setdefault(measurement.mode, []).append(measurement)
    return grouped


def paired_difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Mean of first - second over the same places, and its standard error (0 for a single place)."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    return fmean(differences), error


def markdown_table(measurements: Iterable[Measurement]) -> str:
    """One row a mode; differences are to the first mode that was measured, `in-file`."""
    grouped = by_mode(measurements)
    rows = [
        "| mode | bits/byte | ratio | difference to in-file | unguarded | worse by >5 % | steps | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    reference = [m.bits for m in grouped["in-file"]]
    for mode, values in grouped.items():
        bits = [m.bits for m in values]
        mean, error = paired_difference(bits, reference)
        worse = sum(b > 1.05 * r for b, r in zip(bits, reference, strict=True)) / len(bits)
        rows.append(
            f"| {mode} | {fmean(bits):.3f} | {fmean(bits) / fmean(reference):.3f} | {mean:+.3f} ± {error:.3f} "
            f"| {fmean(m.unguarded for m in values):.3f} | {worse:.0%} "
            f"| {fmean(m.steps for m in values):.1f} | {fmean(m.seconds for m in values):.1f} |"
        )
    return "\n".join(rows)


def markdown_pairs(measurements: Iterable[Measurement], pairs: Sequence[tuple[str, str]]) -> str:
    """Paired differences between two modes each."""
    grouped = by_mode(measurements)
    rows = ["| paired difference, bits/byte | mean ± standard error | better places |", "|---|---|---|"]
    for first, second in pairs:
        a, b = [m.bits for m in grouped[first]], [m.bits for m in grouped[second]]
        mean, error = paired_difference(a, b)
        better = sum(x < y for x, y in zip(a, b, strict=True))
        rows.append(f"| {first} − {second} | {mean:+.3f} ± {error:.3f} | {better} of {len(a)} |")
    return "\n".join(rows)
