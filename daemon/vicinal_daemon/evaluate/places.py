"""Places to evaluate on: real lines of real files, chosen by seed and never by result.

Owns the sampling rule (after RepoEval's line level). Pure: texts in, places out.
"""

import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = re.compile(r"\w+|[^\w\s]")
_COMMENT = re.compile(r"^(#|//|/\*|\*|--|;|%|\"\"\"|''')")


@dataclass(frozen=True, slots=True)
class Place:
    """Some lines of a file that are hidden and predicted.

    Attributes:
        path: relative to the repository, with `/`.
        first_line: 1-based; `lines` lines from here are hidden.
    """

    path: str
    first_line: int
    lines: int

    @property
    def last_line(self) -> int:
        """1-based, inclusive."""
        return self.first_line + self.lines - 1


@dataclass(frozen=True, slots=True)
class Hidden:
    """A file cut at a place: `left` + `truth` + `right` is the file.

    `left` ends before the newline that starts the truth: cutting behind it would split tokens like "\\n    " in
    a way that no model has seen.
    """

    left: str
    truth: str
    right: str


def hide(text: str, place: Place) -> Hidden:
    """Cut `text` at `place`; `place.first_line` must be at least 2 and the lines must exist."""
    lines = text.split("\n")
    if not 2 <= place.first_line <= place.last_line <= len(lines):
        raise ValueError(f"{place.path} has no lines {place.first_line} to {place.last_line} behind a first line")
    left = "\n".join(lines[: place.first_line - 1])
    truth = "\n" + "\n".join(lines[place.first_line - 1 : place.last_line])
    return Hidden(left, truth, text[len(left) + len(truth) :])


def sample_places(
    files: Mapping[str, str], count: int, seed: int, *, lines: int = 3, lines_before: int = 10
) -> list[Place]:
    """Up to `count` places, each line of code equally likely, no two overlapping.

    A place starts at a line that is code (not blank, no comment), has at least five tokens and stands
    nowhere else in these files; at least `lines_before` lines stand before it.

    Args:
        files: path -> text.
        seed: same files and seed, same places.
    """
    counts = Counter(line.strip() for text in files.values() for line in text.split("\n"))
    eligible = [
        Place(path, number, lines)
        for path, text in sorted(files.items())
        for rows in [text.split("\n")]
        for number, row in enumerate(rows, start=1)
        if lines_before < number <= len(rows) - lines and _is_code(row) and counts[row.strip()] == 1
    ]
    random.Random(seed).shuffle(eligible)  # noqa: S311 - reproducible sampling, not cryptography
    chosen: list[Place] = []
    taken: dict[str, set[int]] = {}
    for place in eligible:
        if len(chosen) == count:
            break
        span = range(place.first_line, place.last_line + 1)
        if taken.setdefault(place.path, set()).isdisjoint(span):
            taken[place.path].update(span)
            chosen.append(place)
    return chosen


def _is_code(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not _COMMENT.match(stripped) and len(_WORD.findall(stripped)) >= 5
