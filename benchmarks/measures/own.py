"""The daemon's own time in a completion: what the client saw, less the search, the model's passes and others' turns."""

import string
import time
from collections.abc import Iterable
from dataclasses import dataclass

from measures.house import House, Sizes, Spot, daemon, one_a_file, package, quiet, ready, spots, spread
from measures.table import Row, Rows, milliseconds
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.answers import Answer
from vicinal_daemon.protocol.requests import CancelRequest, CompleteRequest

BUDGET_MS = 300
PARTS = {
    "http": "HTTP, JSON and the client",
    "select": "select",
    "plan": "plan",
    "engine": "turns, frames and the engine's side but its passes",
    "rest": "the rest",
}


@dataclass(frozen=True, slots=True)
class Timed:
    """One completion's own seconds, and which part of the daemon they went to."""

    own: float
    parts: dict[str, float]


def timed(client: Client, request: CompleteRequest) -> tuple[Answer, Timed]:
    begun = time.perf_counter()
    answer = client.complete(request)
    seen = time.perf_counter() - begun
    seconds = {name: answer.seconds.get(name, 0.0) for name in STAGES}
    passes = seconds["read"] + seconds["write"]
    within = sum(seconds[name] for name in ("wait", "candidates", "select", "plan", "generate"))
    parts = {
        "http": seen - seconds["total"],
        "select": seconds["select"],
        "plan": seconds["plan"],
        "engine": seconds["generate"] - passes,
        "rest": seconds["total"] - within,
    }
    return answer, Timed(seen - seconds["candidates"] - passes - seconds["wait"], parts)


STAGES = ("total", "wait", "candidates", "select", "plan", "generate", "read", "write")


def known(client: Client, places: Iterable[Spot], each: int) -> list[Timed]:
    """Adapter cached, neighbourhood known, prompt read: another character is typed each time."""
    found = []
    for spot in places:
        client.complete(spot.ask(client="own"))  # tunes in full
        quiet(client)
        for number, letter in enumerate(string.ascii_letters[: each + 2]):
            answer, time_ = timed(client, spot.ask(letter, client="own", budget_ms=BUDGET_MS))
            warm = "candidates" not in answer.seconds and not answer.typed_ahead
            if number >= 2 and warm and answer.adaptation.kind in ("cached", "base") and not answer.adaptation.behind:
                found.append(time_)
    return found


def anew(client: Client, places: Iterable[Spot]) -> list[Timed]:
    """The cursor jumps: search and selection are done again. What would be tuned behind is called off."""
    found = []
    for spot in places:
        answer, time_ = timed(client, spot.ask(client="jumps", budget_ms=BUDGET_MS))
        if "candidates" in answer.seconds:
            found.append(time_)
        client.cancel(CancelRequest(client="jumps", workspace=str(spot.root), path=spot.path))
        quiet(client)
    return found


def rows(title: str, goal: str, found: list[Timed]) -> Rows:
    yield Row(f"own time, {title} ({len(found)})", goal, milliseconds([time_.own for time_ in found]))
    for name, words in PARTS.items():
        yield Row(f"… of it {words}", "", milliseconds([time_.parts[name] for time_ in found], (50, 95)))


def measure(home: House, sizes: Sizes) -> Rows:
    root = package("rich", home.folder / "rich")
    with daemon(home) as client:
        ready(client, root)
        places = max(1, sizes.completions // 20)
        each = -(-sizes.completions // places)
        yield from rows(
            "warm: adapter, neighbourhood, prompt known",
            "p95 < 10 ms",
            known(client, spread(one_a_file(root), places), each),
        )
        jumps = list(spots(root, every=25))[10 : 10 + sizes.completions]
        yield from rows("neighbourhood selected anew", "", anew(client, jumps))
