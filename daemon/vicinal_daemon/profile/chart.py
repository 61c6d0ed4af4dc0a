"""The parts of a request as bars in a terminal.

Owns the drawing. Pure: rows in, lines of text out. It colours nothing, so that it can be piped.
"""

from collections.abc import Sequence

from vicinal_daemon.profile.report import Row

WIDTH = 56
MOST = 12
"""Bars; what is shorter than these is left out."""

LEGEND = "# at least needed   = above that   - nothing is known to compare with"


def bars(rows: Sequence[Row], width: int = WIDTH) -> str:
    """The longest parts of a later request, longest first, as bars of the same scale."""
    longest = sorted((row for row in rows if row.later > 0), key=lambda row: -row.later)[:MOST]
    if not longest:
        return ""
    names = [f"{row.stage}: {row.label}" for row in longest]
    margin = max(map(len, names))
    scale = width / longest[0].later
    lines = [
        f"{name:>{margin}} |{_bar(row, scale)} {row.later:.3g} s" for name, row in zip(names, longest, strict=True)
    ]
    return "\n".join([*lines, f"{'':>{margin}}  {LEGEND}"])


def _bar(row: Row, scale: float) -> str:
    length = max(1, round(row.later * scale))
    if row.floor is None:
        return "-" * length
    least = min(length, round(row.floor * scale))
    return "#" * least + "=" * (length - least)
