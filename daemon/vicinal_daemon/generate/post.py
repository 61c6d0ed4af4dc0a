"""What is shown of what was generated.

Owns when to stop and what to trim. Pure.
"""

import math


def lines_done(text: str, lines: int, *, mid_line: bool) -> bool:
    """Whether `text` holds `lines` whole lines that are not blank.

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
    """Cut to `lines` lines, drop what the file already says below, and white space at the end.

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
