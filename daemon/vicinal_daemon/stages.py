"""The stages of a request: telling somebody where the work is, and how long each stage took.

Owns these two small tools. It knows no stage by name.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OnStage = Callable[[str, int, int], None]
"""Called with (stage, done, total); total 0 where it is not known."""


def silent(stage: str, done: int, total: int) -> None:
    """An `OnStage` that shows nothing."""


@dataclass
class Stopwatch:
    """Wall-clock seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the block to `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
