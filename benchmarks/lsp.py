"""What the language server costs: `python benchmarks/lsp.py [--only starts,overhead,keys,memory] [--minutes 60]`.

Starts daemons and servers of its own, as real processes in temporary folders, and stops them. Prints one Markdown
table. Completions are asked for in a copy of the installed package `rich`. The machine should do nothing else
meanwhile.
"""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from measures import keys, memory, overhead, starts
from measures.house import House, commit, house
from measures.table import Rows, print_tables

NAMES = ("starts", "overhead", "keys", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(NAMES), help="measures, with commas between them")
    parser.add_argument("--minutes", type=float, default=5.0, help="of typing, for the memory; the goal is for 60")
    parser.add_argument("--keys", type=int, default=600, help="that are typed, for the time to an answer")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it runs; no numbers to tell")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",")
    if unknown := sorted(set(wanted) - set(NAMES)):
        parser.error(f"there is no measure {', '.join(unknown)}; there are {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that daemons are stopped
    quick = chosen.quick
    measures: dict[str, Callable[[House], Rows]] = {
        "starts": lambda home: starts.measure(home, 2 if quick else 20),
        "overhead": lambda home: overhead.measure(home, 10 if quick else 200),
        "keys": lambda home: keys.measure(home, 20 if quick else chosen.keys),
        "memory": lambda home: memory.measure(home, 0.2 if quick else chosen.minutes),
    }
    load = f", load average before {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    print(
        f"Commit {commit()}, {os.cpu_count()} CPUs ({platform.machine()}), {chosen.model}{load}: it should be idle.\n"
    )

    def rows(name: str) -> Rows:
        with house(chosen.model) as home:
            yield from measures[name](home)

    print_tables(((name, rows(name)) for name in NAMES if name in wanted), chosen.json)


if __name__ == "__main__":
    main()
