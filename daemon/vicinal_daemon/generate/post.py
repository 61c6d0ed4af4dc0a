"""What is shown of what was generated.

Owns when to stop and what to trim. Pure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ending:
    """When a completion is over.

    Attributes:
        lines: how many lines that are not blank it has at most; 0 is no bound.
        mid_line: whether the cursor stands behind code on its line.
        stops: texts before which it ends.
    """

    lines: int
    mid_line: bool
    stops: tuple[str, ...] = ()

    def met(self, text: str) -> bool:
        """Whether nothing more need be generated after `text`."""
        done = lines_done(text, self.lines, mid_line=self.mid_line)
        return done or is_looping(text) or any(stop in text for stop in self.stops)

    def shown(self, text: str, right: str) -> str:
        """What is shown of `text`, given the file after the region that is completed."""
        return trim(before_stops(text, self.stops), right, self.lines, mid_line=self.mid_line)


def before_stops(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first of `stops`."""
    return text[: min((at for at in map(text.find, stops) if at != -1), default=len(text))]


def certain(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first of `stops`, or to where one may have begun; without the white space at its end, which is
    shown only if something comes behind it."""
    kept = before_stops(text, stops)
    open_ends = (n for stop in stops for n in range(len(stop) - 1, 0, -1) if kept.endswith(stop[:n]))
    return (kept[: len(kept) - max(open_ends, default=0)] if kept == text else kept).rstrip()


def lines_done(text: str, lines: int, *, mid_line: bool) -> bool:
    """Whether `text` holds `lines` whole lines that are not blank; never for 0 lines.

    Args:
        mid_line: the cursor stands behind code on its line, so the first newline ends a line even if nothing
            stands before it.
    """
    return _end_of_lines(text, lines, mid_line=mid_line) is not None


def _end_of_lines(text: str, lines: int, *, mid_line: bool) -> int | None:
    """The index of the newline that ends the last wanted line, None while it is unfinished."""
    found, start = 0, 0
    while (newline := text.find("\n", start)) != -1:
        if text[start:newline].strip() or (mid_line and start == 0):
            found += 1
            if found == lines:
                return newline
        start = newline + 1
    return None


def trim(text: str, right: str, lines: int, *, mid_line: bool) -> str:
    """Cut to `lines` lines (0: all), drop what the file already says below, and white space at the end.

    Args:
        text: as generated, from the cursor on.
        right: the file after the region that is completed.
    """
    end = _end_of_lines(text, lines, mid_line=mid_line)
    kept = (text if end is None else text[:end]).split("\n")
    following = next((line.strip() for line in right.split("\n") if line.strip()), "")
    # Closing brackets alone (`}`) repeat everywhere: only a telling line counts as a repetition.
    if len(following) > 3:
        repeats = (number for number, line in enumerate(kept) if number > 0 and line.strip() == following)
        kept = kept[: next(repeats, len(kept))]
    shown = "\n".join(kept).rstrip()
    return shown if shown.strip() else ""


def is_looping(text: str, *, window: int = 24, repeats: int = 4) -> bool:
    """Whether the end of `text` is one short phrase again and again."""
    tail = text[-window * repeats :]
    return any(
        len(tail) >= size * repeats and tail.endswith(tail[-size:] * repeats) and tail[-size:].strip()
        for size in range(2, window + 1)
    )


def bits_per_byte(log_probabilities: list[float], text: str) -> float:
    """-sum(log p) / ln 2 / bytes: what it costs the model to spell `text`, whatever its tokenizer."""
    return -math.fsum(log_probabilities) / math.log(2) / max(1, len(text.encode()))
