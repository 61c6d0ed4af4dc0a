"""The daemon's life with real processes: one at a time, ended in order or not at all, started again after anything."""

import logging
import os
import plistlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from vicinal_daemon import client, config
from vicinal_daemon.cli.app import run
from vicinal_daemon.client import Client
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ConfigError, DaemonUnreachable
from vicinal_daemon.lifecycle import units
from vicinal_daemon.lifecycle.logs import engine_log, logging_to_files
from vicinal_daemon.place import LOG_BYTES, Place, Serving, birth, fingerprint
from vicinal_daemon.protocol.requests import QueryRequest
from vicinal_indexer.errors import InputError, StoreLocked

SMALL_DAEMON = (sys.executable, str(Path(__file__).with_name("small_daemon.py")))
PATIENCE = 20.0
posix = pytest.mark.skipif(sys.platform == "win32", reason="a matter of POSIX")


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a short folder of their own (a socket's path has a limit), in the environment too."""
    with TemporaryDirectory(prefix="vcl") as folder:
        monkeypatch.setenv("VICINAL_DAEMON_FOLDER", f"{folder}/run")
        monkeypatch.setenv("VICINAL_DAEMON_LOG_DIR", f"{folder}/logs")
        monkeypatch.setenv("XDG_CONFIG_HOME", f"{folder}/config")
        yield config.load()


@pytest.fixture
def place(settings: Settings) -> Place:
    return Place.of(settings)


@pytest.fixture
def launch(settings: Settings) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts daemons that the test watches as its own children; none outlives it."""
    with ExitStack() as children:

        def start() -> "subprocess.Popen[str]":
            child = children.enter_context(subprocess.Popen(SMALL_DAEMON, stderr=subprocess.PIPE, text=True))
            children.callback(child.kill)
            return child

        yield start


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that another process brings about."""
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        pause.wait(0.02)


def serves(place: Place, pid: int) -> bool:
    found = place.serving()
    return found is not None and found.pid == pid


def of_process(pid: int, born: str) -> Serving:
    return Serving(pid=pid, born=born, address="unix:/nowhere", version="0", started=0.0, fingerprint="")


# The place.


@posix
def test_the_folder_and_all_in_it_are_the_users_alone(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"]
) -> None:
    child = launch()
    until(lambda: serves(place, child.pid))
    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o600


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_to_is_refused(place: Place, mode: int) -> None:
    place.folder.mkdir()
    place.folder.chmod(mode)
    with pytest.raises(ConfigError, match="others can write"):
        place.prepare()


@posix
def test_a_folder_of_another_user_is_refused(place: Place) -> None:
    place.folder.mkdir(mode=0o700)
    try:
        os.chown(place.folder, 12345, -1)
    except PermissionError:
        pytest.skip("only root can give a folder away")
    with pytest.raises(ConfigError, match="another user"):
        place.prepare()


@posix
def test_a_path_that_is_too_long_for_a_socket_is_refused_with_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="too long") as caught:
        Place(tmp_path / ("x" * 100)).prepare()
    assert "daemon.folder" in caught.value.hint


def test_a_file_in_the_folders_place_is_refused(place: Place) -> None:
    place.folder.write_text("")
    with pytest.raises(ConfigError, match="cannot be the daemon's folder"):
        place.prepare()


def test_a_later_process_with_the_same_pid_is_not_taken_for_the_daemon(settings: Settings, place: Place) -> None:
    place.prepare()
    born = birth(os.getpid())
    assert born is not None
    place.announce(of_process(os.getpid(), born))
    assert client.find(settings) is not None
    place.announce(of_process(os.getpid(), born + "0"))
    assert client.find(settings) is None


def test_a_process_that_has_ended_has_no_birth() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        until(lambda: birth(child.pid) is None)  # though nobody has waited for it yet
    assert birth(child.pid) is None


def test_what_is_no_daemons_json_names_nobody(settings: Settings, place: Place) -> None:
    place.prepare()
    for content in (b"", b"{", b"[]", b'{"pid": "x"}', b"\xff"):
        place.serving_file.write_bytes(content)
        assert client.find(settings) is None


def test_the_fingerprint_is_of_what_requests_cannot_change(settings: Settings) -> None:
    def changed(flag: str, value: object) -> bool:
        return fingerprint(config.load(flags={flag: value})) != fingerprint(settings)

    assert changed("model.name", "another")
    assert changed("engine.memory_mb", 5)
    assert not changed("tune.steps", 1)
    assert not changed("daemon.queue", 1)


