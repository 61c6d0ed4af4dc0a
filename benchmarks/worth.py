"""Learns what code in the prompt and tuning are worth, and shows whether deciding is better than always doing the same.

    python benchmarks/worth.py FILE... [--price 0.001] [--write]

FILEs are records of `vicinal eval` with the modes memory, memory+prompt:sift and memory+tune:sift+prompt:sift. Each
repository is decided for by a forecast that was learned from the others. The table is of what that does, and of each
thing done always: bits per byte, seconds, and their sum at a price (bits per byte that a second must bring).
--write stores the forecast of all in the package.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicinal_daemon import worth
from vicinal_daemon.evaluate.record import Record, by_mode, read_all
from vicinal_daemon.evaluate.statistics import difference
from vicinal_daemon.worth import CLUES, Forecast, clues_of, context_at

NOTHING, PROMPT, BOTH = "memory", "memory+prompt:sift", "memory+tune:sift+prompt:sift"
SHRINKAGE = 10.0
"""Ridge: as if so many more places had shown no difference between places."""

DECAY = 4.0


@dataclass(frozen=True, slots=True)
class Place:
    """One task, done in three ways."""

    repo: str
    clues: tuple[float, ...]
    bits: dict[str, float]
    seconds: dict[str, float]
    steps: int


def places(records: Sequence[Record]) -> list[Place]:
    """The tasks that were measured in all three ways."""
    modes = by_mode([record for record in records if record.mode in (NOTHING, PROMPT, BOTH)])
    found = []
    for three in zip(modes[NOTHING], modes[PROMPT], modes[BOTH], strict=True):
        told = three[1].evidence
        found.append(
            Place(
                three[0].repo,
                clues_of(told.sigma_n, told.sigma_inf, told.similarity, context_at(three[0].line)),
                {record.mode: record.bits for record in three},
                {record.mode: record.seconds for record in three},
                three[2].steps,
            )
        )
    return found


def ridge(clues: np.ndarray, gains: np.ndarray) -> tuple[float, ...]:
    """Least squares with the mean gain free and the slopes shrunk, on clues of unit spread."""
    mean, spread = clues[:, 1:].mean(0), clues[:, 1:].std(0) + 1e-6
    scaled = (clues[:, 1:] - mean) / spread
    slopes = np.linalg.solve(scaled.T @ scaled + SHRINKAGE * np.eye(scaled.shape[1]), scaled.T @ (gains - gains.mean()))
    slopes /= spread
    return (float(gains.mean() - slopes @ mean), *map(float, slopes))


def learn(found: Sequence[Place]) -> Forecast:
    """The forecast of these places."""
    clues = np.array([place.clues for place in found])
    prompt = np.array([place.bits[NOTHING] - place.bits[PROMPT] for place in found])
    tuning = np.array([place.bits[PROMPT] - place.bits[BOTH] for place in found])
    return Forecast(ridge(clues, prompt), ridge(clues, tuning), DECAY)


def decided(place: Place, forecast: Forecast, price: float) -> str:
    """What is done at a place; a second costs `price`."""
    told = forecast.worth(place.clues)
    gains = {
        NOTHING: 0.0,
        PROMPT: told.prompt - price * (place.seconds[PROMPT] - place.seconds[NOTHING]),
        BOTH: told.prompt + told.tuning - price * (place.seconds[BOTH] - place.seconds[NOTHING]),
    }
    return max(gains, key=lambda mode: gains[mode])


def table(found: Sequence[Place], price: float) -> list[str]:
    """What deciding does against each thing done always."""
    repos = sorted({place.repo for place in found})
    forecasts = {repo: learn([place for place in found if place.repo != repo]) for repo in repos}
    choices = [decided(place, forecasts[place.repo], price) for place in found]
    ways = {mode: [mode] * len(found) for mode in (NOTHING, PROMPT, BOTH)} | {"decided": choices}

    def cost(place: Place, mode: str) -> float:
        return place.bits[mode] + price * place.seconds[mode]

    lines = ["| what is done | bits/byte | seconds | cost | decided, against it |", "|---|---|---|---|---|"]
    for name, modes in ways.items():
        pairs = list(zip(found, modes, strict=True))
        bits = np.mean([place.bits[mode] for place, mode in pairs])
        seconds = np.mean([place.seconds[mode] for place, mode in pairs])
        costs = np.array([cost(place, mode) for place, mode in pairs])
        own = np.array([cost(place, mode) for place, mode in zip(found, choices, strict=True)])
        against = difference(own, costs) if name != "decided" else None
        told = f"{against.value:+.4f} [{against.low:+.4f}, {against.high:+.4f}]" if against else ""
        lines.append(f"| {name} | {bits:.4f} | {seconds:.1f} | {costs.mean():.4f} | {told} |")
    share = {mode: choices.count(mode) / len(choices) for mode in (NOTHING, PROMPT, BOTH)}
    lines += ["", ", ".join(f"{mode}: {part:.0%}" for mode, part in share.items()) + f" of {len(found)} places"]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--price", type=float, action="append", help="may be given several times")
    parser.add_argument("--write", action="store_true", help="store the forecast in the package")
    chosen = parser.parse_args()
    found = places(read_all(chosen.files)[1])
    for price in chosen.price or [0.0, 0.001, 0.003, 0.01]:
        print(f"\nA second must bring {price:g} bits per byte:\n")
        print("\n".join(table(found, price)))
    whole = learn(found)
    told = {
        "learned_from": {"repositories": sorted({place.repo for place in found}), "places": len(found)},
        "prompt": dict(zip(CLUES, (round(w, 5) for w in whole.prompt), strict=True)),
        "tuning": dict(zip(CLUES, (round(w, 5) for w in whole.tuning), strict=True)),
        "decay": {"steps": DECAY},
    }
    print(json.dumps(told, indent=1))
    if chosen.write:
        Path(worth.__file__).with_name("worth.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
