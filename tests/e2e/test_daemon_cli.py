"""The command line through a real daemon process, and the same commands without one."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from vicinal_daemon import client, config
from vicinal_daemon.cli.app import run
from vicinal_daemon.client import Client, Connection
from vicinal_daemon.protocol import Answer, Findings
from vicinal_daemon.protocol.requests import FeedbackRequest
from vicinal_daemon.protocol.state import AdaptersState, DaemonState

PATIENCE = 60.0
QUESTION = "how is a refund recorded"
# A shell's background job, which this may run in, ignores Ctrl-C, and so would its children.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from vicinal_daemon.cli import main
main()
"""


@contextmanager
def own_place(model: Path) -> Iterator[None]:
    """Settings of one's own in this process's environment; what was started there is ended."""
    with TemporaryDirectory(prefix="vcl") as folder, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "DAEMON_FOLDER": f"{folder}/run",
            "DAEMON_LOG_DIR": f"{folder}/logs",
            "INDEX_DATA_DIR": f"{folder}/data",
            "MODEL_NAME": str(model),
            "TUNE_MAX_TOKENS": "64",
            "TUNE_GUARD": "false",  # random weights learn nothing that it would keep
            "PROMPT_CONTEXT_TOKENS": "128",
            "GENERATE_MAX_TOKENS": "12",
        }.items():
            patch.setenv(f"VICINAL_{name}", value)
        patch.setenv("XDG_CONFIG_HOME", f"{folder}/config")
        try:
            yield
        finally:
            left = client.find(config.load())
            if left is not None:
                client.stop(left)


@pytest.fixture(scope="module")
def daemon(tiny_model_dir: Path) -> Iterator[Connection]:
    with own_place(tiny_model_dir):
        yield client.start(config.load())


@pytest.fixture
def no_daemon(tiny_model_dir: Path) -> Iterator[None]:
    """A place where none runs yet."""
    with own_place(tiny_model_dir):
        yield


