"""Atoms into spans of rows of an even length.

Owns which neighbours share a chunk and where large runs are cut. Pure arithmetic over rows; it does not know syntax.

A cut is chosen by what stands at it (its depth in the tree, a blank line, a hash of the line), never by counting from
the top. So an edit moves the cuts near it and no others.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from zlib import crc32

from vicinal_indexer.chunks.tree import TOP, WHOLE_LINES, Atom

MAX_LINES = 32
"""A run of statements or of text longer than this is cut."""
LEAST_LINES = 8
"""No piece of a cut run is shorter, where there is a choice."""
MERGE_LINES = 20
"""Small definitions share a chunk of at most so many lines."""
LEAST_MERGED = 6
TINY_LINES = 5
"""A run shorter than this joins a neighbour."""
CODA_LINES = 2
"""So few lines after the imports (a logger, a flag) go with them."""
ROOM = 48
"""A chunk that a tiny run joins stays within so many lines."""
DEPTHS = 12
"""Deeper cuts are all alike, which bounds the work on deeply nested text."""


def spans(atoms: Sequence[Atom], lines: Sequence[str]) -> list[list[Atom]]:
    """Groups of neighbouring atoms, each a chunk; together they hold all atoms in order."""
    groups: list[list[Atom]] = []
    for run in _join_tiny(_runs(atoms)):
        groups.extend(_cut(run, lines))
    return groups


def text_atoms(first: int, last: int, like: Atom | None, lines: Sequence[str]) -> list[Atom]:
    """One atom for each line that is not blank in rows [first, last]: text in which no syntax says where to cut."""
    place, symbol = (like.place, like.symbol) if like else (TOP, "")
    return [Atom(row, row, "text", symbol, place, DEPTHS) for row in range(first, last + 1) if lines[row].strip()]


def _size(run: Sequence[Atom]) -> int:
    return run[-1].last - run[0].first + 1


def _runs(atoms: Sequence[Atom]) -> list[list[Atom]]:
    """Maximal runs of atoms that may share a chunk."""
    runs: list[list[Atom]] = []
    previous: Atom | None = None
    for atom in atoms:
        if previous is not None and _may_share(previous, atom):
            runs[-1].append(atom)
        else:
            runs.append([atom])
        previous = atom
    return runs


def _may_share(first: Atom, second: Atom) -> bool:
    if first.kind == "header":
        return second.kind != "solid" or not second.symbol.startswith(first.symbol + ".")
    if first.kind == "solid" or second.kind == "solid":
        return False
    return (first.kind == "import") == (second.kind == "import") and first.place.headers == second.place.headers


def _join_tiny(runs: list[list[Atom]]) -> list[list[Atom]]:
    joined: list[list[Atom]] = []
    waiting: list[Atom] = []
    for i, run in enumerate(runs):
        current = waiting + run
        waiting = []
        before = joined[-1] if joined else None
        after = runs[i + 1] if i + 1 < len(runs) else None
        if _size(current) >= TINY_LINES or (before is None and after is None):
            joined.append(current)
        elif after is not None and _fits(current, after) and (before is None or not _goes_back(current, before, after)):
            waiting = current
        elif before is not None and (_fits(before, current) or after is None):
            before.extend(current)
        else:
            joined.append(current)
    return joined


def _fits(first: Sequence[Atom], second: Sequence[Atom]) -> bool:
    return second[-1].last - first[0].first < ROOM or not (first[-1].kind == "solid" or second[0].kind == "solid")


def _goes_back(run: Sequence[Atom], before: Sequence[Atom], after: Sequence[Atom]) -> bool:
    """Whether a tiny run belongs to what is before it rather than to what is after it."""
    if run[-1].kind == "header" or not _fits(before, run):
        return False
    same = run[-1].place.headers
    if before[-1].kind == "import" and before[-1].place.headers == same:
        return _size(run) <= CODA_LINES
    return before[-1].place.headers == same and after[0].place.headers != same


def _cut(run: list[Atom], lines: Sequence[str]) -> list[list[Atom]]:
    """Cut a run that is too long where a cut does the least harm."""
    solid = any(atom.kind == "solid" for atom in run)
    flows = any(atom.place.inner for atom in run) or all(atom.kind in ("import", "text") for atom in run)
    limit = ROOM if solid else MAX_LINES if flows else MERGE_LINES
    if _size(run) <= limit:
        return [run]
    run = [small for atom in run for small in _opened(atom, lines)]
    starts = [atom.first for atom in run]
    keys = [_key(atom, run[i - 1] if i else None, lines) for i, atom in enumerate(run)]
    least = LEAST_LINES if flows or solid else LEAST_MERGED
    edges = [0, *sorted(cuts(starts, keys, run[-1].last + 1, limit, least)), len(run)]
    return [run[a:b] for a, b in pairwise(edges)]


def _opened(atom: Atom, lines: Sequence[str]) -> list[Atom]:
    """The lines of an atom that is too long for a chunk and has no syntax inside: a comment, a string, a table."""
    if atom.last - atom.first < WHOLE_LINES:
        return [atom]
    return text_atoms(atom.first, atom.last, atom, lines) or [atom]


def _key(atom: Atom, before: Atom | None, lines: Sequence[str]) -> int:
    """How good a cut before `atom` is: the larger the better. It depends on the text near the cut alone."""
    line = lines[atom.first]
    blank = atom.first > 0 and not lines[atom.first - 1].strip()
    if atom.kind == "text":
        begins = line[:1].isalnum() or line[:1] in "_@#/["
        level = 2 * blank + begins
    else:
        level = 2 * max(0, DEPTHS - atom.depth) + blank + 4
    if before is not None and before.kind == "header":
        level = 0
    return level << 32 | crc32(line.strip().encode(errors="replace"))


def cuts(starts: Sequence[int], keys: Sequence[int], end: int, limit: int, least: int) -> list[int]:
    """Indices of the atoms before which to cut, so that every piece has at most `limit` rows, in no order.

    `starts` are the atoms' first rows, `end` the row after the last. The best key anywhere in a piece is cut
    first, as in a treap; equal keys are cut nearest to the middle. A piece exceeds `limit` only where every cut would
    leave less than `least` rows, and `ROOM` only where it is one atom.
    """
    found: list[int] = []
    stack = [(0, len(starts))]
    while stack:
        low, high = stack.pop()
        begin, stop = starts[low], starts[high] if high < len(starts) else end
        if stop - begin <= limit or high - low < 2:
            continue
        a = bisect_left(starts, begin + least, low + 1, high)
        b = bisect_right(starts, stop - least, a, high)
        middle = (begin + stop) / 2
        if a < b:
            best = max(keys[a:b])
            at = min((i for i in range(a, b) if keys[i] == best), key=lambda i: abs(starts[i] - middle))
        elif stop - begin <= ROOM:
            continue
        else:
            at = min(range(low + 1, high), key=lambda i: abs(starts[i] - middle))
        found.append(at)
        stack += [(low, at), (at, high)]
    return found