# One daemon, from its start to its end.


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"], number: signal.Signals
) -> None:
    child = launch()
    until(lambda: serves(place, child.pid))
    child.send_signal(number)
    assert child.wait(PATIENCE) == 0
    assert {path.name for path in place.folder.iterdir()} <= {"ended-in-order", place.lock.name}
    assert (place.folder / "ended-in-order").exists()


@posix
def test_a_request_that_runs_does_not_hold_the_end_up_for_ever(
    settings: Settings, place: Place, launch: Callable[[], "subprocess.Popen[str]"]
) -> None:
    child = launch()
    until(lambda: serves(place, child.pid))
    connection = client.find(settings)
    assert connection is not None
    request = QueryRequest(workspace=str(place.folder), text="wait")
    with Client(connection) as asked, pytest.raises(DaemonUnreachable):
        asked.query(request, lambda event: child.terminate())
    assert child.wait(PATIENCE) == 0
    assert (place.folder / "ended-in-order").exists()


@posix
def test_an_end_that_takes_too_long_is_cut_off(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_DAEMON", "never ends")
    child = launch()
    until(lambda: serves(place, child.pid))
    child.terminate()
    assert child.wait(PATIENCE) == 1
    assert not place.socket.exists()


def test_of_daemons_that_race_one_wins_and_the_others_say_which(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"]
) -> None:
    racers = [launch() for _ in range(3)]
    until(lambda: [racer.poll() for racer in racers].count(5) == 2)
    (winner,) = (racer for racer in racers if racer.poll() is None)
    until(lambda: serves(place, winner.pid))
    late = launch()
    assert late.wait(PATIENCE) == 5
    assert late.stderr is not None
    assert f"there is a daemon already: process {winner.pid}" in late.stderr.read()
    assert serves(place, winner.pid)


@posix
def test_after_kill_9_the_next_one_serves(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"], settings: Settings
) -> None:
    first = launch()
    until(lambda: serves(place, first.pid))
    first.kill()
    first.wait()
    assert place.socket.exists()
    assert client.find(settings) is None
    second = client.start(settings, PATIENCE, SMALL_DAEMON)
    assert second.pid != first.pid
    assert client.stop(second) == "asked"


@posix
def test_what_a_dead_daemon_left_is_cleared(settings: Settings, place: Place) -> None:
    place.prepare()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place.socket))
    place.announce(of_process(os.getpid(), "another time"))  # our pid, but not us
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    assert connection.pid != os.getpid()
    assert client.stop(connection) == "asked"


@posix
def test_foreign_files_stay_as_they_are(
    settings: Settings, place: Place, launch: Callable[[], "subprocess.Popen[str]"]
) -> None:
    place.prepare()
    (place.folder / "notes").write_text("mine")
    place.socket.write_text("no socket")
    child = launch()
    assert child.wait(PATIENCE) == 2
    assert place.socket.read_text() == "no socket"
    place.socket.unlink()
    client.stop(client.start(settings, PATIENCE, SMALL_DAEMON))
    assert (place.folder / "notes").read_text() == "mine"


@posix
@pytest.mark.parametrize("lost", ["daemon.sock", "daemon.json", "daemon.lock", ""])
def test_a_daemon_that_nobody_can_reach_ends(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"], lost: str
) -> None:
    child = launch()
    until(lambda: serves(place, child.pid))
    if lost:
        (place.folder / lost).unlink()
    else:
        shutil.rmtree(place.folder)
    assert child.wait(PATIENCE) == 0


def test_a_daemon_whose_place_is_taken_leaves_it_to_the_other(
    place: Place, launch: Callable[[], "subprocess.Popen[str]"]
) -> None:
    child = launch()
    until(lambda: serves(place, child.pid))
    other = of_process(os.getpid(), birth(os.getpid()) or "")
    place.announce(other)
    assert child.wait(PATIENCE) == 0
    assert place.serving() == other


# Logs.


def test_the_log_tells_what_failed_but_not_the_text_it_failed_on(settings: Settings) -> None:
    before = logging.getLogger().handlers[:]
    with logging_to_files(settings) as came_up:
        came_up()
        log = logging.getLogger("vicinal_daemon.somewhere")
        try:
            try:
                int("def secret_code(): ...")
            except ValueError as error:
                raise StoreLocked("the store is locked") from error
        except StoreLocked:
            log.exception("it failed")
        thread = threading.Thread(target=lambda: [].pop(), name="worker")
        thread.start()
        thread.join()
    text = (settings.daemon.log_dir / "daemon.log").read_text()
    assert "secret_code" not in text.replace('int("def secret_code(): ...")', "")  # our own line is no user's
    assert "ERROR vicinal_daemon.somewhere: it failed" in text
    assert "StoreLocked: the store is locked" in text
    assert "ValueError: (its text is left out" in text
    assert "IndexError" in text
    assert logging.getLogger().handlers == before


