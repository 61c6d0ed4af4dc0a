"""A whole daemon under faulty files, or killed in the middle of what it writes: each request is answered, or refused
with a reason, and what comes after it is as if nothing had been."""

import errno
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
import psutil
import pytest
from amounts import long, short
from sameness import digest_of

from vicinal_daemon.tune.files import read_adapter

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)
LiveDaemon = Any  # of conftest.py

pytestmark = pytest.mark.slow


def has_ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


class Scene:
    """A daemon with the layer in it, a repository, and what must be true between two faults."""

    def __init__(self, daemon: LiveDaemon, faults: Any, root: Path, model: Path) -> None:
        self.daemon, self.faults, self.root = daemon, faults, root
        self._model = model
        self._model_digest = digest_of(model)
        self.chance = random.Random(0)  # noqa: S311 - not a secret
        self.became: Counter[str] = Counter()
        self._noted: set[str] = set()
        self._files = ""

    def edit(self, turn: int) -> None:
        """The user changes a file."""
        path = self.root / f"refund{turn % 3}.py"
        path.write_text(f"def refund_{turn}(order):\n" + "    order.ledger.record(order)\n" * (turn % 7 + 1))
        self._files = digest_of(self.root)

    def complete(self, http: httpx2.Client, seed: int, steps: int = 3, rank: int = 4) -> httpx2.Response:
        settings = {"seed": seed, "tune.steps": steps, "tune.rank": rank, "select.alpha": 0}
        body = {"workspace": str(self.root), "path": "payment.py", "line": 10, "replace_lines": 1, "settings": settings}
        return http.post("/v1/complete", json=body)

    def judge(self, http: httpx2.Client, answer: httpx2.Response) -> httpx2.Response:
        """Tell what became of an answer; what is acknowledged must stay."""
        told = http.post("/v1/feedback", json={"id": answer.json()["id"], "event": "accepted"})
        if told.status_code == 200:
            self._noted.add(answer.json()["id"])
        return told

    def told(self, response: httpx2.Response) -> str:
        """What came of a request: that it was done, or a refusal that says why and what to do."""
        if response.status_code == 200:
            return "done"
        error = response.json()["error"]
        assert error["type"] != "internal", error
        assert error["message"], error
        assert error["hint"], error
        return str(error["type"])

    def is_whole(self) -> None:
        """Nothing that came before has left a trace."""
        with self.daemon.http() as http:
            done = http.post("/v1/index", json={"root": str(self.root), "action": "sync"})
            assert done.status_code == 200, done.text
            found = {path.name for path in self.root.glob("*.py")}
            assert done.json()["holdings"]["files"] == len(found)
            body = {"workspace": str(self.root), "text": "record a refund in the ledger", "wait_for_index": True}
            answer = http.post("/v1/query", json=body)
            assert answer.status_code == 200, answer.text
            for finding in answer.json()["findings"]:
                assert finding["text"].strip() in (self.root / finding["path"]).read_text(), finding
            answer = self.complete(http, 1_000_000)
            assert answer.status_code == 200, answer.text
            assert self.told(self.judge(http, answer)) == "done"
            state = http.get("/v1/feedback").json()
            assert state["events"]["accepted"] == len(self._noted), state
            for adapter in (self.daemon.data / "adapters").glob("*.safetensors"):
                read_adapter(adapter)
        assert digest_of(self.root) == self._files, "a file of the user's was touched"
        assert digest_of(self._model) == self._model_digest, "the base model was touched"

    def write(self, turn: int) -> None:
        """Have everything written that a daemon writes."""
        with self.daemon.http() as http:
            self.told_of("index", http.post("/v1/index", json={"root": str(self.root), "action": "sync"}))
            answer = self.complete(http, turn)
            self.told_of("complete", answer)
            if answer.status_code == 200:
                self.told_of("feedback", self.judge(http, answer))

    def tell(self, points: int) -> None:
        """The figures of docs/reliability.md, so far: hours may be cut short."""
        if points % 25 == 0:
            print(points, dict(self.became), flush=True)  # noqa: T201

    def told_of(self, what: str, response: httpx2.Response) -> None:
        self.became[f"{what} {self.told(response)}"] += 1

    def die_tuning(self, turn: int, victim: psutil.Process) -> None:
        """Kill a process at some moment of a tuning."""
        with self.daemon.http() as http, ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self.complete, http, turn, 100)
            with self.daemon.http() as other:
                self.daemon.until(lambda: "tune" in other.get("/v1/status").json()["queue"]["running"])
            threading.Event().wait(self.chance.uniform(0, 0.2))
            victim.kill()
            self.told_of("complete", asked.result(120))


