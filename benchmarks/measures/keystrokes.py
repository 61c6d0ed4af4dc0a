"""A record of typing: which keys are pressed when, in which files, made from a repository by a seed.

Owns the model of somebody who types. It does not know who listens.

There is no recorded hour that we may use, so it is made: blocks of lines that stand in the repository are written where
they stand, several in a file. Times between keys have the median and the spread of Dhakal et al., "Observations on
Typing from 136 Million Keystrokes" (2018); who writes code stops at the end of a line, and reads before he writes.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from measures.house import Spot

KEY_SECONDS, KEY_SPREAD = 0.2, 0.5
"""Median, and the standard deviation of the logarithm."""

LINE_SECONDS, READING_SECONDS, SPREAD = 1.5, 10.0, 0.6
LINES, BLOCKS = 3, 5
"""Of a block; of a file before another is opened."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something happens: the cursor rests at a place, or a key is pressed there.

    Attributes:
        at: seconds since the beginning.
        typed: at the place so far; empty where the cursor has just come there.
        rest: seconds until the next moment.
    """

    at: float
    spot: Spot
    typed: str
    rest: float


def record(blocks: Sequence[tuple[Spot, str]], seconds: float, seed: int) -> list[Moment]:
    """Moments until the time is over, at these places and with these texts, in order and then again."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not cryptography
    return list(_moments(blocks, seconds, chance))


def _moments(blocks: Sequence[tuple[Spot, str]], seconds: float, chance: random.Random) -> Iterator[Moment]:
    at = 0.0
    while True:
        for spot, text in blocks:
            for length in range(len(text) + 1):
                typed = text[:length]
                middle, spread = KEY_SECONDS, KEY_SPREAD
                if not typed or length == len(text):
                    middle, spread = READING_SECONDS, SPREAD
                elif typed.endswith("\n"):
                    middle, spread = LINE_SECONDS, SPREAD
                rest = middle * math.exp(chance.gauss(0.0, spread))
                if at > seconds:
                    return
                yield Moment(at, spot, typed, rest)
                at += rest


def blocks_of(found: Sequence[Spot], seed: int) -> list[tuple[Spot, str]]:
    """What is written where: `LINES` lines from each place on are taken out, up to `BLOCKS` places of each file."""
    files: dict[str, list[Spot]] = {}
    for spot in found:
        files.setdefault(spot.path, []).append(spot)
    order = sorted(files)
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible, not cryptography
    return [_taken_out(spot) for path in order for spot in files[path][:BLOCKS]]


def _taken_out(spot: Spot) -> tuple[Spot, str]:
    text = (spot.root / spot.path).read_text(encoding="utf-8")
    lines = text[len(spot.left) :].split("\n")
    written = "\n".join(lines[:LINES])
    return Spot(spot.root, spot.path, spot.left, text[len(spot.left) + len(written) :]), written
