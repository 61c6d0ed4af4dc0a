"""Where to look: places spread over the files of a repository by seed, never by result.

Owns how many places each file gets and which lines they are. Pure: texts in, lines out.
"""

import heapq
import random
from collections.abc import Mapping
from itertools import pairwise

MOST_PER_FILE = 8
"""More places than this tell little more about one file."""

LINES_BEFORE = 8
"""A place asks with the code before it: where there is enough of it, at least so many lines that are not blank."""


def share_places(lines: Mapping[str, int], total: int) -> dict[str, int]:
    """How many places each file gets, at most `total` in all.

    Every file gets one, the largest first; then each further place goes to the file with the most lines a place
    (highest averages, as seats are shared out by D'Hondt), up to `MOST_PER_FILE`.

    Args:
        lines: path -> lines of code; a file without any gets no place.
    """
    largest_first = sorted((path for path in lines if lines[path] > 0), key=lambda path: (-lines[path], path))
    places = dict.fromkeys(largest_first[:total], 1)
    waiting = [(-lines[path] / 2, path) for path in places]
    heapq.heapify(waiting)
    for _ in range(total - len(places)):
        if not waiting:
            break
        _, path = heapq.heappop(waiting)
        places[path] += 1
        if places[path] < MOST_PER_FILE:
            heapq.heappush(waiting, (-lines[path] / (places[path] + 1), path))
    return places


def lines_to_measure(path: str, text: str, count: int, seed: int) -> list[int]:
    """Up to `count` line numbers (1-based, rising): one from each of `count` equal parts of the file's code.

    They have `LINES_BEFORE` lines before them that are not blank; in a shorter file the last line stands for all, and
    a file of one line has none. Another file's coming or going does not change them.
    """
    code = [number for number, row in enumerate(text.split("\n"), start=1) if row.strip()]
    eligible = code[LINES_BEFORE:] or code[1:][-1:]
    count = min(count, len(eligible))
    chance = random.Random(f"{seed}:{path}")  # noqa: S311 - reproducible sampling, not cryptography
    bounds = [part * len(eligible) // count for part in range(count + 1)] if count else [0]
    return [eligible[chance.randrange(start, end)] for start, end in pairwise(bounds)]


def code_lines(text: str) -> int:
    """Lines that are not blank."""
    return sum(bool(row.strip()) for row in text.split("\n"))