@pytest.fixture(scope="module")
def stage(
    layer: ModuleType,
    library: Path,
    tmp_path_factory: pytest.TempPathFactory,
    live_daemon: Callable[..., LiveDaemon],
    new_shop: Callable[..., Path],
    tiny_model_dir: Path,
) -> Scene:
    """One daemon for all of these tests: what one of them left behind the next would notice."""
    faults = layer.Faults(tmp_path_factory.mktemp("faults") / "page")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in faults.environment(library).items():
            patch.setenv(name, value)
        daemon = live_daemon(tune__guard=False, memory__enabled=False)
    made = Scene(daemon, faults, new_shop(daemon.folder / "shop"), tiny_model_dir)
    made.edit(0)
    made.is_whole()
    return made


@pytest.fixture
def scene(stage: Scene) -> Scene:
    stage.became.clear()
    stage.faults.set_clock(0)
    return stage


@pytest.mark.parametrize("count", [short(5, minutes=10), long(500, hours=4)])
def test_a_daemon_answers_whatever_files_fail(count: int, scene: Scene) -> None:
    chance = scene.chance
    for point in range(1, count + 1):
        scene.edit(point)
        below = scene.daemon.folder / chance.choice(("data", "data", "data/adapters", "data/stores", "log", "run"))
        error, first = chance.choice(ERRORS), chance.randint(1, 30)
        last = first + chance.choice((0, 3, 10**9))
        with scene.faults.failing(below, error, first, last):
            scene.write(point)
        scene.is_whole()
        scene.tell(point)
    assert scene.became["complete done"] > count / 4, scene.became


def test_what_cannot_be_kept_is_told_until_it_can(scene: Scene) -> None:
    def problems() -> list[str]:
        with scene.daemon.http() as http:
            return [trouble["message"] for trouble in http.get("/v1/status").json()["problems"]]

    assert problems() == []
    with scene.faults.failing(scene.daemon.data, errno.ENOSPC), scene.daemon.http() as http:
        answer = scene.complete(http, 7, rank=8)  # another rank: what is at hand does not serve
        assert answer.status_code == 200, answer.text
        assert answer.json()["adaptation"]["kind"] == "fresh"
        scene.daemon.until(lambda: any("adapter" in told for told in problems()))
        scene.daemon.until(lambda: any("feedback" in told for told in problems()))
    with scene.daemon.http() as http:
        assert scene.complete(http, 8, rank=2).status_code == 200
    scene.daemon.until(lambda: problems() == [])
    scene.is_whole()


@pytest.mark.parametrize("count", [short(2, minutes=10), long(500, hours=4)])
def test_killed_while_it_tunes_writes_an_adapter_or_notes_feedback(count: int, scene: Scene, layer: ModuleType) -> None:
    chance, daemon = scene.chance, scene.daemon
    for point in range(1, count + 1):
        scene.edit(point)
        below = ("data/adapters", "", "data/stores", "data")[point % 4]
        process, engine = daemon.process, daemon.engine()
        try:
            if below:  # in the middle of an operation, whoever carries it out
                with scene.faults.failing(daemon.folder / below, layer.KILL, chance.randint(1, 25)):
                    scene.write(point)
            else:
                scene.die_tuning(point, chance.choice((process, engine)))
        except httpx2.TransportError:
            scene.became["the daemon has died"] += 1
            daemon.kill()
        while below and scene.faults.hits and not (has_ended(process) or has_ended(engine)):
            threading.Event().wait(0.02)  # somebody is dying
        if has_ended(process):
            daemon.kill()
            psutil.wait_procs([engine], timeout=30)
            assert not engine.is_running()
            daemon.start()
        scene.is_whole()
        scene.tell(point)
    assert scene.became["the daemon has died"] + scene.became["complete engine-crashed"], scene.became


def test_a_clock_that_jumps(scene: Scene) -> None:
    """A day back, a year ahead, and back again: nothing is taken for old, new, idle or due by it."""
    day, year = 86_400, 365 * 86_400
    with scene.daemon.http() as http:
        restarts = http.get("/v1/status").json()["model"]["restarts"]
    for turn, ahead in enumerate((-day, year, 0, year, -day, 0)):
        scene.faults.set_clock(ahead)
        scene.edit(turn)
        scene.write(turn)
        scene.is_whole()
        with scene.daemon.http() as http:
            state = http.get("/v1/status").json()
            assert [workspace["state"] for workspace in state["workspaces"]] == ["ready"]
            assert all(workspace["idle_seconds"] < 3_600 for workspace in state["workspaces"])
            assert state["model"]["restarts"] == restarts
    assert set(scene.became) == {"index done", "complete done", "feedback done"}
