"""The command line: exit codes, hints, JSON; no traceback unless asked for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vicinal_daemon.cli.app import run
from vicinal_daemon.protocol import Answer

pytestmark = pytest.mark.usefixtures("homes")
FAST = ("--steps", "2", "--picks", "1")


def fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    """Run, expect this exit code and a message with a hint and no traceback; returns stderr on one line."""
    assert run(list(arguments)) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert "hint:" in captured.err
    return " ".join(captured.err.split())


def test_complete_prints_the_documented_json(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{shop}/shop/voucher.py:11"
    assert run(["complete", place, "--model", str(tiny_model_dir), "--json", *FAST]) == 0
    answer = Answer.model_validate_json(capsys.readouterr().out)
    assert (answer.path, answer.line, answer.repository) == ("shop/voucher.py", 11, str(shop))
    assert "self.audit.record" in answer.present
    assert answer.adaptation.steps == 2


def test_complete_shows_both_texts_the_evidence_and_why(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{shop}/shop/voucher.py:11:9"
    assert run(["complete", place, "--model", str(tiny_model_dir), "--explain", *FAST]) == 0
    shown = capsys.readouterr().out
    for word in (
        "base model",
        "sure that this",
        "learned from",
        "uncertainty after each pick",
        "guard",
        "tune",
    ):
        assert word in shown


def test_a_gguf_file_is_a_model(
    shop: Path, tiny_gguf: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    place = f"{shop}/shop/voucher.py:11"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VICINAL_MODEL_CACHE_DIR", str(tmp_path / "cache"))
        assert run(["complete", place, "--model", str(tiny_gguf), "--json", *FAST]) == 0
    assert json.loads(capsys.readouterr().out)["adaptation"]["steps"] == 2


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("shop/voucher.py", "not a place in a file"),
        ("shop/voucher.py:0", "not a place in a file"),
        ("shop/absent.py:3", "not a file"),
        ("shop:3", "not a file"),
        ("shop/voucher.py:99", "there is no line 99"),
        ("shop/voucher.py:2:80", "there is no column 80"),
        ("binary.dat:1", "binary"),
        ("latin.py:1", "not UTF-8"),
        ("huge.py:1", "not completed"),
        ("loop.py:1", "loop"),
        ("outside.py:1", "not inside the repository"),
    ],
)
def test_an_impossible_place_is_said_to_be_one(
    shop: Path, capsys: pytest.CaptureFixture[str], place: str, says: str, tmp_path: Path
) -> None:
    (shop / "binary.dat").write_bytes(b"ab\0cd\n")
    (shop / "latin.py").write_bytes("name = 'J\xfcrgen'\n".encode("latin-1"))
    (shop / "huge.py").write_text("x = 1\n" * 200_000)
    (shop / "loop.py").symlink_to(shop / "loop.py")
    (tmp_path / "elsewhere.py").write_text("x = 1\n")
    (shop / "outside.py").symlink_to(tmp_path / "elsewhere.py")
    assert says in fails(capsys, 2, "complete", place, "--repo", str(shop))


def test_an_empty_repository_has_nothing_to_learn(
    tmp_path: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    (root / "blank.py").write_text("\n\n")
    said = fails(capsys, 2, "complete", f"{root}/blank.py:1", "--repo", str(root), "--model", str(tiny_model_dir))
    assert "nothing in" in said


def test_a_missing_model_names_the_command(
    shop: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VICINAL_MODEL_CACHE_DIR", str(tmp_path / "no-models"))
    assert "vicinal models pull smollm2-135m" in fails(capsys, 4, "complete", f"{shop}/shop/voucher.py:11")


def test_a_damaged_model_is_an_error(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in tiny_model_dir.iterdir():
        (damaged / file.name).write_bytes(file.read_bytes())
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    fails(capsys, 4, "complete", f"{shop}/shop/voucher.py:11", "--model", str(damaged))


def test_a_data_folder_that_cannot_be_written_is_an_error(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str], homes: Path
) -> None:
    homes.write_text("a file where the folder should be")
    fails(capsys, 3, "complete", f"{shop}/shop/voucher.py:11", "--model", str(tiny_model_dir))


def test_an_unknown_setting_names_the_file_and_the_nearest(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / ".vicinal.toml").write_text("[tune]\nstep = 3\n")
    said = fails(capsys, 2, "complete", f"{shop}/shop/voucher.py:11")
    assert ".vicinal.toml" in said
    assert "tune.steps" in said


def test_a_repository_may_not_choose_the_model(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / ".vicinal.toml").write_text('[model]\nname = "./evil"\n')
    assert "model.name" in fails(capsys, 2, "complete", f"{shop}/shop/voucher.py:11")


def test_config_says_where_each_value_came_from(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop / ".vicinal.toml").write_text("[tune]\nsteps = 3\n")
    monkeypatch.setenv("VICINAL_SEED", "7")
    assert run(["config", "--repo", str(shop), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["tune.steps"]["value"] == 3
    assert shown["tune.steps"]["origin"].startswith("repo file")
    assert shown["seed"] == {"value": 7, "origin": "VICINAL_SEED"}
    assert shown["select.strategy"]["origin"] == "default"


def test_a_second_index_run_touches_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["index", str(shop), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)["sync"]
    (shop / "shop" / "refund.py").write_text("def refund():\n    return None\n")
    assert run(["index", str(shop), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)["sync"]
    assert first["added"] == 8
    assert (second["added"], second["replaced"], second["dropped"]) == (0, 1, 0)


def test_doctor_reports_and_fails_when_the_model_is_missing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VICINAL_MODEL_CACHE_DIR", str(tmp_path / "no-models"))
    assert run(["doctor", "--json"]) == 1
    checks = json.loads(capsys.readouterr().out)
    failed = [check for check in checks if check["status"] == "fail"]
    assert any("vicinal models pull" in check["remedy"] for check in failed)


def test_the_confidence_says_what_it_rests_on_and_what_a_threshold_hides(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["confidence", "--repo", str(shop), "--hide-wrong", "0.5", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["hide"]["wrong_hidden"] >= 0.5
    assert said["local"] == {"offset": 0.0, "slope": 1.0, "observations": 0}
    assert run(["confidence", "--repo", str(shop)]) == 0
    shown = capsys.readouterr().out
    for word in (said["sheet"]["model"], "AUROC", "how often it was right", "minConfidence", "No feedback here yet"):
        assert word in shown


def test_demo_says_when_there_is_no_such_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no package" in fails(capsys, 2, "demo", "--package", "no_such_package_anywhere")


def test_the_llama_engine_is_not_silently_replaced(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{shop}/shop/voucher.py:11"
    said = fails(capsys, 4, "complete", place, "--model", str(tiny_model_dir), "--engine", "llama", "--steps", "0")
    assert "GGUF" in said


@pytest.mark.parametrize("command", [[], ["complete"], ["demo"], ["index"], ["models"], ["config"], ["doctor"]])
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage" in shown
    assert not command or "vicinal" in shown


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["complete", "x.py:1", "--no-such-option"]) == 2
    assert "no-such-option" in capsys.readouterr().err


_STAND_IN = """
import json, sys
heavy = ("typer", "rich", "numpy", "pydantic", "torch", "vicinal_daemon.cli.app")
found = [name for name in heavy if name in sys.modules]
print(json.dumps({"name": __name__, "arguments": sys.argv[1:], "heavy": found}))
"""


def test_the_language_server_is_reached_before_anything_heavy_and_reads_its_own_arguments(tmp_path: Path) -> None:
    """With a stand-in for it, which says what it was given."""
    (tmp_path / "vicinal_lsp").mkdir()
    (tmp_path / "vicinal_lsp" / "__init__.py").touch()
    (tmp_path / "vicinal_lsp" / "__main__.py").write_text(_STAND_IN)
    paths = [str(tmp_path), *(str(Path(path).resolve()) for path in sys.path if path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}

    def started(*arguments: str) -> dict[str, object]:
        command = [sys.executable, "-m", "vicinal_daemon.cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
        told: dict[str, object] = json.loads(done.stdout)
        return told

    for given in (["--stdio"], ["--tcp", "127.0.0.1:0"], ["--help"], []):
        assert started("lsp", *given) == {"name": "__main__", "arguments": given, "heavy": []}
    assert started("--debug", "lsp", "--stdio", "--help")["arguments"] == ["--stdio", "--help"]


def test_the_language_server_is_listed_among_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "started by the editor" in " ".join(capsys.readouterr().out.split())
