"""How long an answer takes while the repository's own adapter is trained behind it, and where nothing is trained.

Each answer is asked for in the middle of a training step; the same places in both daemons, none asked for twice.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from measures.house import NEVER, House, Sizes, Spot, daemon, one_a_file, package, quiet, ready, wait_for
from measures.table import Row, Rows, median, milliseconds, short
from vicinal_daemon.config import layers

STEP = "warm: step"
BUDGET_MS = 300
INTO_A_STEP_SECONDS = 0.2


def measure(home: House, sizes: Sizes) -> Rows:
    root = package("rich", home.folder / "rich")
    spots = one_a_file(root)[: sizes.behind + 1]
    quiet_ones, step = _answers(home, root, spots, idle_seconds=NEVER)
    behind, step = _answers(home, root, spots, idle_seconds=0.0)
    count = len(spots) - 1
    yield Row(f"answer while nothing is trained ({count})", "", milliseconds(quiet_ones, (50, 95)))
    yield Row(f"… asked for in the middle of a training step of {short(step)} s", "", milliseconds(behind, (50, 95)))
    more = median([late - early for late, early in zip(behind, quiet_ones, strict=True)])
    yield Row("… what that costs, of a step", "below .2", short(more / step) if step else "no step was taken")


def _answers(home: House, root: Path, spots: Sequence[Spot], *, idle_seconds: float) -> tuple[list[float], float]:
    """Seconds of each answer but the first, and of a training step; 0 if none was taken."""
    flags = {"warm.idle_seconds": idle_seconds, "warm.steps": 1000, "tune.steps": 0}
    trains = idle_seconds < NEVER
    found = []
    with daemon(replace(home, settings=layers.overridden(home.settings, flags))) as client:
        ready(client, root)
        for number, spot in enumerate(spots):
            if trains:
                wait_for(client, lambda state: state.queue.running == STEP)
                time.sleep(INTO_A_STEP_SECONDS)
            else:
                quiet(client)
            begun = time.perf_counter()
            client.complete(spot.ask(client="behind", budget_ms=BUDGET_MS))
            if number:  # the first one loads what is loaded when first needed
                found.append(time.perf_counter() - begun)
        if trains:
            before = client.status().model.seconds_per_step
            wait_for(client, lambda state: state.model.seconds_per_step not in (None, before))
        return found, client.status().model.seconds_per_step or 0.0
