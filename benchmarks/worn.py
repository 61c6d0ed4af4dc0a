"""The repository's own adapter, in one way and another: `python benchmarks/worn.py BASE.jsonl FILE.jsonl ...`.

Of each file, which `vicinal eval` wrote (`benchmarks/records/worn`, `longer`, `choosing`), bits per byte with the
adapter against those without it in BASE, on top of memory and prompt, at the places that all files have.
"""

import argparse
from pathlib import Path

import numpy as np

from vicinal_daemon.evaluate.record import Record, read_all
from vicinal_daemon.evaluate.report import WORSE_BY, bits, values
from vicinal_daemon.evaluate.statistics import ratio

WITHOUT, WITH = "memory+prompt:sift", "memory+warm+prompt:sift"


def found(file: Path, mode: str) -> dict[str, Record]:
    """Task -> its record in this mode."""
    return {record.task: record for record in read_all([file])[1] if record.mode == mode}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    asked = parser.parse_args()
    base, worn = found(asked.base, WITHOUT), [found(file, WITH) for file in asked.files]
    tasks = [task for task in base if all(task in records for records in worn)]
    bare = values([base[task] for task in tasks], bits)
    print(f"{len(tasks)} places\n\n| file | bits per byte, of none | 5 % worse | exact lines |\n|---|---|---|---|")
    for file, records in zip(asked.files, worn, strict=True):
        own = values([records[task] for task in tasks], bits)
        told = ratio(own, bare)
        exact = sum(records[task].exact for task in tasks)
        worse = np.mean(own > WORSE_BY * bare)
        print(f"| {file.stem} | {told.value:.3f} ({told.low:.3f} to {told.high:.3f}) | {worse:.0%} | {exact} |")


if __name__ == "__main__":
    main()
