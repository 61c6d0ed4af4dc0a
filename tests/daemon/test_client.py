"""The client against a real daemon process: answers, progress, errors by their class, a daemon that goes away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from vicinal_daemon import client, config
from vicinal_daemon.client import Client, Connection
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import (
    ConfigError,
    DaemonUnreachable,
    EngineOutOfMemory,
    Superseded,
    error_type,
    errors_by_type,
    from_trouble,
)
from vicinal_daemon.place import Place
from vicinal_daemon.protocol.requests import QueryRequest
from vicinal_daemon.protocol.state import Event
from vicinal_indexer.errors import InputError, StoreLocked, VicinalError

SMALL_DAEMON = (sys.executable, str(Path(__file__).with_name("small_daemon.py")))
PATIENCE = 20.0


def settings_in(folder: str, **daemon: object) -> Settings:
    flags = {"daemon.folder": f"{folder}/run", "daemon.log_dir": f"{folder}/logs"}
    return config.load(flags={**flags, **daemon}, environ={}, user_file=Path(folder, "none"))


@pytest.fixture
def settings() -> Iterator[Settings]:
    with TemporaryDirectory(prefix="vcl") as folder:  # short: a socket's path has a limit
        chosen = settings_in(folder)
        try:
            yield chosen
        finally:
            left = client.find(chosen)
            if left is not None:
                client.stop(left, wait_seconds=5)


@pytest.fixture(scope="module")
def running() -> Iterator[Connection]:
    """A daemon that the tests which harm nothing share."""
    with TemporaryDirectory(prefix="vcl") as folder:
        connection = client.start(settings_in(folder), PATIENCE, SMALL_DAEMON)
        yield connection
        client.stop(connection)


@pytest.fixture
def asked(running: Connection) -> Iterator[Client]:
    with Client(running) as opened:
        yield opened


def question(text: str) -> QueryRequest:
    return QueryRequest(workspace=str(Path.cwd()), text=text)


def test_start_find_ask_stop(settings: Settings) -> None:
    assert client.find(settings) is None
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    assert client.find(settings) == connection
    assert client.ensure(settings) == connection
    assert connection.suits(settings)
    with Client(connection) as opened:
        assert opened.health()["pid"] == connection.pid
        assert opened.status().model.state == "ready"
    assert psutil.Process(connection.pid).cwd() == settings.daemon.folder.anchor  # no folder of the user's is held
    assert client.stop(connection) == "asked"
    assert client.find(settings) is None
    assert client.stop(connection) == "gone"


def test_the_daemon_runs_by_the_settings_of_who_started_it(settings: Settings) -> None:
    other = settings.model_copy(update={"model": settings.model.model_copy(update={"name": "another"})})
    connection = client.start(other, PATIENCE, SMALL_DAEMON)
    assert connection.suits(other)
    assert not connection.suits(settings)


def test_an_answer_comes_with_or_without_progress(asked: Client) -> None:
    plain = asked.query(question("q"))
    seen: list[Event] = []
    assert asked.query(question("q"), seen.append) == plain
    # A client does other things meanwhile: cancel, for one.
    assert asked.query(question("q"), lambda event: asked.health()["status"].upper()) == plain
    assert [(event.name, event.done, event.total) for event in seen] == [("stage", 1, 2), ("stage", 2, 2)]


@pytest.mark.parametrize("error_class", [Superseded, EngineOutOfMemory, StoreLocked, InputError])
@pytest.mark.parametrize("on_event", [None, lambda event: None])
def test_an_error_is_raised_as_the_daemon_raised_it(
    asked: Client, error_class: type[VicinalError], on_event: client.OnEvent | None
) -> None:
    with pytest.raises(error_class) as caught:
        asked.query(question(f"fail {error_type(error_class)}"), on_event)
    assert (caught.value.message, caught.value.hint) == ("it failed", "do this")


@pytest.mark.parametrize("text", ["fail from-the-future", "html", "odd"])
def test_an_answer_that_is_not_understood_says_so(asked: Client, text: str) -> None:
    with pytest.raises(DaemonUnreachable) as caught:
        asked.query(question(text))
    assert caught.value.hint


def test_a_stream_without_a_result_is_no_answer(asked: Client) -> None:
    with pytest.raises(DaemonUnreachable, match="before it had answered"):
        asked.query(question("stop short"), lambda event: None)


def test_a_route_that_the_daemon_does_not_have_is_an_error(asked: Client) -> None:
    with pytest.raises(DaemonUnreachable, match="/v1/adapters: 404"):
        asked.adapters()


def test_every_error_has_one_name_and_comes_back_from_it() -> None:
    named = errors_by_type()
    assert named["daemon-not-running"].exit_code == 5
    for name, error_class in named.items():
        assert error_type(error_class) == name
        assert type(from_trouble(name, "m", "h")) is error_class
    assert type(from_trouble("no-such-error", "m")) is DaemonUnreachable


def test_a_daemon_that_dies_in_the_middle_of_an_answer_is_unreachable(settings: Settings) -> None:
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)

    def kill(_: object) -> None:
        with suppress(psutil.NoSuchProcess):  # it may have told more than once before it died
            psutil.Process(connection.pid).kill()

    with Client(connection) as opened, pytest.raises(DaemonUnreachable, match=connection.address):
        opened.query(question("wait"), kill)
    with Client(connection) as opened, pytest.raises(DaemonUnreachable):
        opened.status()


def test_events_flow_until_the_daemon_ends(settings: Settings) -> None:
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    with Client(connection) as opened:
        events = opened.events()
        assert next(events).detail == "here"
        opened.shutdown()
        assert list(events) == []


def test_a_token_is_needed_on_a_port(settings: Settings) -> None:
    tcp = settings_in(str(settings.daemon.folder.parent), **{"daemon.tcp": True})
    connection = client.start(tcp, PATIENCE, SMALL_DAEMON)
    assert connection.address.startswith("http://127.0.0.1:")
    assert connection.token is not None
    assert connection.token not in repr(connection)
    with Client(connection) as opened:
        assert opened.health()["status"] == "ok"
    for token in (None, "", connection.token[:-1], "ü"):
        stranger = Connection(connection.serving, token and token.encode("ascii", "ignore").decode())
        with Client(stranger) as opened, pytest.raises(VicinalError, match="token is missing or wrong"):
            opened.health()
    place = Place.of(tcp)
    if sys.platform != "win32":
        assert place.token_file.stat().st_mode & 0o777 == 0o600
    assert client.stop(connection) == "asked"
    assert place.token() is None


def test_a_proxy_in_the_environment_is_not_asked(running: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Client(running) as opened:
        assert opened.health()["status"] == "ok"


def test_clients_that_race_to_start_a_daemon_share_one(settings: Settings) -> None:
    together = threading.Barrier(3)

    def race() -> int:
        together.wait()
        return client.start(settings, PATIENCE, SMALL_DAEMON).pid

    with ThreadPoolExecutor(3) as pool:
        racers = [pool.submit(race) for _ in range(3)]
        (pid,) = {racer.result() for racer in racers}
    assert psutil.Process(pid).is_running()


@pytest.mark.parametrize("manners", ["fails at once", "fails to start"])
def test_a_daemon_that_does_not_come_up_says_why(
    settings: Settings, manners: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_DAEMON", manners)
    with pytest.raises(DaemonUnreachable, match=r"no (app|model) today"):
        client.start(settings, PATIENCE, SMALL_DAEMON)
    assert client.find(settings) is None


def test_a_daemon_that_does_not_answer_is_not_waited_for_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_DAEMON", "deaf")
    with pytest.raises(DaemonUnreachable, match="gives no answer after 2 s"):
        client.start(settings, 2, SMALL_DAEMON)
    deadline, pause = time.monotonic() + PATIENCE, threading.Event()
    while (left := client.find(settings)) is None:  # on a busy machine it is only just coming up
        assert time.monotonic() < deadline
        pause.wait(0.02)
    psutil.Process(left.pid).kill()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that can be refused")
def test_a_daemon_that_will_not_end_is_told_and_at_last_killed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_DAEMON", "stubborn")
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    assert client.stop(connection, wait_seconds=1.5) == "terminated"
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    os.kill(connection.pid, signal.SIGSTOP)
    assert client.stop(connection, wait_seconds=0.3) == "killed"


def test_a_folder_that_cannot_be_used_is_said_before_anything_is_started(settings: Settings) -> None:
    Path(settings.daemon.folder).write_text("a file")
    with pytest.raises(ConfigError):
        client.start(settings, PATIENCE, SMALL_DAEMON)


def test_the_client_loads_no_part_of_a_server() -> None:
    code = (
        "import sys, vicinal_daemon.client; "
        "print([n for n in ('torch', 'lancedb', 'fastapi', 'uvicorn', 'transformers', 'numpy') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
