"""What the judging repositories say, against issue 6's goals: `python benchmarks/judged.py [--svg docs/judged.svg]`.

Reads `benchmarks/records/*.jsonl` (or the files named), which `vicinal eval` wrote as `benchmarks/repositories.md`
says, and measures nothing. Only tasks that were measured in all modes count. Of each repository the best prompt-only
mode is the one with the least mean bits per byte on it; for all together each one's own is taken, in favour of prompts.
The confidence is that of the calibration which comes with the package now, from the evidence in the records; with
`--calibration` that of another one, with `--as-recorded` what was said then. With `--adapter DIR` the modes with
memory, with and without the adapter, are those of the records there (`records/courses`: the adapter that ships), at the
places that both have; these are in bfloat16, the others as they were measured, which differs by half a percent at most.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vicinal_daemon.evaluate.modes import IN_FILE
from vicinal_daemon.evaluate.record import Record, by_mode, read_all
from vicinal_daemon.evaluate.report import WORSE_BY, bits, exact, values
from vicinal_daemon.evaluate.statistics import Interval, difference, ratio
from vicinal_daemon.uncertainty import Belief, calibration
from vicinal_daemon.uncertainty.scoring import (
    Estimate,
    auroc,
    calibration_error,
    estimate,
    estimate_difference,
    right_lost,
)

RECORDS = Path(__file__).parent / "records"
PROMPTS = ("prompt:bm25", "prompt:hybrid", "prompt:nn", "prompt:sift")
FULL, BARE_FULL = "memory+warm+prompt:sift", "memory+prompt:sift"
NAMES = {
    IN_FILE.name: "the file alone",
    "prompt:bm25": "BM25 in the prompt",
    "prompt:hybrid": "hybrid search in the prompt",
    "prompt:nn": "nearest in the prompt",
    "prompt:sift": "SIFT in the prompt",
    BARE_FULL: "+ memory",
    FULL: "+ memory + own adapter",
}
ALL = "all"

Grouped = dict[str, list[Record]]
Confidence = Callable[[Record], float]


def told(found: Interval | Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def best_prompt(grouped: Grouped) -> str:
    """The prompt-only mode with the least mean bits per byte."""
    return min(PROMPTS, key=lambda mode: values(grouped[mode], bits).mean())


def together(parts: Sequence[Grouped]) -> Grouped:
    """All tasks of all repositories; `best` holds each repository's best prompt-only mode."""
    modes = {mode: [record for part in parts for record in part[mode]] for mode in NAMES}
    return modes | {"best": [record for part in parts for record in part[best_prompt(part)]]}


def modes_table(by_name: dict[str, Grouped]) -> None:
    """Bits per byte as ratios to the file alone, and exact matches."""
    print(f"| mode | {' | '.join(by_name)} |\n|---|{'---|' * len(by_name)}")
    print(f"| places | {' | '.join(str(len(grouped[FULL])) for grouped in by_name.values())} |")
    for mode, name in NAMES.items():
        cells = []
        for grouped in by_name.values():
            own, base = values(grouped[mode], bits), values(grouped[IN_FILE.name], bits)
            shown = f"{own.mean():.3f} bits" if mode == IN_FILE.name else f"{ratio(own, base).value:.3f}"
            cells.append(f"{shown}, {values(grouped[mode], exact).mean():.0%}")
        print(f"| {name} (`{mode}`) | {' | '.join(cells)} |")


def confidence_by(belief: Belief) -> Confidence:
    """What is said of a record's text by another calibration than when it was measured."""
    return lambda record: belief.in_text(record.evidence.clues(record.text))


