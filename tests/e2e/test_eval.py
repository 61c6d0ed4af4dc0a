"""`vicinal eval`: records, resuming, tables of several repositories, plots, settings that are written after asking."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from vicinal_daemon.cli.app import run

pytestmark = [pytest.mark.usefixtures("homes"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def _small(tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in {
        "MODEL_NAME": str(tiny_model_dir),
        "MODEL_DEVICE": "cpu",
        "PROMPT_CONTEXT_TOKENS": "64",
        "TUNE_MAX_TOKENS": "32",
        "TUNE_RANK": "4",
        "TUNE_STEPS": "2",
        "GENERATE_MAX_TOKENS": "6",
        "WARM_STEPS": "2",
    }.items():
        monkeypatch.setenv(f"VICINAL_{key}", value)


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_a_run_is_kept_goes_on_and_is_reported_with_others(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(shop, "add", "-A")
    git(shop, "commit", "-qm", "first")
    base = shop / "shop" / "base.py"
    base.write_text(base.read_text() + "\n    def close(self):\n        self.audit.record(self.ledger, open=False)\n")
    git(shop, "commit", "-qam", "second")
    out = tmp_path / "shop.jsonl"
    asked = ["eval", str(shop), "--tasks", "line,commit", "--count", "2", "--out", str(out), "--json"]
    assert run([*asked, "--modes", "prompt:sift"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["tasks"] == 2
    assert set(told["modes"]) == {"in-file", "prompt:sift"}
    written = out.read_text()
    assert len(written.splitlines()) == 5
    assert run([*asked, "--modes", "tune:sift"]) == 0
    assert set(json.loads(capsys.readouterr().out)["modes"]) == {"in-file", "tune:sift"}
    assert out.read_text().startswith(written)
    assert len(out.read_text().splitlines()) == 7
    # Another repository's file, in one table.
    other = tmp_path / "other.jsonl"
    other.write_text(out.read_text().replace('"repo": "shop"', '"repo": "other"'))
    report = tmp_path / "report.md"
    assert run(["eval", "--report-only", str(out), str(other), "--report", str(report)]) == 0
    shown = capsys.readouterr().out
    assert "4 tasks" in shown
    assert "by repository | other (2) | shop (2) |" in shown
    assert report.read_text().strip() == shown.strip()
    # Other settings do not get into the same file.
    assert run([*asked, "--set", "tune.steps=1"]) == 2
    assert "tune.steps" in capsys.readouterr().err


def test_plots_are_files_and_characters(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the extra vicinal[pictures] is not installed")
    folder = tmp_path / "plots"
    asked = ["eval", str(shop), "--tasks", "line", "--count", "2", "--modes", "tune:sift", "--curve"]
    assert run([*asked, "--plots", str(folder)]) == 0
    assert {"compute.png", "steps.png", "risk.png"} <= {file.name for file in folder.iterdir()}
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in folder.iterdir())
    assert "Quality against compute: bits per byte" in capsys.readouterr().out


def test_settings_are_written_only_when_wanted(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = shop / ".vicinal.toml"
    file.write_text("# ours\n[generate]\nlines = 2\n")
    asked = ["eval", str(shop), "--tune", "--count", "1", "--seconds", "600", "--json"]
    assert run(asked) == 0
    told = json.loads(capsys.readouterr().out)
    assert not told["written"]
    assert file.read_text() == "# ours\n[generate]\nlines = 2\n"
    assert len(told["race"]) == 8
    assert run([*asked, "--yes"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["changes"] == told["changes"]
    assert again["written"] == bool(told["changes"])
    document = tomllib.loads(file.read_text())
    assert document["generate"] == {"lines": 2}
    for key, value in told["changes"].items():
        section, _, name = key.partition(".")
        assert document[section][name] == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--tasks", "words"), "no kinds of tasks"),
        (("--modes", "best"), "is no mode"),
        (("--scales", "2"), "are no scales"),
        (("--set", "tune.steps"), "no value"),
        (("--report-only",), "needs files"),
    ],
)
def test_what_cannot_be_measured_is_said(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", *arguments]) == 2
    captured = capsys.readouterr()
    assert says in " ".join(captured.err.split())
    assert "hint:" in captured.err