def test_logs_do_not_grow_for_ever(settings: Settings) -> None:
    with logging_to_files(settings) as came_up:
        came_up()
        log = logging.getLogger("vicinal_daemon.somewhere")
        for _ in range(6):
            log.info("x" * (LOG_BYTES - 1000))
    kept = sorted(path.name for path in settings.daemon.log_dir.iterdir())
    assert kept == ["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]
    engine_log(settings).write_bytes(b"x" * (LOG_BYTES + 1))
    assert not engine_log(settings).exists()
    assert (settings.daemon.log_dir / "engine.log.1").exists()


# Units.

STRANGE = ("/opt/a b/100% $HOME/python", "-m", 'say "hi" \\ $USER', "%n", ";")


def test_a_systemd_unit_runs_what_it_was_given(tmp_path: Path) -> None:
    (line,) = (line for line in units.systemd_unit(STRANGE).splitlines() if line.startswith("ExecStart="))
    assert line == 'ExecStart=":/opt/a b/100%% $HOME/python" "-m" "say \\"hi\\" \\\\ $USER" "%%n" ";"'
    if shutil.which("systemd-analyze"):
        unit = tmp_path / units.UNIT
        unit.write_text(units.systemd_unit([sys.executable, *STRANGE[1:]]))
        checked = subprocess.run(
            ["systemd-analyze", "--user", "verify", str(unit)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        )
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("command", [("/a\nb",), ("/a", "b\0"), ("/it's",), ('/a"b',), ("/a\\b",)])
def test_what_systemd_cannot_run_is_refused(command: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        units.systemd_unit(command)


def test_a_launchd_agent_runs_what_it_was_given(tmp_path: Path) -> None:
    strange = (*STRANGE, "<&>'\"")
    agent = plistlib.loads(units.launchd_plist(strange, tmp_path / "a&b").encode())
    assert agent["ProgramArguments"] == list(strange)
    assert (agent["Label"], agent["RunAtLoad"]) == (units.LABEL, True)
    assert agent["StandardErrorPath"] == str(tmp_path / "a&b")


@pytest.mark.parametrize("text", [units.systemd_unit(STRANGE), units.launchd_plist(STRANGE, Path("e"))])
def test_only_what_vicinal_wrote_is_replaced_or_removed(tmp_path: Path, text: str) -> None:
    unit = units.Unit(tmp_path / "deep" / "file", text, (), ())
    units.uninstall(unit)
    units.install(unit)
    units.install(unit)
    assert units.installed(unit)
    units.uninstall(unit)
    assert not unit.file.exists()
    unit.file.write_text("[Unit]\nDescription=someone's\n")
    for change in (units.install, units.uninstall):
        with pytest.raises(InputError, match="not written by vicinal"):
            change(unit)


# The commands.


def test_the_commands_can_be_given_at_any_time(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    def said(code: int, *arguments: str) -> str:
        assert run(["daemon", *arguments]) == code
        return capsys.readouterr().out

    assert "no daemon is running" in said(0, "stop")
    assert "no daemon is running" in said(5, "status")
    assert said(5, "status", "--json") == '{"running": false}\n'
    connection = client.start(settings, PATIENCE, SMALL_DAEMON)
    assert f"running already: process {connection.pid}" in said(0, "start")
    assert '"suits": true' in said(0, "start", "--json")
    shown = said(0, "status")
    for words in ("running for 1 min", "tiny: ready on cpu", "/r", "3 files, 9 chunks", "nothing waits"):
        assert words in shown
    assert f'"pid": {connection.pid}' in said(0, "status", "--json")
    assert f"ended: process {connection.pid}" in said(0, "stop")
    assert "no daemon is running" in said(0, "stop")
    assert f"process {connection.pid} serves at unix:" in said(0, "logs")
    assert said(0, "logs", "-n", "1").endswith("ended\n")
    assert said(0, "logs", "--engine") == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="writes a systemd unit")
def test_install_writes_the_unit_and_says_what_is_next(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["daemon", "install"]) == 0
    out = capsys.readouterr().out
    assert "systemctl --user enable --now vicinal.service" in out
    unit = Path(os.environ["XDG_CONFIG_HOME"]) / "systemd" / "user" / "vicinal.service"
    assert sys.executable in unit.read_text()
    assert run(["daemon", "uninstall"]) == 0
    assert not unit.exists()
    assert run(["daemon", "uninstall"]) == 0
    assert "nothing was installed" in capsys.readouterr().out