Said = Callable[..., str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command that must end well; what it printed."""

    def ran(*arguments: str) -> str:
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return ran


def place(shop: Path, line: int = 11) -> str:
    return f"{shop}/shop/voucher.py:{line}"


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        pause.wait(0.02)


def state_of(connection: Connection) -> DaemonState:
    with Client(connection) as asked:
        return asked.status()


def test_a_question_has_the_same_findings_with_and_without(daemon: Connection, shared_shop: Path, said: Said) -> None:
    with_daemon, again, fresh, stale, without = (
        Findings.model_validate_json(said("query", QUESTION, "--repo", str(shared_shop), "--json", *more))
        for more in ((), ("--daemon",), ("--sync",), ("--no-sync",), ("--no-daemon",))
    )
    shown = with_daemon.model_dump(exclude={"seconds"})
    assert shown["findings"]
    for other in (again, fresh, stale, without):
        assert other.model_dump(exclude={"seconds"}) == shown


def test_a_question_waits_for_what_was_just_saved(daemon: Connection, shop: Path, said: Said) -> None:
    said("query", QUESTION, "--repo", str(shop))
    (shop / "zebra.py").write_text("def zebra_stripes():\n    return 'black and white'\n")
    found = Findings.model_validate_json(said("query", "zebra stripes", "--repo", str(shop), "--json"))
    assert found.findings[0].path == "zebra.py"


def test_a_completion_is_the_same_with_and_without(daemon: Connection, shared_shop: Path, said: Said) -> None:
    arguments = ("complete", place(shared_shop), "--steps", "3", "--json")
    said("complete", place(shared_shop), "--steps", "0")
    root = str(shared_shop.resolve())
    wait_for(
        lambda: any(opened.root == root and opened.remembered for opened in state_of(daemon).workspaces),
        "the engine remembers the repository",
    )
    with_daemon = Answer.model_validate_json(said(*arguments, "--budget-ms", "0", "--compare"))
    without = Answer.model_validate_json(said(*arguments, "--no-daemon"))
    same = {"evidence", "path", "line", "column", "repository", "present", "candidates", "model", "seed"}
    assert with_daemon.id
    assert not without.id
    assert with_daemon.adaptation.kind == "fresh"
    assert with_daemon.completion.text == without.completion.text
    assert with_daemon.base is not None
    assert without.base is not None
    assert with_daemon.base.text == without.base.text
    assert with_daemon.model_dump(include=same) == without.model_dump(include=same)
    assert with_daemon.adaptation.losses == pytest.approx(without.adaptation.losses)


def test_the_second_completion_is_cached_and_people_are_told(daemon: Connection, shared_shop: Path, said: Said) -> None:
    arguments = ("complete", place(shared_shop, 9), "--steps", "2", "--budget-ms", "0")
    assert "fresh: tuned for this request, 2 steps" in said(*arguments)
    shown = said(*arguments)
    assert "cached: tuned before, 2 steps on this selection" in shown
    assert "base model" not in shown
    assert "base model" in said(*arguments, "--compare")


def test_a_place_that_cannot_be_is_the_same_error(
    daemon: Connection, shared_shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, says in (("99", "there is no line 99"), ("2:80", "there is no column 80"), ("99999999", "line")):
        assert run(["complete", f"{shared_shop}/shop/voucher.py:{line}"]) == 2
        error = capsys.readouterr().err
        assert says in error
        assert "hint:" in error
    assert run(["complete", f"{shared_shop}/shop/absent.py:3"]) == 2
    assert run(["query", "x", "--repo", f"{shared_shop}/none"]) == 2


def test_a_daemon_with_other_settings_is_not_used(
    daemon: Connection, shared_shop: Path, tiny_fim_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ["query", QUESTION, "--repo", str(shared_shop), "--model", str(tiny_fim_model_dir), "--json"]
    assert run(other) == 0
    captured = capsys.readouterr()
    assert "the daemon has other settings; this runs without it" in captured.err
    assert Findings.model_validate_json(captured.out).findings
    assert run([*other, "--daemon"]) == 5
    assert "vicinal daemon restart" in capsys.readouterr().err


def test_a_budget_without_a_daemon_is_said_to_have_no_effect(
    no_daemon: None, shared_shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["complete", place(shared_shop), "--steps", "0", "--no-compare", "--json"]
    assert run([*arguments, "--budget-ms", "50"]) == 0
    captured = capsys.readouterr()
    assert "--budget-ms has no effect" in captured.err
    assert Answer.model_validate_json(captured.out).base is None


def test_the_index_by_the_daemon(daemon: Connection, shop: Path, said: Said) -> None:
    first = json.loads(said("index", str(shop), "--json"))
    here = json.loads(said("index", str(shop), "--json", "--no-daemon"))
    assert first["sync"].keys() == here["sync"].keys()
    assert first["status"].keys() == here["status"].keys()
    assert first["status"]["files"] == here["status"]["files"] == 8
    assert first["status"]["store"] == here["status"]["store"]
    rebuilt = json.loads(said("index", str(shop), "--rebuild", "--json"))
    assert (rebuilt["sync"]["files"], rebuilt["sync"]["rebuilt_because"]) == (8, "it was asked for")
    assert "8 files" in said("index", str(shop), "--watch")
    assert str(shop) in {workspace.root for workspace in state_of(daemon).workspaces}


def test_workspaces(daemon: Connection, shop: Path, said: Said) -> None:
    assert str(shop) in said("workspaces", "add", str(shop))
    listed = json.loads(said("workspaces", "list", "--json"))["workspaces"]
    assert str(shop) in {workspace["root"] for workspace in listed}
    assert "shop" in said("workspaces", "list")
    assert json.loads(said("workspaces", "remove", str(shop), "--json")) == {"root": str(shop), "removed": True}
    assert "was not open" in said("workspaces", "remove", str(shop))


def test_adapters(daemon: Connection, shared_shop: Path, said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (7, 8):
        said("complete", place(shared_shop, line), "--steps", "1", "--budget-ms", "0")
    state = AdaptersState.model_validate_json(said("adapters", "list", "--json"))
    first, second = (adapter.key for adapter in state.adapters[:2])
    assert first[:8] in said("adapters", "list")
    assert "pinned" in said("adapters", "pin", first[:12])
    assert json.loads(said("adapters", "drop", second, "--json"))["dropped"] == [second]
    assert json.loads(said("adapters", "drop", "--all", "--json"))["kept"] == 1
    assert json.loads(said("adapters", "unpin", first, "--json")) == {"key": first, "pinned": False}
    assert "kept 0" in said("adapters", "drop", "--all")
    for wrong in (["drop"], ["drop", first, "--all"], ["pin", "no-such"], ["pin", ""]):
        assert run(["adapters", *wrong]) == 2
        assert "hint:" in capsys.readouterr().err


def test_feedback_by_the_daemon_and_without_it(
    no_daemon: None, shared_shop: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = {"enabled": True, "answers": 0, "events": {}, "kinds": []}
    assert json.loads(said("feedback", "show", "--json")) == nothing
    assert "forgot 0" in said("feedback", "erase", "--yes")
    connection = client.start(config.load())
    answer = json.loads(said("complete", place(shared_shop), "--steps", "0", "--json"))
    with client.Client(connection) as daemon:
        daemon.feedback(FeedbackRequest(id=answer["id"], event="accepted"))
    by_the_daemon = said("feedback", "show", "--json")
    assert json.loads(by_the_daemon)["events"] == {"accepted": 1}
    assert "100%" in said("feedback", "show")
    client.stop(connection)
    assert said("feedback", "show", "--json") == by_the_daemon
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(["feedback", "erase"]) == 130
    assert "forgot 1" in said("feedback", "erase", "--yes")
    assert json.loads(said("feedback", "show", "--json")) == nothing


def test_status_tells_of_daemon_and_repository(
    daemon: Connection, shared_shop: Path, said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said("complete", place(shared_shop), "--steps", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(shared_shop)
    shown = said("status")
    for words in (f"process {daemon.pid}", "ready on cpu", "nothing waits", "8 files, 8 chunks", "voucher.py:11"):
        assert words in shown
    assert max(len(line.rstrip()) for line in shown.split("\n")) <= 100
    told = json.loads(said("status", "--json"))
    assert DaemonState.model_validate(told["daemon"]).pid == daemon.pid
    assert (told["files"], told["paused"], told["held"]) == (8, False, True)
    assert "left out" in said("status", "--skipped") or "8 files" in said("status", ".")
    monkeypatch.chdir(tmp_path)
    assert json.loads(said("status", "--json")).keys() == {"daemon"}


def test_status_without_a_daemon(no_daemon: None, shop: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    shown = said("status")
    assert "no daemon runs; vicinal daemon start" in shown
    assert "0 files" in shown
    told = json.loads(said("status", "--json"))
    assert (told["daemon"], told["files"]) == (None, 0)


@pytest.mark.parametrize("command", [["adapters", "list"], ["adapters", "drop", "--all"], ["workspaces", "list"]])
def test_what_needs_a_daemon_says_so(no_daemon: None, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 5
    assert "vicinal daemon start" in capsys.readouterr().err


def test_a_daemon_is_started_on_demand(no_daemon: None, shared_shop: Path, said: Said) -> None:
    assert client.find(config.load()) is None
    assert Findings.model_validate_json(
        said("query", QUESTION, "--repo", str(shared_shop), "--daemon", "--json")
    ).findings
    assert client.find(config.load()) is not None


@pytest.mark.parametrize("command", ["complete", "query", "index", "status"])
def test_a_client_loads_nothing_heavy(daemon: Connection, shared_shop: Path, command: str) -> None:
    code = (
        "import sys; from vicinal_daemon.cli.app import run; code = run(sys.argv[1:]); "
        "heavy = {'torch', 'transformers', 'lancedb', 'fastapi', 'uvicorn', 'numpy'} & sys.modules.keys(); "
        "sys.exit(code or (str(heavy) if heavy else 0))"
    )
    arguments = {
        "complete": [place(shared_shop), "--steps", "0"],
        "query": [QUESTION, "--repo", str(shared_shop)],
        "index": [str(shared_shop)],
        "status": [],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", code, command, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=shared_shop,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def studying(shop: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command whose completion the daemon tunes for, for long."""
    arguments = ["complete", place(shop), "--budget-ms", "0", "--steps", "200"]
    environment = {**os.environ, "VICINAL_SELECT_ALPHA": "0", "VICINAL_SEED": str(time.monotonic_ns() % 2**32)}
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
    ) as asking:
        assert asking.stderr is not None
        for line in asking.stderr:
            if "studying" in line:
                break
        yield asking


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C to send")
def test_ctrl_c_ends_the_work_in_the_daemon(daemon: Connection, shared_shop: Path) -> None:
    before = [answer.id for answer in state_of(daemon).answers]
    with studying(shared_shop) as asking:
        asking.send_signal(signal.SIGINT)
        _, error = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 130
    assert "interrupted" in error

    def at_rest() -> bool:
        queue = state_of(daemon).queue
        return not queue.requests and not queue.running and not any(queue.waiting.values())

    wait_for(at_rest, "the daemon comes to rest")
    assert [answer.id for answer in state_of(daemon).answers] == before


