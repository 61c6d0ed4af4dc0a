"""Indentation: what a file uses, and lines written in its way.

Owns the conversion between tabs and spaces at the beginning of lines. It does not know what lines mean. Pure.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_TAB_WIDTH: Final = 4
_UNITS: Final = (4, 2, 8, 3)


def lead(line: str) -> str:
    """The white space before the code of a line."""
    return line[: len(line) - len(line.lstrip(" \t"))]


def width(line: str) -> int:
    """How far a line is indented, in columns."""
    return len(lead(line).expandtabs(_TAB_WIDTH))


def restyled(lines: Sequence[str], above: Sequence[str], below: Sequence[str]) -> list[str]:
    """`lines` with tabs or spaces before their code, whichever the file around them has.

    Args:
        lines: the first one goes on where the last one of `above` ends.
        above: the lines before; the last one is the cursor's, up to the cursor.
        below: the lines after.
    """
    row = above[-1]
    # A single space leads the lines of a block comment, whatever the file is indented with.
    indented = (line for line in (*reversed(above), *below) if line.strip() and (line[0] == "\t" or line[:2] == "  "))
    model = lead(row) or next(indented, "")
    first = 0 if not row.strip() else 1
    if model.startswith("\t"):
        unit = _unit_of_text(lines, row)
        return [*lines[:first], *(_with_tabs(line, unit) for line in lines[first:])]
    if model and any("\t" in lead(line) for line in lines[first:]):
        unit = _unit_of_file((*above, *below))
        return [*lines[:first], *(_with_spaces(line, unit) for line in lines[first:])]
    return list(lines)


def _with_tabs(line: str, unit: int) -> str:
    white = lead(line)
    if "\t" in white:
        return line
    return "\t" * (len(white) // unit) + " " * (len(white) % unit) + line[len(white) :]


def _with_spaces(line: str, unit: int) -> str:
    white = lead(line)
    return white.replace("\t", " " * unit) + line[len(white) :]


def _unit_of_text(lines: Sequence[str], row: str) -> int:
    """How many spaces make a step in `lines`, which follow the tab-indented `row`."""
    steps = [len(lead(line)) for line in lines[1:] if line.startswith(" ") and line.strip()]
    depth = lead(row).count("\t") + (row + lines[0]).rstrip().endswith((":", "{", "(", "["))
    if steps and depth and steps[0] / depth in _UNITS:
        return steps[0] // depth
    return next(unit for unit in (*_UNITS, 4) if all(step % unit == 0 for step in steps) or unit == _UNITS[-1])


def _unit_of_file(lines: Sequence[str]) -> int:
    """How many spaces make a step in a file: the commonest one from a line to the next."""
    widths = [width(line) for line in lines if line.strip()]
    steps = Counter(deeper - before for before, deeper in pairwise(widths) if deeper - before > 1)
    return max(steps, key=steps.__getitem__, default=_TAB_WIDTH)
