"""What is shared: one data folder by two daemons, one repository by two folders of users, a disk that is slow."""

import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow  # daemons of their own

compiled = pytest.mark.skipif(shutil.which("cc") is None, reason="the delay is compiled")
LiveDaemon = Any  # of conftest.py
SLOW_C = Path(__file__).with_name("slow_disk.c")


@pytest.fixture(scope="module")
def first(live_daemon: Callable[..., LiveDaemon]) -> LiveDaemon:
    return live_daemon()


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As long as this file is there, opens in the folder `slow` beside it wait."""
    return tmp_path_factory.mktemp("disk") / "held"


@pytest.fixture(scope="module")
def other(live_daemon: Callable[..., LiveDaemon], held: Path) -> LiveDaemon:
    """A daemon in folders of its own, for which a disk can be slow."""
    library = held.with_name("slow_disk.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(SLOW_C), "-ldl"], check=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LD_PRELOAD": library, "SLOW_DISK": held.with_name("slow"), "SLOW_DISK_HELD": held}.items():
            patch.setenv(name, str(value))
        return live_daemon()


def index(daemon: LiveDaemon, root: Path) -> Any:
    with daemon.http() as http:
        done = http.post("/v1/index", json={"root": str(root), "action": "wait"})
        assert done.status_code == 200, done.text
        return done.json()


def complete(daemon: LiveDaemon, root: Path, **more: object) -> Any:
    body = {"workspace": str(root), "path": "payment.py", "line": 10, "replace_lines": 1} | more
    with daemon.http() as http:
        answer = http.post("/v1/complete", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@compiled
def test_a_slow_disk_holds_up_only_who_works_on_it(
    other: LiveDaemon, held: Path, new_shop: Callable[..., Path], tmp_path: Path
) -> None:
    """Looking at the slow repository takes as long as a file lies there that says so."""
    slow, fast, daemon = new_shop(held.with_name("slow")), new_shop(tmp_path / "fast"), other
    held.touch()
    with daemon.http() as http, ThreadPoolExecutor(1) as pool:
        opening = pool.submit(http.post, "/v1/index", json={"root": str(slow), "action": "wait"})

        def state_of_the_slow_one() -> str:
            told = {one["root"]: one["state"] for one in http.get("/v1/status").json()["workspaces"]}
            return str(told.get(str(slow.resolve()), "none"))

        daemon.until(held.with_name("held.waiting").exists)
        index(daemon, fast)
        assert complete(daemon, fast)["completion"]["text"] is not None
        assert state_of_the_slow_one() != "ready"
        held.unlink()
        if opening.result(120).status_code != 200:  # this took longer than a disk is waited for
            assert opening.result().json()["error"]["type"] == "repository-unreadable"
            index(daemon, slow)
        assert state_of_the_slow_one() == "ready"


@compiled
def test_a_disk_that_hangs_holds_up_only_who_asks_for_it(
    other: LiveDaemon, held: Path, new_shop: Callable[..., Path], tmp_path: Path
) -> None:
    """Not even names are looked up there; the repository was open before."""
    held.unlink(missing_ok=True)
    hung, fast, daemon = new_shop(held.with_name("slow, too")), new_shop(tmp_path / "fast"), other
    for root in (hung, fast):
        index(daemon, root)
    held.with_name("held.waiting").unlink(missing_ok=True)

    def ask() -> Any:
        with daemon.http() as http:
            place = {"workspace": str(hung), "path": "payment.py", "line": 10, "text": "\n" * 20}
            return http.post("/v1/complete", json=place)

    held.touch()
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(ask) for _ in range(12)]
        daemon.until(held.with_name("held.waiting").exists)
        for _ in range(3):
            assert complete(daemon, fast)["completion"]["text"] is not None
        assert complete(daemon, fast, workspace=None, path=str(fast / "payment.py"))["path"] == "payment.py"
        assert not any(each.done() and each.result().status_code == 200 for each in asked)
        told = [each.result().json()["error"] for each in asked]
        assert {each["type"] for each in told} <= {"repository-unreadable", "superseded"}
        assert [each["hint"] for each in told if "network share" in each["hint"]]
    held.unlink()
    daemon.until(lambda: ask().status_code == 200)


@compiled
def test_two_users_with_one_repository_have_nothing_in_common(
    first: LiveDaemon, other: LiveDaemon, new_shop: Callable[..., Path], tmp_path: Path
) -> None:
    """Two users are two homes: folders for data, sockets and logs of their own."""
    root = new_shop(tmp_path / "shop")
    for daemon in (first, other):
        index(daemon, root)
    answers = [complete(daemon, root)["id"] for daemon in (first, other)]
    for daemon, own, foreign in ((first, *answers), (other, *answers[::-1])):
        with daemon.http() as http:
            assert http.post("/v1/feedback", json={"id": foreign, "event": "shown"}).status_code == 422
            assert http.post("/v1/feedback", json={"id": own, "event": "shown"}).status_code == 200


def test_two_daemons_share_a_data_folder_and_one_ends(
    first: LiveDaemon, live_daemon: Callable[..., LiveDaemon], new_shop: Callable[..., Path]
) -> None:
    second = live_daemon(index__data_dir=first.data)
    root = new_shop(first.folder / "shop")
    link = first.folder / "link"
    link.symlink_to(root, target_is_directory=True)  # one repository on two paths
    index(first, root)
    index(second, link)
    answers = [complete(first, root), complete(second, link)]
    assert answers[0]["completion"]["text"] == answers[1]["completion"]["text"]
    for daemon, answer in zip((first, second), answers, strict=True):
        with daemon.http() as http:
            told = http.post("/v1/feedback", json={"id": answer["id"], "event": "accepted"})
            assert told.status_code == 200, told.text
    (root / "more.py").write_text("def more():\n    return 'only the other one wrote it'\n")
    assert first.stop() == 0
    index(second, link)
    with second.http() as http:
        body = {"workspace": str(link), "text": "only the other one wrote it", "wait_for_index": True}
        found = http.post("/v1/query", json=body).json()["findings"]
        assert "more.py" in {finding["path"] for finding in found}
        told = http.get("/v1/feedback").json()
        assert told["events"]["accepted"] == 2
    assert complete(second, link)["completion"]["text"]
    assert second.stop() == 0
    assert not list(first.data.rglob("*.damaged-*"))
