"""The session against real daemon processes: found, started, killed, restarted, absent; and what the user is told."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from vicinal_daemon import client, config
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ConfigError, DaemonError, DaemonUnreachable, ModelMissing, ModelUnusable
from vicinal_daemon.place import Place, Serving, birth
from vicinal_daemon.protocol.requests import (
    CompleteRequest,
    FeedbackRequest,
    HintRequest,
    ModelPullRequest,
    QueryRequest,
    WorkspaceRequest,
)
from vicinal_daemon.protocol.state import Event
from vicinal_indexer.errors import InputError
from vicinal_lsp.news import LOST, READY, RESTARTING, Status
from vicinal_lsp.session import Session

pytestmark = pytest.mark.slow  # several daemons of its own

PATIENCE = 60.0
SMALL_DAEMON = str(Path(__file__).parents[1] / "daemon" / "small_daemon.py")
CODE = '''def total(orders):
    """The sum of what was ordered."""
    amount = 0
    for order in orders:
        amount += order.amount
    return amount
'''


@pytest.fixture
def settings(tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Of a daemon in temporary folders on the small model; it is ended after the test, whoever started it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # The daemon runs in another folder, and what is tested is what this process imports.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path))
    with TemporaryDirectory(prefix="v") as short:  # a socket's path has a limit
        yield (chosen := settings_in(Path(short) / "run", tmp_path, **{"model.name": str(tiny_model_dir)}))
        if left := client.find(chosen):
            daemon = psutil.Process(left.pid)
            family = [*daemon.children(recursive=True), daemon]
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, PATIENCE)


@pytest.fixture
def bare(settings: Settings, tmp_path: Path) -> Settings:
    """As `settings`, without a model: such a daemon is up at once."""
    return settings_in(settings.daemon.folder, tmp_path, **{"model.cache_dir": tmp_path / "no-models"})


def settings_in(folder: Path, more: Path, **flags: object) -> Settings:
    own = {"daemon.folder": folder, "daemon.log_dir": more / "log", "index.data_dir": more / "data"}
    return config.load(None, {"model.device": "cpu", **own, **flags}, {}, more / "no-settings.toml")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    for name in ("orders", "refunds", "returns"):
        (root / f"{name}.py").write_text(CODE.replace("orders", name))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def request(shop: Path, identity: str = "", **more: object) -> CompleteRequest:
    place: dict[str, object] = {"workspace": str(shop), "path": "orders.py", "text": CODE, "line": 5, "column": 9}
    quick = {"generate.max_tokens": 8, "tune.steps": 1, "tune.rank": 2, "tune.max_tokens": 32, "tune.guard": False}
    return CompleteRequest.model_validate({**place, "id": identity, "settings": quick, **more})


class Play:
    """A session, and everything it told; `until` waits for the next thing it tells."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self.told: list[Status] = []
        self.events: list[Event] = []
        self.missing: list[str] = []
        self._news = asyncio.Event()
        self.session = Session(self._hear(self.told), self._hear(self.events), settings, self._hear(self.missing))

    def _hear(self, where: list) -> Callable[..., None]:  # type: ignore[type-arg]
        def hear(what: object) -> None:
            where.append(what)
            self._news.set()

        return hear

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def levels(self) -> list[str]:
        return [status.level for status in self.told]


def play(scene: Callable[[Play], Awaitable[None]], settings: Settings | Callable[[], Settings]) -> None:
    """Play a scene with a session; afterwards neither a thread nor a socket of it is left."""
    before = set(psutil.Process().net_connections("all"))
    threads = set(threading.enumerate())

    async def run() -> None:
        acted = Play(settings if callable(settings) else lambda: settings)
        try:
            async with asyncio.timeout(2 * PATIENCE):
                await scene(acted)
        finally:
            await acted.session.close()
        left = [one.name for one in set(threading.enumerate()) - threads]
        assert all(name == "vicinal daemon's end" for name in left), left  # it waits for a child that outlives us

    asyncio.run(run())
    assert set(psutil.Process().net_connections("all")) <= before


def daemon_pid(settings: Settings) -> int:
    found = client.find(settings)
    assert found is not None
    return found.pid


