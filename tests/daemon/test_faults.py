"""Bad luck with real processes: what is killed, unplugged, full, deleted or crowded costs one request at most."""

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

pytestmark = pytest.mark.slow  # a daemon or an engine of its own for most scenes

LiveDaemon = Any  # of conftest.py
LINE = 10
CLIENTS = 20


@pytest.fixture(scope="module")
def live(live_daemon: Callable[..., LiveDaemon]) -> LiveDaemon:
    return live_daemon(tune__guard=False)


@pytest.fixture
def http(live: LiveDaemon) -> Iterator[httpx2.Client]:
    with live.http() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(live: LiveDaemon, new_shop: Callable[..., Path]) -> Path:
    """A repository that is open and indexed."""
    root = new_shop(live.folder / "shop")
    with live.http() as own:
        index(own, root)
    return root


def index(http: httpx2.Client, root: Path) -> None:
    done = http.post("/v1/index", json={"root": str(root), "action": "wait"})
    assert done.status_code == 200, done.text


def place(folder: Path, **more: object) -> dict[str, object]:
    return {"workspace": str(folder), "path": "payment.py", "line": LINE, "replace_lines": 1} | more


def findings(http: httpx2.Client, folder: Path) -> list[dict[str, Any]]:
    body = {"workspace": str(folder), "text": "the receipt of a refund", "wait_for_index": True}
    answer = http.post("/v1/query", json=body)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["findings"]
    return found


def queue(http: httpx2.Client) -> Any:
    return http.get("/v1/status").json()["queue"]


def error_of(response: httpx2.Response) -> str:
    name: str = response.json()["error"]["type"]
    return name


def test_health_is_told_while_the_model_is_loading(live_daemon: Callable[..., LiveDaemon]) -> None:
    daemon = live_daemon()
    with daemon.http() as http:
        told = http.get("/healthz").json()
        assert told["status"] == "ok"
        assert told["model"] in ("unloaded", "loading")  # it serves long before the model is there
        daemon.until(lambda: http.get("/healthz").json()["model"] == "ready")
    engine = daemon.engine()
    assert daemon.stop() == 0
    assert not engine.is_running()


def test_a_client_that_leaves_withdraws_its_request(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    live.engine()
    content = json.dumps(place(folder, settings={"tune.steps": 200, "select.alpha": 0, "seed": 9})).encode()
    head = f"POST /v1/complete HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n"
    with socket.socket(socket.AF_UNIX) as leaving:
        leaving.connect(live.connection.socket)
        leaving.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + content)
        live.until(lambda: queue(http)["requests"] == 1)
    live.until(lambda: queue(http)["requests"] == 0)


def test_many_clients_at_once_are_all_answered(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    together = threading.Barrier(CLIENTS)

    def type_along(number: int) -> list[httpx2.Response]:
        with live.http() as own, ThreadPoolExecutor(10) as pool:
            together.wait()
            asked = []
            for line in range(1, 11):
                body = place(folder, line=line, client=f"editor {number}", budget_ms=1, settings={"tune.steps": 0})
                began = threading.Event()

                def ask(body: dict[str, object] = body, began: threading.Event = began) -> httpx2.Response:
                    with own.stream("POST", "/v1/complete", json=body, headers={"Accept": "text/event-stream"}) as said:
                        began.set()  # the daemon has taken it: the next one is newer
                        said.read()
                        return said

                asked.append(pool.submit(ask))
                assert began.wait(60)
            return [answer.result(60) for answer in asked]

    with ThreadPoolExecutor(CLIENTS) as pool:
        for answers in pool.map(type_along, range(CLIENTS)):
            ends = [ending(answer) for answer in answers]
            assert ends[-1] == "result"
            assert set(ends) <= {"result", "superseded"}
    assert queue(http)["requests"] == 0


def ending(answer: httpx2.Response) -> str:
    """How a stream of events ended: `result`, or the type of its error."""
    fields = dict(line.split(": ", 1) for line in answer.text.strip().split("\n\n")[-1].split("\n"))
    return "result" if fields["event"] == "result" else str(json.loads(fields["data"])["error"]["type"])


def test_an_engine_that_is_killed_costs_one_request(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    engine = live.engine()
    restarts = http.get("/v1/status").json()["model"]["restarts"]
    text = (folder / "payment.py").read_text()

    def ask(number: int) -> httpx2.Response:
        own_way = {"seed": number, "tune.steps": 6, "select.alpha": 0}
        body = place(folder, path=f"new{number}.py", text=text, client="c", settings=own_way)
        with live.http() as own:
            return own.post("/v1/complete", json=body)

    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ask, number) for number in range(10)]
        live.until(lambda: queue(http)["requests"] == 10 and "tune" in queue(http)["running"])
        engine.kill()
        answers = [answer.result(120) for answer in asked]
    failed = [answer for answer in answers if answer.status_code != 200]
    assert len(failed) <= 1
    assert all((answer.status_code, error_of(answer)) == (502, "engine-crashed") for answer in failed)
    model = http.get("/v1/status").json()["model"]
    assert model["restarts"] == restarts + 1
    assert model["pid"] != engine.pid


