"""Questions from the command line, on a real index; and what `index`, `status`, `pause` and `resume` say."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vicinal_daemon.answer import cites, sentences_of
from vicinal_daemon.cli.app import run
from vicinal_daemon.protocol import Finding, Findings
from vicinal_daemon.query import parts_of

pytestmark = pytest.mark.usefixtures("homes")
DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def client(tmp_path: Path) -> Path:
    """A repository where retries are all over the place, and timeouts are read in one."""
    root = tmp_path / "client"
    root.mkdir()
    (root / ".git").mkdir()
    for name in ("get", "put", "post", "patch", "head", "options"):
        (root / f"{name}.py").write_text(
            f"def {name}(url, retries):\n"
            + "    for attempt in range(retries):\n        try:\n"
            + f"            return send('{name}', url)\n        except ConnectionError:\n"
            + f"            log.warning('retry %s of {name}', attempt)\n    raise RetriesExhausted(retries)\n"
        )
    (root / "config.py").write_text(
        "def read_timeout(options):\n    seconds = options.get('timeout', 30)\n"
        "    if seconds <= 0:\n        raise ValueError('a timeout must be positive')\n    return float(seconds)\n"
    )
    (root / "page.ts").write_text(
        "export function renderPage(title: string): string {\n  return `<h1>${title}</h1>`;\n}\n"
    )
    (root / ".env").write_text("TOKEN=1\n")
    return root


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Findings:
    assert run(["query", *arguments, "--json"]) == 0
    return Findings.model_validate_json(capsys.readouterr().out)


QUESTION = "where are retries logged and how is the timeout configured"


def test_a_question_of_two_parts_is_answered_for_both(client: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sift = asked(capsys, QUESTION, "--repo", str(client), "-k", "2")
    assert sift.parts == ["where are retries logged", "how is the timeout configured"]
    paths = {finding.path for finding in sift.findings}
    assert "config.py" in paths
    assert len(paths) == 2
    assert sum(finding.share for finding in sift.findings) == pytest.approx(1.0)
    assert 0 < sift.explained <= sift.coverable <= 1
    nearest = asked(capsys, QUESTION, "--repo", str(client), "-k", "2", "--strategy", "nn")
    assert nearest.parts == [QUESTION]
    assert nearest.explained > 0


def test_filters(client: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typescript = asked(capsys, "return a title or an url", "--repo", str(client), "--lang", "typescript")
    assert [f.path for f in typescript.findings] == ["page.ts"]
    some = asked(capsys, "retries of an url", "--repo", str(client), "--path", "p*.py", "--path", "head.py")
    assert {f.path for f in some.findings} == {"put.py", "post.py", "patch.py", "head.py"}


def test_what_the_repository_cannot_tell_is_said(client: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cake = asked(capsys, "chocolate cake recipe with walnuts", "--repo", str(client))
    assert cake.thin
    assert {"chocolate", "cake", "walnuts"} <= set(cake.unknown_words)
    assert run(["query", "chocolate cake recipe", "--repo", str(client)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "thin evidence" in shown
    assert "no candidate says: cake, chocolate" in shown


def test_people_see_places_lines_and_shares(client: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["query", "read the timeout option", "--repo", str(client), "-k", "1"]) == 0
    shown = capsys.readouterr().out
    assert "config.py:1  read_timeout" in shown
    assert "seconds = options.get('timeout', 30)" in shown
    assert "of the question" in shown


def test_standard_input_and_no_sync(
    client: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("def read_timeout(options):\n    return options\n"))
    assert asked(capsys, "-", "--repo", str(client)).findings[0].path == "config.py"
    (client / "late.py").write_text("def latecomer():\n    return 'late'\n")
    stale = asked(capsys, "latecomer", "--repo", str(client), "--no-sync")
    assert "late.py" not in {f.path for f in stale.findings}
    assert asked(capsys, "latecomer", "--repo", str(client)).findings[0].path == "late.py"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["   "], "empty"),
        (["x", "--strategy", "best"], "no strategy best"),
        (["x", "--lang", "klingon"], "klingon"),
        (["x", "--repo", "/no/such/folder"], "not a folder"),
    ],
)
def test_a_question_that_cannot_be_right(capsys: pytest.CaptureFixture[str], arguments: list[str], says: str) -> None:
    assert run(["query", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "hint:" in error


def test_an_answer_comes_with_citations(client: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    got = asked(capsys, "read the timeout", "--repo", str(client), "--answer", "--model", str(tiny_model_dir))
    assert got.answer is not None
    assert got.answer.model
    assert run(["query", "timeout", "--repo", str(client), "--answer", "--model", str(tiny_model_dir)]) == 0
    assert "says" in capsys.readouterr().out


def finding(text: str) -> Finding:
    return Finding(
        path="p.py", start_line=1, end_line=1, language="python", symbol="", header="", text=text, share=1, similarity=1
    )


def test_sentences_cite_what_bears_them_out() -> None:
    findings = [finding("def read_timeout(options): return seconds"), finding("def bake(cake): oven")]
    assert cites("It reads the timeout seconds from options.", findings) == [1]
    assert cites("The moon is made of green cheese.", findings) == []
    assert sentences_of("One thing. Another `x`!\nThird and then it was cut") == [
        "One thing.",
        "Another `x`!",
        "Third and then it was cut ...",
    ]


@pytest.mark.parametrize(
    ("question", "count"),
    [(QUESTION, 2), ("read and write", 1), ("a = b and c\nd", 1), ("parse dates; format numbers, sort names", 3)],
)
def test_parts(question: str, count: int) -> None:
    assert len(parts_of(question)) == count


def test_status_lists_every_skip_and_changes(client: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", str(client)]) == 0
    capsys.readouterr()
    assert run(["status", str(client), "--skipped"]) == 0
    shown = capsys.readouterr().out
    assert "8 files" in shown
    assert "up to date" in shown
    assert "secret           .env" in shown
    (client / "config.py").unlink()
    assert run(["status", str(client), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["changed"], found["paused"], found["held"]) == (1, False, False)
    assert run(["index", str(client), "--rebuild", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["sync"]
    assert (report["files"], report["rebuilt_because"]) == (7, "it was asked for")


@pytest.mark.parametrize(("ended_by", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_watching_follows_changes_until_ended(client: Path, homes: Path, ended_by: signal.Signals, code: int) -> None:
    # A shell's background job, which this may run in, ignores Ctrl-C, and so would its children.
    main = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from vicinal_daemon.cli import main; main()"
    )
    command = [sys.executable, "-c", main, "index", str(client), "--watch", "--json"]
    environment = {**os.environ, "VICINAL_INDEX_DATA_DIR": str(homes)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as watcher:
        assert watcher.stdout is not None
        assert json.loads(watcher.stdout.readline())["sync"]["files"] == 8
        (client / "new.py").write_text("def brand_new():\n    return 1\n")
        assert json.loads(watcher.stdout.readline())["sync"]["added"] == 1
        assert run(["pause"]) == 0
        (client / "new.py").write_text("def newer():\n    return 1\n")
        assert run(["resume"]) == 0
        assert json.loads(watcher.stdout.readline())["sync"]["replaced"] == 1
        watcher.send_signal(ended_by)
    assert watcher.returncode == code
    assert not list(homes.rglob("*.cookies/*"))


@pytest.mark.parametrize("command", ["index", "status", "query"])
def test_commands_that_run_no_model_load_none(client: Path, command: str) -> None:
    code = (
        "import sys; from vicinal_daemon.cli.app import run; "
        f"code = run([{command!r}, *sys.argv[1:]]); "
        "sys.exit(code or ('torch' in sys.modules or 'transformers' in sys.modules) * 99)"
    )
    arguments = ["retries", "--repo", str(client)] if command == "query" else [str(client)]
    assert subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False).returncode == 0


def test_the_documented_schema_is_the_real_one() -> None:
    documented = json.loads((DOCS / "findings.schema.json").read_text())
    assert documented == Findings.model_json_schema()


@pytest.mark.slow
def test_two_part_questions_over_real_packages_favour_sift() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "two_part.py"
    done = subprocess.run(
        [sys.executable, script, "--set", "both", "--json"], capture_output=True, text=True, check=True
    )
    got = json.loads(done.stdout)
    assert got["questions"] >= 20
    assert got["both"]["sift"] > got["both"]["nn"]
    assert got["parts"]["sift"] > got["parts"]["nn"]
    assert got["better"] > got["worse"]
