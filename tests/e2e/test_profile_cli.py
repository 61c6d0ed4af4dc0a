"""`vicinal profile` as a user calls it: the table, JSON, a picture, errors."""

import importlib.util
import json
from pathlib import Path

import pytest

from vicinal_daemon.cli.app import run

pytestmark = [pytest.mark.usefixtures("homes"), pytest.mark.slow]
SMALL = ("prompt.context_tokens=128", "tune.max_tokens=64", "tune.rank=4", "tune.steps=3", "generate.max_tokens=8")


@pytest.fixture
def arguments(shop: Path, tiny_model_dir: Path) -> list[str]:
    place = f"{shop / 'shop' / 'voucher.py'}:12"
    return ["profile", place, "--model", str(tiny_model_dir), *(word for pair in SMALL for word in ("--set", pair))]


def test_all_of_a_request_is_told_apart(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--repeat", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    parts = {part["key"]: part for part in told["parts"]}
    looked_for = "candidates.dense selection.kernel prompt.build tuning.forward tuning.backward tuning.optimiser"
    looked_for += " tuning.look tuning.verdict memory.learn writing.prefill writing.model writing.mix score.confidence"
    assert set(looked_for.split()) <= parts.keys()
    assert len(told["requests"]["later"]) == 2
    assert sum(part["first"] for part in parts.values()) == pytest.approx(told["requests"]["first"])
    assert sum(part["share"] for part in parts.values()) == pytest.approx(1.0)
    assert parts["tuning.backward"]["times"] == len(told["steps"])
    assert parts["tuning.forward"]["bound"] in ("arithmetic", "memory")
    assert parts["candidates.dense"]["floor"] is None
    assert parts["writing.prefill"]["kinds"]["matrix products"] > 0
    # What was studied before is not read again: nothing is left to do there.
    assert parts["tuning.trunk"]["floor"] is None
    assert told["notes"]


def test_a_table_and_bars_are_shown_and_a_picture_is_drawn(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png = tmp_path / "profile.png"
    drawn = ["--png", str(png)] if importlib.util.find_spec("matplotlib") else []
    assert run([*arguments, "--repeat", "0", *drawn]) == 0
    shown = capsys.readouterr().out
    assert "read the prompt" in shown
    assert "nothing is known to compare with" in shown
    assert "shop/voucher.py:12" in shown
    if drawn:
        assert f"wrote {png}" in shown
        assert png.read_bytes().startswith(b"\x89PNG")


def test_nothing_is_tuned_where_no_step_is_wanted(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--repeat", "0", "--steps", "0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == []
    assert not [part for part in told["parts"] if part["stage"] == "tuning"]


def test_what_cannot_be_right_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*arguments, "--set", "tune.steps"]) == 2
    assert "it has no value" in capsys.readouterr().err


def test_where_a_picture_cannot_be_drawn_nothing_is_measured(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in (tmp_path, tmp_path / "absent" / "profile.png"):
        assert run([*arguments, "--png", str(wrong)]) == 2
        captured = capsys.readouterr()
        assert "hint:" in captured.err
        assert not captured.out
