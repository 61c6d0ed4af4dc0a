"""How much of the same is tried: in the default suite, among the slow tests, and in `make torture`."""

import pytest

HOUR = 3600


def points(short: int, slow: int, long: int, hours: int = 1) -> list[object]:
    """Parameters: so many each; the long one may take so many hours."""
    return [
        pytest.param(short, id="short"),
        pytest.param(slow, id="slow", marks=pytest.mark.slow),
        pytest.param(long, id="long", marks=[pytest.mark.torture, pytest.mark.timeout(hours * HOUR)]),
    ]
