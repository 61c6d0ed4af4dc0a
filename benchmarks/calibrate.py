"""Fits the calibration of the confidence, from records of `vicinal eval`, and says what each group of features adds.

    .venv/bin/python benchmarks/calibrate.py rich.jsonl zod.jsonl cobra.jsonl --mode policy --out calibration.json

Every repository is judged by a calibrator that has not seen it. Records need `repo`, `task`, `mode`, `text`,
`exact` and
`evidence`; a line with `header` names commit and model. Without --mode all modes count. With --ship the package's own
calibration is replaced; with neither --ship nor --out nothing is written.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from vicinal_daemon.evaluate.record import Evidence
from vicinal_daemon.uncertainty import calibration, fitting
from vicinal_daemon.uncertainty.features import GROUPS, MEASURED_ONLY
from vicinal_daemon.uncertainty.scoring import Estimate
from vicinal_indexer.errors import InputError, VicinalError

SHIPPED = Path(calibration.__file__).with_name(calibration.DEFAULT)


@dataclass
class Read:
    """What was found in record files."""

    answered: list[fitting.Answered] = field(default_factory=list)
    commits: dict[str, str] = field(default_factory=dict)
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    modes: set[str] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=Path)
    parser.add_argument("--mode", action="append", default=[], help="only these modes")
    parser.add_argument("--groups", default=",".join(group for group in GROUPS if group not in MEASURED_ONLY))
    parser.add_argument("--penalty", type=float, help="default: the best on repositories left out")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--model", default="smollm2-135m", help="where no header says")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--ship", action="store_true")
    parser.add_argument("--no-ablation", action="store_true")
    options = parser.parse_args()
    found = read(options.records, set(options.mode))
    answers = fitting.Answers(found.answered)
    print(
        f"{len(found.answered)} answers, {answers.right.mean():.1%} exact; left out: {dict(found.left_out) or 'none'}\n"
    )
    if not options.no_ablation:
        print(ablation_table(fitting.ablation(answers, options.penalty, resamples=options.resamples)))
    unknown = set(wanted := options.groups.split(",")) - set(GROUPS)
    if unknown:
        raise InputError(f"there are no features {', '.join(unknown)}", hint=f"known: {', '.join(GROUPS)}")
    fit = fitting.calibrate(
        answers,
        [name for group in wanted for name in GROUPS[group]],
        penalty=options.penalty,
        model=", ".join(sorted(found.models)) or options.model,
        modes=sorted(found.modes),
        fitted_on=datetime.now(UTC).date().isoformat(),
        origins={
            name: (found.commits.get(name, ""), found.languages[name].most_common(1)[0][0])
            for name in answers.repositories
        },
        resamples=options.resamples,
    )
    print(sheet_table(fit))
    for file in [*([options.out] if options.out else []), *([SHIPPED] if options.ship else [])]:
        calibration.save(fit, file)
        print(f"written: {file.name}")


def read(files: Sequence[Path], modes: set[str]) -> Read:
    """The answers in these files. Empty texts are left out: they are 0 by rule.

    Raises:
        InputError: a file is none of records.
    """
    found = Read()
    for file in files:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                record = json.loads(line)
                if "header" in record:
                    found.commits[record["header"]["repo"]] = record["header"]["commit"]
                    found.models.add(record["header"]["model"])
                    continue
                if not modes or record["mode"] in modes:
                    found.answered += take(record, found)
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{file}, line {number}, is no record: {error!r}") from error
    return found


def take(record: dict[str, Any], found: Read) -> Iterator[fitting.Answered]:
    evidence = Evidence(**record["evidence"])
    if evidence.first_entropy is None:
        found.left_out["no entropy"] += 1
        return
    clues = evidence.clues(record["text"])
    if clues is None:
        found.left_out["nothing shown"] += 1
        return
    found.modes.add(record["mode"])
    found.languages.setdefault(record["repo"], Counter())[record["language"]] += 1
    yield fitting.Answered(record["repo"], record["task"], clues, bool(record["exact"]))


def ablation_table(rows: list[fitting.Row]) -> str:
    lines = [
        "| features | AUROC | over the row before | over log-probabilities alone | Brier skill | calibration error "
        "| right ones lost, half of the wrong hidden |",
        "|---|---|---|---|---|---|---|",
    ]
    for n, row in enumerate(rows):
        m = row.measures
        step, gain = (told(row.step, sign=True), told(row.gain, sign=True)) if n else ("", "")
        lines.append(
            f"| {row.name} | {told(m['auroc'])} | {step} | {gain} | {told(m['brier_skill'])} "
            f"| {told(m['calibration_error'])} | {told(m['right_lost'])} |"
        )
    lines.append("")
    for row in rows[1:]:
        known = {name: step for name, step in row.steps.items() if isfinite(step)}  # not where all answers are alike
        where = ", ".join(f"{name} {step:+.3f}" for name, step in known.items())
        nothing = [name for name, step in known.items() if step <= 0]
        lines.append(f"`{row.name}`, AUROC by repository: {where}; adds nothing in: {', '.join(nothing) or 'none'}  ")
    return "\n".join(lines) + "\n"


def sheet_table(fit: calibration.Calibration) -> str:
    sheet = fit.sheet
    lines = [f"penalty {sheet.penalty:g}; " + ", ".join(f"{name} {told(e)}" for name, e in sheet.measures.items())]
    lines += [f"{s.repository}: {s.tasks} tasks, {s.answers} answers, {s.right} right" for s in sheet.sources]
    lines += [
        f"below {h.threshold:.2f}: {h.wrong_hidden:.0%} of the wrong ones, {h.right_hidden:.0%} of the right ones"
        for h in sheet.hiding
    ]
    lines += [f"claimed {b.claimed:.2f}, right {b.right:.2f} ({b.count})" for b in sheet.reliability]
    weights = sorted(zip(fit.calibrator.weights, fit.calibrator.features, strict=True), key=lambda w: -abs(w[0]))
    return "\n".join([*lines, ", ".join(f"{name} {weight:+.2f}" for weight, name in weights)])


def told(estimate: Estimate, *, sign: bool = False) -> str:
    form = "{:+.3f}" if sign else "{:.3f}"
    return f"{form.format(estimate.value)} [{form.format(estimate.low)}, {form.format(estimate.high)}]"


if __name__ == "__main__":
    try:
        main()
    except VicinalError as error:
        sys.exit(f"error: {error.message}\nhint: {error.hint}")
