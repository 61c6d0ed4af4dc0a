"""Tasks: real lines of real files that are hidden and predicted, chosen by seed and never by result.

Owns what a task is, and the sampling rules of line and API tasks (RepoEval: Zhang et al., "RepoCoder", 2023). Pure:
texts in, tasks out. Commit tasks come from `commits`.
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vicinal_daemon.target import Target
from vicinal_indexer import languages
from vicinal_indexer.symbols import CODE, Outline, outline
from vicinal_indexer.types import digest

Kind = Literal["line", "api", "commit"]
KINDS: tuple[Kind, ...] = ("line", "api", "commit")

LEAST_TOKENS = 5
LINES_BEFORE = 10
"""So many lines stand before a line or API task: without any context there is nothing to measure but luck."""

FAR_LINES = 60
"""A definition in the task's own file counts as out of sight if it is so far above, or below."""

MOST_DEFINITIONS = 5
"""A name that more things of the repository have (`get`, `new`) does not say which of them is called."""

_WORD = re.compile(r"\w+|[^\w\s]")
_COMMENT = re.compile(r"^(#(?!\[|include|define|if|endif)|//|/\*|\*(?!\w)|--|;|%|\"\"\"|''')")


@dataclass(frozen=True, slots=True)
class Task:
    """Some lines of a file to predict, with the cursor at the start of the first of them.

    Attributes:
        id: the same for the same lines behind the same text.
        path: relative to the repository, with `/`.
        line: of the first hidden line, 1-based.
        left: the file up to that line, its newline included.
        truth: the hidden lines, without the last one's newline.
        right: what stands behind them.
        commit: of a commit task, the commit that added the lines; else "".
        indexed_line: the last line of the same file, as it is indexed, that is before the cursor.
    """

    id: str
    kind: Kind
    path: str
    language: str
    line: int
    left: str
    truth: str
    right: str
    commit: str
    indexed_line: int

    @property
    def lines(self) -> int:
        """How many lines are hidden."""
        return self.truth.count("\n") + 1

    @property
    def last_line(self) -> int:
        """1-based, inclusive."""
        return self.line + self.lines - 1

    @property
    def target(self) -> Target:
        """As the pipeline sees it."""
        return Target(self.path, self.left, self.truth, self.right, self.line, 1, self.lines)


def make_task(
    kind: Kind,
    path: str,
    left: str,
    truth: str,
    right: str,
    *,
    commit: str = "",
    indexed_line: int | None = None,
) -> Task:
    """A task with its id and language; `left` ends with a newline, and `truth` holds at least one line.

    Raises:
        ValueError: there is nothing before the cursor, or the cursor is inside a line.
    """
    if not left.endswith("\n") or not truth.strip():
        raise ValueError(f"a task of {path} must hide something, behind the end of a line")
    line = left.count("\n") + 1
    identity = digest("\0".join((kind, path, str(line), left, truth, commit)))[:16]
    language = languages.detect(path, left[:200])
    return Task(
        identity,
        kind,
        path,
        language,
        line,
        left,
        truth,
        right,
        commit,
        line - 1 if indexed_line is None else indexed_line,
    )


def cut(kind: Kind, path: str, text: str, first_line: int, lines: int = 1) -> Task:
    """Hide `lines` lines of a file from `first_line` (1-based, at least 2) on; no character is lost.

    Raises:
        ValueError: it has no such lines, or they are blank.
    """
    rows = text.split("\n")
    if not 2 <= first_line <= first_line + lines - 1 <= len(rows):
        raise ValueError(f"{path} has no lines {first_line} to {first_line + lines - 1} behind a first line")
    left = "\n".join(rows[: first_line - 1]) + "\n"
    truth = "\n".join(rows[first_line - 1 : first_line - 1 + lines])
    return make_task(kind, path, left, truth, text[len(left) + len(truth) :])


