"""How much of the same is tried: in the default suite, among the slow tests, and in `make torture`.

A mark of a test stands before those of its parameters, so one that has a long form must have no `timeout`.
"""

import pytest

MINUTE = 60


def long(count: int, hours: float = 1) -> object:
    """A parameter of `make torture`, which may take so many hours."""
    return pytest.param(count, id="long", marks=[pytest.mark.torture, pytest.mark.timeout(hours * 60 * MINUTE)])


def short(count: int, minutes: float = 5) -> object:
    """A parameter of every run, which may take so many minutes."""
    return pytest.param(count, id="short", marks=pytest.mark.timeout(minutes * MINUTE))


def points(few: int, slow: int, many: int, hours: float = 1) -> list[object]:
    """Parameters: so many each; the long one may take so many hours."""
    return [short(few), pytest.param(slow, id="slow", marks=pytest.mark.slow), long(many, hours)]