def test_a_daemon_that_dies_in_the_middle_is_an_error(no_daemon: None, shared_shop: Path) -> None:
    connection = client.start(config.load())
    engines = []
    with studying(shared_shop) as asking:
        engines = psutil.Process(connection.pid).children(recursive=True)
        psutil.Process(connection.pid).kill()
        out, error = asking.communicate(timeout=PATIENCE)
    assert asking.returncode == 5, error
    assert "error: the daemon" in error
    assert "hint:" in error
    assert "Traceback" not in error
    assert not out
    assert not psutil.wait_procs(engines, timeout=PATIENCE)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no Ctrl-C to send")
def test_watching_the_daemon_ends_well(daemon: Connection) -> None:
    command = [sys.executable, "-c", MAIN, "status", "--watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        for _ in range(2):
            told = json.loads(watcher.stdout.readline())
            assert DaemonState.model_validate(told["daemon"]).pid == daemon.pid
        watcher.send_signal(signal.SIGINT)
    assert watcher.returncode == 0


@pytest.mark.parametrize(
    "command", [["status"], ["query"], ["adapters"], ["adapters", "drop"], ["feedback"], ["workspaces"]]
)
def test_commands_explain_themselves_by_example(command: list[str], said: Said) -> None:
    shown = said(*command, "--help")
    assert "Example" in shown
    assert "--help" in shown
