"""A storm of changes under a running daemon: nothing is lost in the end, memory is bounded, requests are answered."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import digest

FILES = 1_000
MOST_BYTES = 400_000_000
"""So much more memory may a daemon take for the storm and all that is indexed in it."""

LiveDaemon = Any  # of conftest.py


def storm(root: Path, changes: int, seconds: float) -> float:
    """So many changes, spread over the files and the time: written, replaced, moved and deleted; how long it took."""
    begun = time.monotonic()
    for number in range(changes):
        path = root / f"pkg{number % 10}" / f"m{number % FILES}.py"
        match number % 7:
            case 0:
                path.unlink(missing_ok=True)
            case 1:
                new = path.with_suffix(".new")
                new.write_text(f"def replaced_{number}(): ...\n")
                new.replace(path)
            case _:
                path.write_text(f"def written_{number}(): ...\n")
        ahead = begun + seconds * number / changes - time.monotonic()
        if ahead > 0.01:
            threading.Event().wait(ahead)
    return time.monotonic() - begun


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        pytest.param(2_000, 0.5, id="short", marks=pytest.mark.slow),
        pytest.param(100_000, 10.0, id="long", marks=pytest.mark.torture),
    ],
)
def test_a_storm_of_changes(
    changes: int, seconds: float, live_daemon: Callable[..., LiveDaemon], new_shop: Callable[..., Path]
) -> None:
    daemon = live_daemon(memory__enabled=False)
    root = new_shop(daemon.folder / "shop")
    for number in range(10):
        (root / f"pkg{number}").mkdir()
    with daemon.http() as http:
        place = {"workspace": str(root), "path": "payment.py", "line": 10, "replace_lines": 1}
        assert http.post("/v1/index", json={"root": str(root), "action": "wait"}).status_code == 200
        assert http.post("/v1/complete", json=place).status_code == 200
        before, most = daemon.process.memory_info().rss, 0
        took: list[float] = []
        wind = threading.Thread(target=lambda: took.append(storm(root, changes, seconds)))
        wind.start()
        answers = 0
        while wind.is_alive() or not answers:
            answer = http.post("/v1/complete", json={**place, "settings": {"seed": answers, "tune.steps": 0}})
            assert answer.status_code == 200, answer.text
            answers += 1
            most = max(most, daemon.process.memory_info().rss)
        wind.join()
        settled = http.post("/v1/index", json={"root": str(root), "action": "wait"})
        assert settled.status_code == 200, settled.text
        most = max(most, daemon.process.memory_info().rss)
    # Read beside the daemon, as it is: a sync would mend what the daemon had lost.
    with RepositoryIndex.open(root, daemon.data) as index:
        held = {path: told for path, told in index.digests().items() if path.startswith("pkg")}
    files = {path.relative_to(root).as_posix(): path.read_text() for path in root.glob("pkg*/*.py")}
    assert held == {path: digest(text) for path, text in files.items()}
    assert most - before < MOST_BYTES, f"{(most - before) / 1e6:.0f} MB more"
    print(f"{changes:,} changes in {took[0]:.1f} s, {answers} answers meanwhile, {(most - before) / 1e6:.0f} MB more")  # noqa: T201