def test_a_repository_that_is_deleted_and_comes_back(
    live: LiveDaemon, http: httpx2.Client, new_shop: Callable[..., Path]
) -> None:
    root = new_shop(live.folder / "brief")
    index(http, root)
    before = findings(http, root)

    def state() -> str:
        told = http.get("/v1/workspaces").json()["workspaces"]
        return next((str(workspace["state"]) for workspace in told if workspace["root"] == str(root)), "closed")

    shutil.rmtree(root)
    live.until(lambda: state() == "gone")
    refused = http.post("/v1/complete", json=place(root))
    assert (refused.status_code, error_of(refused)) == (422, "input-error")
    assert http.get("/healthz").status_code == 200
    new_shop(root)
    live.until(lambda: state() == "ready")
    assert findings(http, root) == before
    assert http.post("/v1/complete", json=place(root)).status_code == 200


def test_an_adapter_that_cannot_be_written_costs_no_answer(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    """As with a full disk: the folder's place is taken by a file, which stops even root."""
    adapters = live.data / "adapters"
    aside = adapters.with_name("aside")
    adapters.rename(aside)
    adapters.write_text("")
    try:
        answer = http.post("/v1/complete", json=place(folder, settings={"seed": 77}))
        assert answer.status_code == 200, answer.text
        assert (answer.json()["adaptation"]["kind"], answer.json()["adaptation"]["steps"]) == ("fresh", 3)
    finally:
        adapters.unlink()
        aside.rename(adapters)
    again = http.post("/v1/complete", json=place(folder, settings={"seed": 77, "tune.rank": 8}))
    assert again.status_code == 200, again.text
    assert http.get("/v1/adapters").json()["adapters"]


def test_a_daemon_that_is_killed_while_it_tunes(live: LiveDaemon, folder: Path) -> None:
    with live.http() as http, ThreadPoolExecutor(1) as pool:
        before = findings(http, folder)
        engine = live.engine()
        body = place(folder, settings={"tune.steps": 200, "select.alpha": 0, "seed": 3})
        asked = pool.submit(http.post, "/v1/complete", json=body)
        live.until(lambda: "tune" in http.get("/v1/status").json()["queue"]["running"])
        live.kill()
        with pytest.raises(httpx2.TransportError):
            asked.result(60)
    psutil.wait_procs([engine], timeout=30)
    assert not engine.is_running()
    live.start()
    with live.http() as http:
        assert findings(http, folder) == before
        assert not [file.name for file in (live.data / "adapters").iterdir() if file.name.endswith(".part")]
        answer = http.post("/v1/complete", json=place(folder, settings={"seed": 3}))
        assert answer.status_code == 200, answer.text
    assert live.stop() == 0
