"""What the daemon costs: `python benchmarks/daemon.py [--only own,cancel,typed,adapt,behind,load,cold,restart,...]`.

Starts daemons of its own, as real processes in temporary folders, and stops them. Prints one Markdown table.
Completions are asked for in a copy of the installed package `rich`; a restart is measured with 10,000 files of the
installed packages, or with `--corpus`, which is only read. The machine should do nothing else meanwhile.
"""

import argparse
import os
import platform
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from measures import adapt, behind, cancel, cold, engines, load, own, restart, typed
from measures.house import QUICK, House, Sizes, commit, house
from measures.table import Rows, print_tables

NAMES = ("own", "cancel", "typed", "adapt", "behind", "load", "cold", "restart", "engines")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(NAMES), help="measures, with commas between them")
    parser.add_argument("--seconds", type=float, default=120.0, help="of the load")
    parser.add_argument("--corpus", type=Path, help="the repository of the restart")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--quick", action="store_true", help="a few of each, to see that it runs; no numbers to tell")
    chosen = parser.parse_args()
    wanted = chosen.only.split(",")
    if unknown := sorted(set(wanted) - set(NAMES)):
        parser.error(f"there is no measure {', '.join(unknown)}; there are {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that daemons are stopped
    sizes = QUICK if chosen.quick else Sizes()
    measures: dict[str, Callable[[House], Rows]] = {
        "own": lambda home: own.measure(home, sizes),
        "cancel": lambda home: cancel.measure(home, sizes),
        "typed": lambda home: typed.measure(home, sizes),
        "adapt": lambda home: adapt.measure(home, sizes),
        "behind": lambda home: behind.measure(home, sizes),
        "load": lambda home: load.measure(home, sizes, chosen.seconds),
        "cold": lambda home: cold.measure(home, sizes),
        "restart": lambda home: restart.measure(home, sizes, chosen.corpus),
        "engines": lambda home: engines.measure(home, sizes),
    }
    print(
        f"Commit {commit()}, {os.cpu_count()} CPUs ({platform.machine()}), {chosen.model};"
        f" load average before {os.getloadavg()[0]:.2f}: the machine should be idle.\n"
        if hasattr(os, "getloadavg")
        else f"Commit {commit()}, {os.cpu_count()} CPUs, {chosen.model}; the machine should be idle.\n"
    )

    def rows(name: str) -> Rows:
        with house(chosen.model) as home:
            yield from measures[name](home)

    print_tables(((name, rows(name)) for name in NAMES if name in wanted), chosen.json)


if __name__ == "__main__":
    main()
