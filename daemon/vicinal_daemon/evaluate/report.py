"""From records to tables.

Owns which numbers stand in which table, with their intervals. Pure; Markdown and JSON.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vicinal_daemon.evaluate import statistics
from vicinal_daemon.evaluate.modes import IN_FILE
from vicinal_daemon.evaluate.record import Header, Record, by_mode
from vicinal_daemon.evaluate.statistics import Interval, Vector

WORSE_BY = 1.05
"""A place counts as made worse if its bits per byte rise by more than 5 %."""

PAIRS = (
    ("prompt:sift", "prompt:bm25"),
    ("prompt:sift", "prompt:hybrid"),
    ("prompt:sift", "prompt:nn"),
    ("tune:sift", "in-file"),
    ("tune:sift", "tune:nn"),
    ("tune:sift", "tune:random"),
    ("tune:sift", "tune:uncertainty"),
    ("tune:sift+prompt:sift", "in-file"),
    ("tune:sift+prompt:sift", "prompt:sift"),
    ("tune:sift+prompt:sift", "tune:nn+prompt:sift"),
    ("warm", "in-file"),
    ("warm+prompt:sift", "prompt:sift"),
    ("warm+tune:sift", "tune:sift"),
    ("warm+tune:sift+prompt:sift", "tune:sift+prompt:sift"),
    ("planted+tune:nn", "in-file"),
    ("planted+tune:sift", "in-file"),
    ("planted+tune:sift", "planted+tune:nn"),
)
"""Differences worth a look, where both modes were measured."""

SPLITS: tuple[tuple[str, Callable[[Record], str]], ...] = (
    ("repository", lambda record: record.repo),
    ("kind", lambda record: record.kind),
    ("language", lambda record: record.language),
)

Of = Callable[[Record], float]


def values(records: Iterable[Record], of: Of) -> Vector:
    """(n,): one number of each record."""
    return np.array([of(record) for record in records], np.float64)


def bits(record: Record) -> float:
    """Bits per byte, guarded."""
    return record.bits


def exact(record: Record) -> float:
    """1 if the shown text is right."""
    return float(record.exact)


def summary(records: Sequence[Record]) -> dict[str, Any]:
    """All numbers of the tables, as plain values."""
    grouped = by_mode(records)
    base = grouped.get(IN_FILE.name, [])
    return {
        "tasks": len(next(iter(grouped.values()), [])),
        "left_out": len({(r.repo, r.task) for r in records}) - len(next(iter(grouped.values()), [])),
        "modes": {mode: _of_mode(found, base) for mode, found in grouped.items()},
        "pairs": [_of_pair(grouped, first, second) for first, second in _pairs(grouped)],
    }


def _of_mode(found: Sequence[Record], base: Sequence[Record]) -> dict[str, Any]:
    own, reference = values(found, bits), values(base, bits)
    return {
        "exact": asdict(statistics.mean(values(found, exact))),
        "similarity": asdict(statistics.mean(values(found, lambda r: r.similarity))),
        "bits": asdict(statistics.mean(own)),
        "ratio": asdict(statistics.ratio(own, reference)) if len(base) else None,
        "unguarded_bits": asdict(statistics.mean(values(found, lambda r: r.unguarded_bits))),
        "worse": float(np.mean(own > WORSE_BY * reference)) if len(base) and len(found) else None,
        "steps": float(values(found, lambda r: r.steps).mean()) if found else None,
        "scale": float(values(found, lambda r: r.scale).mean()) if found else None,
        "seconds": asdict(statistics.mean(values(found, lambda r: r.seconds))),
    }


def _pairs(grouped: dict[str, list[Record]]) -> list[tuple[str, str]]:
    """The pairs that were measured, and the best mode that tunes against the best that only prompts."""
    pairs = [pair for pair in PAIRS if all(mode in grouped for mode in pair)]
    prompting = [mode for mode in grouped if mode.startswith("prompt:")]
    tuning = [mode for mode in grouped if "tune:" in mode and "planted" not in mode]
    if prompting and tuning:
        best = [min(modes, key=lambda mode: values(grouped[mode], bits).mean()) for modes in (tuning, prompting)]
        pairs.append((best[0], best[1]))
    return list(dict.fromkeys(pairs))


def _of_pair(grouped: dict[str, list[Record]], first: str, second: str) -> dict[str, Any]:
    a, b = grouped[first], grouped[second]
    own, other = values(a, bits), values(b, bits)
    return {
        "first": first,
        "second": second,
        "bits": asdict(statistics.difference(own, other)),
        "ratio": asdict(statistics.ratio(own, other)),
        "exact": asdict(statistics.difference(values(a, exact), values(b, exact))),
        "better": int((own < other).sum()),
        "tasks": len(own),
    }


def markdown(headers: Sequence[Header], records: Sequence[Record]) -> str:
    """What was measured, a table of modes, one of differences, then by repository, kind and language."""
    told = summary(records)
    parts = [_about(headers, told), _table(told), _pair_table(told)]
    for title, of in SPLITS:
        names = sorted({of(record) for record in records})
        if len(names) > 1:
            parts.append(_split_table(title, {name: [r for r in records if of(r) == name] for name in names}))
    return "\n\n".join(filter(None, parts)) + "\n"


def _about(headers: Sequence[Header], told: dict[str, Any]) -> str:
    repos = ", ".join(f"{h.repo} ({h.commit[:10] or 'no commit'})" for h in headers)
    models = ", ".join(sorted({h.model for h in headers}))
    seeds = ", ".join(sorted({str(h.seed) for h in headers}))
    left_out = f"; {told['left_out']} more are not measured in all modes and left out" if told["left_out"] else ""
    return (
        f"{repos}; model {models}; seed {seeds}; {told['tasks']} tasks{left_out}. "
        "Intervals: 95 %, bootstrap over tasks."
    )


def _table(told: dict[str, Any]) -> str:
    rows = [
        "| mode | exact match | edit similarity | bits/byte | of in-file | unguarded | 5 % worse | steps | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for mode, found in told["modes"].items():
        ratio = _spread(found["ratio"], "{:.3f}") if found["ratio"] else "-"
        worse = f"{found['worse']:.0%}" if found["worse"] is not None else "-"
        rows.append(
            f"| {mode} | {_spread(found['exact'], '{:.1%}')} | {_spread(found['similarity'], '{:.3f}')} "
            f"| {_spread(found['bits'], '{:.3f}')} | {ratio} | {found['unguarded_bits']['value']:.3f} | {worse} "
            f"| {found['steps'] or 0:.1f} | {found['seconds']['value']:.1f} |"
        )
    return "\n".join(rows)


def _pair_table(told: dict[str, Any]) -> str:
    if not told["pairs"]:
        return ""
    rows = ["| paired | bits/byte, difference | ratio | exact match, points | better |", "|---|---|---|---|---|"]
    for pair in told["pairs"]:
        points = Interval(**{name: 100 * value for name, value in pair["exact"].items()})
        rows.append(
            f"| {pair['first']} − {pair['second']} | {_spread(pair['bits'], '{:+.3f}')} "
            f"| {_spread(pair['ratio'], '{:.3f}')} | {_spread(asdict(points), '{:+.1f}')} "
            f"| {pair['better']} of {pair['tasks']} |"
        )
    return "\n".join(rows)


def _split_table(title: str, split: dict[str, list[Record]]) -> str:
    grouped = {name: by_mode(found) for name, found in split.items()}
    modes = list(dict.fromkeys(mode for found in grouped.values() for mode in found))
    sizes = {name: len(next(iter(found.values()))) for name, found in grouped.items()}
    rows = [
        f"| bits/byte (exact match) by {title} | " + " | ".join(f"{n} ({sizes[n]})" for n in grouped) + " |",
        "|---" * (len(grouped) + 1) + "|",
    ]
    for mode in modes:
        cells = [
            f"{values(found[mode], bits).mean():.3f} ({values(found[mode], exact).mean():.0%})"
            if found.get(mode)
            else "-"
            for found in grouped.values()
        ]
        rows.append(f"| {mode} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _spread(found: dict[str, float], form: str) -> str:
    interval = Interval(**found)
    return f"{form.format(interval.value)} [{form.format(interval.low)}, {form.format(interval.high)}]"