def test_a_daemon_that_is_killed_under_a_request_costs_time_only(
    settings: Settings, bare: Settings, shop: Path
) -> None:
    first = psutil.Process(client.start(bare).pid)

    async def scene(at: Play) -> None:
        assert at.session.state == "absent"
        at.session.begin()
        await at.until(lambda: at.session.state == "ready")
        assert (await at.session.status()).pid == first.pid
        first.suspend()
        asked = asyncio.ensure_future(at.session.complete(request(shop)))
        await asyncio.sleep(0)  # it has been sent to a thread
        first.kill()
        assert (await asked).path == "orders.py"
        assert (await at.session.status()).pid == daemon_pid(settings) != first.pid
        assert "error" not in at.levels()
        await at.until(lambda: any(event.name == "answer" for event in at.events))
        await at.until(lambda: at.told[-1] == READY)
        await can_be_asked_for_the_rest(at, shop)
        await is_called_off(at, request(shop, "slow", settings={"tune.steps": 200}))

    play(scene, settings)
    assert client.find(settings) is not None  # it goes on without us


async def can_be_asked_for_the_rest(at: Play, shop: Path) -> None:
    assert (await at.session.add_workspace(WorkspaceRequest(root=str(shop))))["root"] == str(shop)
    assert (await at.session.query(QueryRequest(workspace=str(shop), text="the sum of orders"))).findings
    assert await at.session.hint(HintRequest(workspace=str(shop), path="orders.py", line=5))
    assert (await at.session.models())["data"]
    with pytest.raises(InputError):
        await at.session.feedback(FeedbackRequest(id="never given", event="shown"))
    await at.session.cancel("nobody's")


async def is_called_off(at: Play, slow: CompleteRequest) -> None:
    """A request that is called off here is called off in the daemon."""
    asked = asyncio.ensure_future(at.session.complete(slow))
    at.events.clear()
    await at.until(lambda: any(event.name == "tune" for event in at.events))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(PATIENCE):
        while (await at.session.status()).queue.requests:
            pass


def test_a_daemon_that_was_killed_is_replaced_by_the_next_request(bare: Settings) -> None:
    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.session.state == "ready")
        first = daemon_pid(bare)
        psutil.Process(first).kill()
        await at.until(lambda: at.session.state == "absent")
        assert at.told[-1] == LOST
        assert (await at.session.status()).pid != first
        assert at.told.count(LOST) == 1

    play(scene, bare)


def test_a_daemon_that_somebody_else_starts_again_is_found_again(bare: Settings) -> None:
    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.session.state == "ready")
        psutil.Process(daemon_pid(bare)).kill()
        await at.until(lambda: at.session.state == "absent")
        seen = len(at.told)
        client.start(bare)
        await at.until(lambda: at.session.state == "ready")
        assert LOST not in at.told[seen:]
        assert at.told.count(LOST) == 1

    play(scene, bare)


def test_restart_ends_the_daemon_and_starts_another(bare: Settings) -> None:
    async def scene(at: Play) -> None:
        await at.session.restart()  # there is none yet
        first = daemon_pid(bare)
        await asyncio.gather(at.session.restart(), at.session.status())
        assert daemon_pid(bare) != first
        assert at.session.state == "ready"
        assert at.told.count(RESTARTING) == 2
        assert LOST not in at.told

    play(scene, bare)


def test_a_daemon_that_cannot_start_is_told_of_once(tmp_path: Path, shop: Path) -> None:
    folder = tmp_path / "not-a-folder"
    folder.write_text("a file")
    unusable = settings_in(folder, tmp_path)

    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: "error" in at.levels())
        for trigger in ("automatic", "automatic", "invoked"):
            with pytest.raises(ConfigError, match="not-a-folder"):
                await at.session.complete(request(shop, trigger=trigger))
        assert at.levels() == ["progress", "error"]
        assert at.told[-1].hint
        with pytest.raises(ConfigError):
            await at.session.restart()
        assert at.levels() == ["progress", "error", "progress", "error"]

    play(scene, unusable)


def test_settings_that_are_wrong_are_told_of_and_may_be_mended(bare: Settings, shop: Path) -> None:
    wrong = [ConfigError("there is no setting model.nam", hint="model.name?")]

    def load() -> Settings:
        if wrong:
            raise wrong[0]
        return bare

    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.told[-1:] == [Status("error", "there is no setting model.nam", "model.name?")])
        wrong.clear()
        with pytest.raises(ModelMissing):  # so far it comes at once
            await at.session.complete(request(shop, trigger="invoked"))

    play(scene, load)


