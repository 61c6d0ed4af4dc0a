"""The repository's own adapter, in one way and another: `python benchmarks/worn.py BASE.jsonl FILE.jsonl ...`.

Of each file, which `vicinal eval` wrote (`benchmarks/records/worn`, `longer`, `choosing`), bits per byte with the
adapter against those without it in BASE, on top of memory and prompt, at the places that all files have; and against
those of the file alone in another file, with `--alone`.
"""

import argparse
from pathlib import Path

import numpy as np

from vicinal_daemon.evaluate.modes import IN_FILE
from vicinal_daemon.evaluate.record import Record, read_all
from vicinal_daemon.evaluate.report import WORSE_BY, bits, values
from vicinal_daemon.evaluate.statistics import Interval, ratio

WITHOUT, WITH = "memory+prompt:sift", "memory+warm+prompt:sift"


def told(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def found(file: Path, mode: str) -> dict[str, Record]:
    """Task -> its record in this mode."""
    return {record.task: record for record in read_all([file])[1] if record.mode == mode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--alone", type=Path)
    asked = parser.parse_args()
    base, worn = found(asked.base, WITHOUT), [found(file, WITH) for file in asked.files]
    alone = found(asked.alone, IN_FILE.name) if asked.alone is not None else base
    tasks = [task for task in base if task in alone and all(task in records for records in worn)]
    bare, least = (values([records[task] for task in tasks], bits) for records in (base, alone))
    print(f"{len(tasks)} places\n\n| file | of none | of the file alone | 5 % worse | exact lines |")
    print("|---|---|---|---|---|")
    for file, records in zip(asked.files, worn, strict=True):
        own = values([records[task] for task in tasks], bits)
        against = told(ratio(own, least)) if asked.alone is not None else ""
        exact = sum(records[task].exact for task in tasks)
        print(f"| {file} | {told(ratio(own, bare))} | {against} | {np.mean(own > WORSE_BY * bare):.0%} | {exact} |")


if __name__ == "__main__":
    main()
