"""The same completions with torch and with llama.cpp as the writer, in a daemon each."""

import string
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Literal

from measures.house import House, Sizes, Spot, daemon, one_a_file, package, quiet, ready, spread
from measures.table import Row, Rows, milliseconds
from vicinal_daemon import config
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.requests import CompleteRequest

KEYS = 4
ENOUGH_MS = 60_000
Kind = Literal["cold: the prompt is read", "a key later", "a key later, with an adapter"]


def _times(client: Client, spot: Spot) -> Iterator[tuple[Kind, float]]:
    yield "cold: the prompt is read", _seconds(client, spot.ask(client="e", budget_ms=ENOUGH_MS, settings=UNTUNED))
    for letter in string.ascii_letters[:KEYS]:
        yield "a key later", _seconds(client, spot.ask(letter, client="e", budget_ms=ENOUGH_MS, settings=UNTUNED))
    answer = client.complete(spot.ask(client="e"))  # tunes in full
    quiet(client)
    if answer.adaptation.scale == 0:
        return  # the guard has dropped it
    for number, letter in enumerate(string.ascii_letters[: KEYS + 1]):
        seconds = _seconds(client, spot.ask(letter, client="e", budget_ms=ENOUGH_MS))
        if number:  # the first one may have to read the prompt
            yield "a key later, with an adapter", seconds


UNTUNED: dict[str, str | int | float | bool] = {"tune.steps": 0}


def _seconds(client: Client, request: CompleteRequest) -> float:
    begun = time.perf_counter()
    client.complete(request)
    return time.perf_counter() - begun


def measure(home: House, sizes: Sizes) -> Rows:
    """Rows of what each engine takes, and of the ratio of the medians."""
    root = package("rich", home.folder / "rich")
    places = spread(one_a_file(root), 2 * sizes.places)
    found: dict[str, dict[Kind, list[float]]] = {}
    for engine in ("transformers", "llama"):
        settings = config.overridden(home.settings, {"model.engine": engine})
        times = found[engine] = defaultdict(list)
        with daemon(replace(home, settings=settings)) as client:
            ready(client, root)
            for spot in places:
                for kind, seconds in _times(client, spot):
                    times[kind].append(seconds)
    for kind in found["llama"]:
        torch, llama = found["transformers"][kind], found["llama"][kind]
        yield Row(f"{kind}: torch ({len(torch)})", "", milliseconds(torch, (50, 95)))
        yield Row(f"… llama.cpp ({len(llama)})", "", milliseconds(llama, (50, 95)))
        if torch:
            yield Row("… of torch's", "", f"{median(llama) / median(torch):.2f}")
