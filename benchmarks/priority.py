"""What work in the background takes from the user's own: niceness alone against standing back behind all sessions.

    python benchmarks/priority.py [--seconds 5]

For each core a process counts in a session of its own, as a compiler in a terminal would. Beside it, again for each
core, a process of another session does the same with nothing said, nice, and behind all sessions. The table says which
part of what both have counted is the user's.
"""

import argparse
import os
import subprocess
import sys

from vicinal_indexer.workers import NICENESS

COUNTS = """
import sys, time
from vicinal_indexer import priority
how, niceness, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
if how != "nothing":
    getattr(priority, how)(niceness)
print("ready", flush=True)
sys.stdin.readline()
counted, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    counted += 1
print(counted)
"""
WAYS = {"nothing": "nothing said", "step_back": "nice", "step_behind_all": "behind all sessions"}


def started(how: str, seconds: float, *, leads: bool) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", COUNTS, how, str(NICENESS), str(seconds)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=leads
    )
    assert process.stdout is not None  # noqa: S101 - a pipe
    process.stdout.readline()
    return process


def counted(processes: list[subprocess.Popen[str]]) -> list[int]:
    """Let them all go at once; what each has counted in the end."""
    for process in processes:
        assert process.stdin is not None  # noqa: S101 - a pipe
        process.stdin.write("\n")
        process.stdin.flush()
    return [int(process.communicate()[0]) for process in processes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    seconds = parser.parse_args().seconds
    cores = range(len(os.sched_getaffinity(0)))
    print("| beside it | the user's work, of both |\n|---|---|")
    for how, name in WAYS.items():
        mine = [started("nothing", seconds, leads=True) for _ in cores]
        # Children of one shell: a session that is not the user's, and which none of them leads.
        found = counted([*mine, *(started(how, seconds, leads=False) for _ in cores)])
        print(f"| {name} | {sum(found[: len(cores)]) / sum(found):.2f} |")


if __name__ == "__main__":
    main()
