"""`vicinal complete` as a process of its own: by itself, and through a daemon that runs."""

import json
import os
import subprocess
import sys
import time

from measures.house import House, Sizes, Spot, daemon, one_a_file, package, quiet, ready, spread
from measures.table import Row, Rows, median

BUDGET_MS = 3000


def command(home: House, spot: Spot, *options: str) -> float:
    """Wall-clock seconds of the command."""
    words = [sys.executable, "-m", "vicinal_daemon.cli", "complete", f"{spot.root / spot.path}:{spot.line}"]
    words += ["--repo", str(spot.root), "--json", "--no-compare", *options]
    begun = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **home.environment}, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed with {done.returncode}: {done.stderr}")
    told = json.loads(done.stdout)
    print(f"  {spot.path}:{spot.line} {options}: {seconds:.2f} s, {told['adaptation']['kind']}", file=sys.stderr)
    return seconds


def measure(home: House, sizes: Sizes) -> Rows:
    root = package("rich", home.folder / "rich")
    places = spread(one_a_file(root), sizes.places)
    command(home, places[0], "--no-daemon", "--steps", "0")  # so that there is an index, with a daemon and without
    alone = [command(home, place, "--no-daemon") for place in places]
    with daemon(home) as client:
        ready(client, root)
        first, second, third = [], [], []
        for place in places:
            quiet(client)
            first.append(command(home, place, "--daemon"))
            second.append(command(home, place, "--daemon"))
            quiet(client)  # what is tuned behind is ready
            third.append(command(home, place, "--daemon"))
    with daemon(home) as client:  # places of their own: nothing of the above helps
        ready(client, root)
        for info in client.adapters().adapters:
            client.drop_adapter(info.key)
        full = [command(home, place, "--daemon", "--budget-ms", "0") for place in places]
    own = median(alone)
    yield Row(f"`vicinal complete`, index on disk, no daemon, median of {len(places)} places", "", f"{own:.2f} s")
    for title, goal, times in (
        ("through a daemon, first time there", "5 times faster", first),
        ("… second time at once", "5 times faster", second),
        ("… third time, tuned behind meanwhile", "5 times faster", third),
        ("… the same work (`--budget-ms 0`: tuned in full)", "", full),
    ):
        ratio = median([a / b for a, b in zip(alone, times, strict=True)])
        yield Row(title, goal, f"{median(times):.2f} s, {ratio:.1f} times faster")
