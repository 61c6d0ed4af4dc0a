"""Orders and what they cost."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

RATES = {
    "standard": 0.2,
    "reduced": 0.1,
    "books": 0.05,
    "food": 0.0,
    "services": 0.2,
    "travel": 0.15,
}


def half(x: float) -> float:
    return x / 2


def double(x: float) -> float:
    return x * 2


# Prices are kept in cents.
@dataclass(frozen=True)
class Line:
    """One line of an order."""

    name: str
    cents: int
    rate: str = "standard"

    def gross(self) -> float:
        """The price with its tax."""
        if self.rate not in RATES:
            raise KeyError(self.rate)
        total = self.cents * (1 + RATES[self.rate])
        logger.debug("gross %s", total)
        return total

    def net(self) -> int:
        return self.cents

    def free(self) -> bool:
        return self.cents == 0


class Order:
    """Many lines, one customer."""

    limit = 100

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = list(lines)
        if len(self.lines) > self.limit:
            raise ValueError("too long")
        self.open = True
        self.notes: list[str] = []

    @property
    def total(self) -> float:
        """What the customer pays."""
        total = 0.0
        for line in self.lines:
            total += line.gross()
        if total < 0:
            raise ArithmeticError(total)
        return total

    class Closed(Exception):
        """Nothing may be added."""


def report(orders: Iterable[Order], verbose: bool = False) -> list[str]:
    """Everything about all orders, a line each, longer than a chunk may be."""
    rows = []
    total = 0.0
    for order in orders:
        total += order.total
        rows.append(f"order of {len(order.lines)} lines")
        if verbose:
            for line in order.lines:
                rows.append(f"  {line.name}")
                if line.free():
                    rows.append("  (free)")
                else:
                    rows.append(f"  {line.gross():.2f}")

    # Empty orders are told apart.
    empty = [order for order in orders if not order.lines]
    if empty:
        rows.append(f"{len(empty)} are empty")
        for order in empty:
            order.open = False

    while rows and not rows[-1]:
        rows.pop()

    try:
        mean = total / len(rows)
    except ZeroDivisionError:
        mean = 0.0
    rows.append(f"mean {mean:.2f}")

    if total > 1_000:
        rows.append("a good day")
    elif total > 100:
        rows.append("a fair day")
    else:
        rows.append("a bad day")

    for rate, value in RATES.items():
        if value > 0.1:
            rows.append(f"{rate} is high")
        else:
            rows.append(f"{rate} is low")
    rows.append("")
    rows.append("end of the report")
    return rows


if __name__ == "__main__":
    print(report([]))
