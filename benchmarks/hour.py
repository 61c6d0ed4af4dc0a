"""An hour of typing in real time: how many answers have learned something, how old that is, how long they take.

    python benchmarks/hour.py [--minutes 60] [--package rich] [--seed 0]

A real daemon with the real model, as an editor's language server talks to it: a hint where the cursor rests, a request
for each key behind which typing rests for 75 ms, a newer request in the place of an older one. The repository's own
adapter is not trained: with it, requests are not tuned at all. The machine should do nothing else meanwhile.
"""

import argparse
import os
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles

from measures.house import commit, daemon, house, package, ready, spots
from measures.keystrokes import Moment, blocks_of, record
from rich.console import Console
from rich.progress import Progress

from vicinal_daemon.client import Client
from vicinal_daemon.errors import RequestDropped
from vicinal_daemon.protocol.requests import HintRequest
from vicinal_lsp.settings import LspSettings

YOUNG_SECONDS = 120.0
LONGEST_MINUTES = 60.0
AT_ONCE = 8
"""Requests on their way; newer ones take the place of older ones, so it is rarely more than two."""


@dataclass
class Seen:
    """What became of the requests.

    Attributes:
        kinds: of the adaptation of each answer.
        ages: seconds, of the adapters that answers were written with.
        latencies: seconds.
        dropped: requests for whose document a newer one came.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    ages: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    typed_ahead: int = 0
    dropped: int = 0

    def share(self, count: int) -> str:
        """Of all answers."""
        return f"{count / max(1, len(self.latencies)):.1%}"


def ask(client: Client, moment: Moment, seen: Seen) -> None:
    """One request, as the language server makes it."""
    settings = LspSettings()
    begun = time.perf_counter()
    try:
        request = moment.spot.ask(
            moment.typed,
            budget_ms=settings.budget_automatic_ms,
            lines=settings.max_lines,
            trigger="automatic",
            client="hour",
        )
        answer = client.complete(request)
    except RequestDropped:
        seen.dropped += 1
        return
    seen.latencies.append(time.perf_counter() - begun)
    seen.typed_ahead += answer.typed_ahead
    kind = answer.adaptation.kind
    unworn = "the guard left nothing of it" if answer.adaptation.steps else "nothing was learned yet"
    worn = kind if answer.adaptation.scale > 0 else unworn
    seen.kinds[worn] += 1
    if kind in ("fresh", "cached") and answer.adaptation.scale > 0:
        last = max(client.adapters().adapters, key=lambda adapter: adapter.used, default=None)
        if last is not None:
            seen.ages.append(max(0.0, time.time() - last.created))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=LONGEST_MINUTES)
    parser.add_argument("--package", default="rich", help="an installed package, whose copy is the repository")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if not 0 < chosen.minutes <= LONGEST_MINUTES:
        parser.error(f"an hour has up to {LONGEST_MINUTES:g} minutes")
    pause = LspSettings().debounce_ms / 1000
    seen = Seen()
    print(f"Commit {commit()}, {os.cpu_count()} CPUs, {chosen.model}, {chosen.package}, seed {chosen.seed}.\n")
    with (
        house(chosen.model) as home,
        daemon(home) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
        Progress(console=Console(stderr=True)) as progress,
    ):
        root = package(chosen.package, home.folder / Path(chosen.package).name)
        ready(client, root)
        moments = record(blocks_of(list(spots(root)), chosen.seed), chosen.minutes * 60, chosen.seed)
        task = progress.add_task("typing", total=chosen.minutes * 60)
        asked: list[Future[None]] = []
        begun = time.monotonic()
        for moment in moments:
            time.sleep(max(0.0, begun + moment.at - time.monotonic()))
            progress.update(task, completed=moment.at)
            if not moment.typed:
                spot = moment.spot
                text = spot.left + spot.right
                client.hint(HintRequest(workspace=str(root), path=spot.path, line=spot.line, text=text))
            elif moment.rest > pause:
                time.sleep(pause)
                asked.append(pool.submit(ask, client, moment, seen))
        for request in asked:
            request.result()
    young = sum(age <= YOUNG_SECONDS for age in seen.ages)
    print("| what | measured |\n|---|---|")
    print(f"| keys, requests, answers | {len(moments)}, {len(seen.latencies) + seen.dropped}, {len(seen.latencies)} |")
    print(f"| answered with an adapter not older than 2 minutes | {seen.share(young)} |")
    print(f"| answered with any adapter | {seen.share(len(seen.ages) + seen.kinds['warm'])} |")
    for kind, count in seen.kinds.most_common():
        print(f"| … {kind} | {seen.share(count)} |")
    print(f"| the rest of an answer that is typed | {seen.share(seen.typed_ahead)} |")
    if len(seen.latencies) > 1:
        late = quantiles(seen.latencies, n=20)[-1]
        print(f"| key to answer, p50 / p95 | {median(seen.latencies) * 1e3:.0f} / {late * 1e3:.0f} ms |")


if __name__ == "__main__":
    main()