def goals_table(by_name: dict[str, Grouped], confidence: Confidence) -> None:
    """The goals that these records can tell of."""
    rows: dict[str, list[str]] = {}
    for grouped in by_name.values():
        base, full, bare = grouped[IN_FILE.name], grouped[FULL], grouped[BARE_FULL]
        best = grouped.get("best") or grouped[best_prompt(grouped)]
        own, rival = values(full, bits), values(best, bits)
        right = values(full, exact)
        claimed = values(full, confidence)
        sums = values(full, lambda record: float(np.sum(record.evidence.log_probabilities)))
        means = values(full, lambda record: float(np.mean(record.evidence.log_probabilities or (0.0,))))
        found = {
            "best prompt-only mode": "each one's own" if "best" in grouped else best_prompt(grouped),
            "bits per byte, of the file alone's": told(ratio(own, values(base, bits))),
            "bits per byte, of the best prompt's": told(ratio(own, rival)),
            "exact match, points over the file alone": told(difference(right, values(base, exact))),
            "exact match, points over the best prompt": told(difference(right, values(best, exact))),
            "own adapter against none, bits per byte": told(ratio(own, values(bare, bits))),
            "places made worse by more than 5 % by it": f"{np.mean(own > WORSE_BY * values(bare, bits)):.0%}",
        }
        if 0 < right.sum() < len(right):
            rank = max(sums, means, key=lambda scores: auroc(scores, right))
            found |= {
                "AUROC of the confidence": told(estimate(auroc, claimed, right)),
                "… over the better of sum and mean of log p": told(estimate_difference(auroc, claimed, rank, right)),
                "calibration error": told(estimate(calibration_error, claimed, right)),
                "right ones lost where half of the wrong are hidden": f"{right_lost(claimed, right):.0%}",
            }
        for name, cell in found.items():
            rows.setdefault(name, []).append(cell)
    print(f"\n| what | {' | '.join(by_name)} |\n|---|{'---|' * len(by_name)}")
    for name, cells in rows.items():
        print(f"| {name} | {' | '.join(cells)} |")


def draw(by_name: dict[str, Grouped], file: Path) -> None:
    """Bits per byte of each mode as ratios to the file alone, with their intervals."""
    import matplotlib
    from matplotlib.figure import Figure  # not pyplot: it looks for a display

    matplotlib.rcParams["svg.hashsalt"] = "vicinal"
    canvas = Figure(figsize=(8.0, 3.6), layout="constrained")
    axes = canvas.subplots()
    shown = [mode for mode in NAMES if mode != IN_FILE.name]
    width = 0.8 / len(shown)
    for number, mode in enumerate(shown):
        found = [ratio(values(g[mode], bits), values(g[IN_FILE.name], bits)) for g in by_name.values()]
        places = np.arange(len(found)) + (number - (len(shown) - 1) / 2) * width
        heights = [one.value for one in found]
        spread = [[one.value - one.low for one in found], [one.high - one.value for one in found]]
        axes.bar(places, heights, width * 0.92, label=NAMES[mode], color=f"C{number}")
        axes.errorbar(places, heights, spread, fmt="none", ecolor="0.3", elinewidth=0.8)
    axes.axhline(1.0, color="0.4", linewidth=0.8)
    axes.set_xticks(range(len(by_name)), [f"{name}\n{len(g[FULL])} places" for name, g in by_name.items()])
    axes.set_ylabel("bits per byte, of the file alone's")
    axes.legend(fontsize="x-small", ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.14), frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    canvas.savefig(file, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", help="records; default: those in benchmarks/records")
    parser.add_argument("--adapter", type=Path, metavar="DIR", help="records of another adapter")
    parser.add_argument("--calibration", type=Path, help="judge the confidence of this one")
    parser.add_argument("--as-recorded", action="store_true", help="judge the confidence that the records have")
    parser.add_argument("--svg", type=Path, help="draw them into this file")
    chosen = parser.parse_args()
    files = chosen.files or sorted(RECORDS.glob("*.jsonl"))
    if not files:
        parser.error(f"there are no records in {RECORDS}")
    _, records = read_all(files)
    if chosen.adapter is not None:
        others = read_all(sorted(chosen.adapter.glob("*.jsonl")))[1]
        both = {record.task for record in records} & {record.task for record in others}
        rest = [record for record in records if record.mode not in (FULL, BARE_FULL)]
        records = [record for record in (*rest, *others) if record.task in both]
    names = sorted({record.repo for record in records})
    by_name = {name: by_mode(record for record in records if record.repo == name) for name in names}
    by_name[ALL] = together(list(by_name.values()))
    modes_table(by_name)
    used = calibration.default_calibration()
    if chosen.calibration is not None:
        used = calibration.parsed(chosen.calibration.read_text("utf-8"), chosen.calibration.name)
    by_now = confidence_by(Belief(used.calibrator))
    goals_table(by_name, (lambda record: record.confidence) if chosen.as_recorded else by_now)
    if chosen.svg is not None:
        draw(by_name, chosen.svg)


if __name__ == "__main__":
    main()