def is_code(line: str) -> bool:
    """Whether a line is worth predicting by its own looks: not blank, no comment, at least five tokens."""
    stripped = line.strip()
    return bool(stripped) and not _COMMENT.match(stripped) and len(_WORD.findall(stripped)) >= LEAST_TOKENS


class Corpus:
    """The program files of a repository, and what their syntax says.

    Args:
        files: path -> text; those that are no programs are left out.
    """

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = {path: text for path, text in sorted(files.items()) if languages.detect(path, text[:200]) in CODE}
        self.counts = Counter(line.strip() for text in files.values() for line in text.split("\n"))
        found = {path: outline(text, languages.detect(path, text[:200])) for path, text in self.files.items()}
        self.outlines: dict[str, Outline] = {path: told for path, told in found.items() if told is not None}
        self.definitions: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for path, told in self.outlines.items():
            for named in told.definitions:
                self.definitions[named.name].append((path, named.line))

    def lines(self, lines: int) -> list[tuple[str, int]]:
        """(path, line) of every line that may be a task of `lines` lines: code, and nowhere else in these files."""
        return [
            (path, number)
            for path, text in self.files.items()
            for rows in [text.split("\n")]
            for number, row in enumerate(rows, start=1)
            if LINES_BEFORE < number <= len(rows) - lines
            and is_code(row)
            and self.counts[row.strip()] == 1
            and (path not in self.outlines or number not in self.outlines[path].prose)
        ]

    def calls(self, lines: int) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
        """Of `lines`, those that call what the repository defines: in another file; in the same one, out of sight.

        A line that does both is in the first list only.
        """
        eligible = set(self.lines(lines))
        elsewhere: dict[tuple[str, int], None] = {}
        far: dict[tuple[str, int], None] = {}
        for path, told in self.outlines.items():
            for call in told.calls:
                place = (path, call.line)
                places = self.definitions.get(call.name, [])
                if place not in eligible or len(call.name) < 3 or len(places) > MOST_DEFINITIONS:
                    continue
                if any(other != path for other, _ in places) and all(
                    other != path or _is_far(line, call.line) for other, line in places
                ):
                    elsewhere[place] = None
                elif places and all(_is_far(line, call.line) for _, line in places):
                    far[place] = None
        return list(elsewhere), [place for place in far if place not in elsewhere]


def _is_far(definition: int, call: int) -> bool:
    return not call - FAR_LINES <= definition <= call


def sample_lines(corpus: Corpus, count: int, seed: int, *, lines: int = 1) -> list[Task]:
    """Up to `count` line tasks, each line of code equally likely, no two overlapping.

    Same files and seed, same tasks; fewer tasks are the first of more.
    """
    return list(_chosen(corpus, "line", _shuffled(corpus.lines(lines), f"line {seed}"), count, lines))


def sample_calls(corpus: Corpus, count: int, seed: int, *, lines: int = 1) -> list[Task]:
    """Up to `count` API tasks: lines that call something that the repository defines and the file before does not show.

    Definitions in other files come first; only a repository without enough of them gives those that are far in the
    same file.
    """
    elsewhere, far = corpus.calls(lines)
    order = [*_shuffled(elsewhere, f"api {seed}"), *_shuffled(far, f"api far {seed}")]
    return list(_chosen(corpus, "api", order, count, lines))


def _shuffled(places: Sequence[tuple[str, int]], seed: str) -> list[tuple[str, int]]:
    order = list(places)
    random.Random(seed).shuffle(order)  # noqa: S311 - reproducible sampling, not cryptography
    return order


def _chosen(corpus: Corpus, kind: Kind, order: Sequence[tuple[str, int]], count: int, lines: int) -> Iterator[Task]:
    taken: defaultdict[str, set[int]] = defaultdict(set)
    found = 0
    for path, first in order:
        if found == count:
            return
        span = range(first, first + lines)
        if taken[path].isdisjoint(span):
            taken[path].update(span)
            found += 1
            yield cut(kind, path, corpus.files[path], first, lines)
