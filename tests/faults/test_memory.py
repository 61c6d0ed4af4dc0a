"""No memory in the middle of tuning: the request is answered or told why not, and so is the next one."""

import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of others are Linux's"),
]

LiveDaemon = Any  # of conftest.py
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def test_no_memory_in_the_middle_of_tuning(
    live_daemon: Callable[..., LiveDaemon], new_shop: Callable[..., Path]
) -> None:
    """The engine gets not one more page from the system: what it has no room for fails. The small model's steps live on
    what its heap has left; the embedded one's do not."""
    daemon = live_daemon(model__name="smollm2-135m", model__engine="transformers", memory__enabled=False)
    root = new_shop(daemon.folder / "shop")
    engine = daemon.engine()
    with daemon.http() as http, daemon.http() as other, ThreadPoolExecutor(1) as pool:

        def running(http: httpx2.Client) -> str:
            return str(http.get("/v1/status").json()["queue"]["running"])

        def complete(seed: int, steps: int, lines: int) -> httpx2.Response:
            text = "".join(f"total_{number} = sum(items) + {number}\n" for number in range(lines))
            settings = {"seed": seed, "tune.steps": steps, "select.alpha": 0}
            body = {"workspace": str(root), "path": "new.py", "text": text, "line": lines, "settings": settings}
            return http.post("/v1/complete", json=body)

        index = {"root": str(root), "action": "wait"}
        assert http.post("/v1/index", json=index).status_code == 200
        asked = pool.submit(complete, 0, 8, 40)
        daemon.until(lambda: asked.done() or "tune" in running(other))
        engine.rlimit(psutil.RLIMIT_AS, (2**20, resource.RLIM_INFINITY))
        answer = asked.result(120)
        told = "done" if answer.status_code == 200 else answer.json()["error"]["type"]
        if answer.status_code != 200:
            assert answer.json()["error"]["hint"]
        with suppress(psutil.NoSuchProcess):  # it may have ended; the next request starts another
            engine.rlimit(psutil.RLIMIT_AS, UNLIMITED)
        assert complete(100, 1, 40).status_code == 200
    assert told in {"engine-out-of-memory", "engine-crashed", "engine-failed"}, "nothing wanted more memory"