def test_a_missing_model_is_offered_once(bare: Settings, shop: Path) -> None:
    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.missing)
        assert at.session.model_missing == at.missing[0] == bare.model.name
        for _ in range(2):
            with pytest.raises(ModelMissing):
                await at.session.complete(request(shop))
        await at.until(lambda: at.told[-1].level == "warning")
        assert "vicinal models pull" in at.told[-1].hint
        await at.session.restart()
        with pytest.raises(ModelMissing):
            await at.session.complete(request(shop))
        assert at.missing == [bare.model.name]
        with pytest.raises(ModelUnusable):
            await at.session.pull(ModelPullRequest(name="../no such model"), lambda event: None)

    play(scene, bare)


def test_closing_lets_go_of_a_daemon_that_does_not_answer(bare: Settings, shop: Path) -> None:
    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.session.state == "ready")
        stuck = psutil.Process(daemon_pid(bare))
        stuck.suspend()
        try:
            asked = [asyncio.ensure_future(at.session.complete(request(shop))) for _ in range(3)]
            await asyncio.sleep(0)
            await at.session.close()
            for one in asked:
                with pytest.raises(DaemonError):
                    await one
        finally:
            stuck.resume()

    play(scene, bare)


def test_a_session_that_is_closed_answers_nothing(settings: Settings, shop: Path) -> None:
    async def scene(at: Play) -> None:
        await at.session.close()
        at.session.begin()
        with pytest.raises(DaemonError):
            await at.session.complete(request(shop))
        await at.session.cancel("nobody's")
        assert not at.told

    play(scene, settings)
    assert client.find(settings) is None


def test_a_daemon_of_another_version_is_told_of(bare: Settings) -> None:
    connection = client.start(bare, PATIENCE, (sys.executable, SMALL_DAEMON))  # which says that it is Vicinal 0

    async def scene(at: Play) -> None:
        at.session.begin()
        await at.until(lambda: at.told[-1:] and at.told[-1].level == "warning")
        assert "Vicinal 0," in at.told[-1].message
        assert "vicinal.restartDaemon" in at.told[-1].hint
        await at.session.restart()
        assert not connection.is_alive()
        assert (await at.session.status()).pid != connection.pid

    play(scene, bare)


def test_a_line_that_is_retired_ends_what_is_waited_for(bare: Settings) -> None:
    from vicinal_lsp.line import reach

    line = reach(bare).line
    waiting = threading.Event()
    ended: list[DaemonUnreachable] = []

    def wait() -> None:
        try:
            with line.held():
                for _ in line.events():
                    waiting.set()
        except DaemonUnreachable as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(PATIENCE)
    line.retire()
    thread.join(PATIENCE)
    assert line.broke(ended[0])
    with pytest.raises(DaemonUnreachable), line.held():
        pass
    line.retire()  # does no harm


def test_a_daemon_that_is_ending_is_replaced(bare: Settings) -> None:
    """A process that is killed is there for a moment longer than its sockets."""
    from vicinal_lsp.line import reach

    with socket.create_server(("127.0.0.1", 0)) as ending:

        def hang_up() -> None:
            while not done.is_set():
                ending.accept()[0].close()

        done = threading.Event()
        thread = threading.Thread(target=hang_up)
        thread.start()
        try:
            place = Place.of(bare)
            place.prepare()
            address = f"http://127.0.0.1:{ending.getsockname()[1]}"
            born = birth(os.getpid()) or ""
            serving = Serving(pid=os.getpid(), born=born, address=address, version="0", started=0, fingerprint="")
            place.announce(serving)
            met = reach(bare)
            assert met.line.connection.pid == daemon_pid(bare) != os.getpid()
            met.line.retire()
        finally:
            done.set()
            socket.create_connection(ending.getsockname()).close()
            thread.join(PATIENCE)


def test_the_session_loads_nothing_slow_before_it_begins() -> None:
    code = (
        "import sys, vicinal_lsp.session; "
        "print([name for name in ('pydantic', 'httpx2', 'torch', 'lancedb') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
