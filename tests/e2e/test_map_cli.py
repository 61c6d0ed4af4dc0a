"""`vicinal map` as a user calls it: files, JSON, errors; and nothing written into the repository."""

import json
import os
from pathlib import Path

import pytest

from vicinal_daemon.cli.app import run

pytestmark = [pytest.mark.usefixtures("homes"), pytest.mark.slow]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run, expect success; returns stdout."""
    assert run(["map", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run, expect that the request cannot be right; returns stderr on one line."""
    assert run(["map", *arguments]) == 2
    shown = capsys.readouterr().err
    assert "hint:" in shown
    return " ".join(shown.split())


def listing(root: Path) -> set[str]:
    return {str(Path(folder) / name) for folder, _, names in os.walk(root) for name in names}


def test_the_page_is_written_beside_the_indexes_and_never_into_the_repository(
    shop: Path, homes: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = listing(shop)
    monkeypatch.chdir(shop)
    shown = told(capsys)
    assert listing(shop) == before
    (page,) = (homes / "maps").iterdir()
    assert f"wrote {page}" in shown
    assert "irreducible uncertainty" in shown
    assert "shop/voucher.py" in page.read_text()


def test_files_are_written_where_they_are_wanted(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    html, png = tmp_path / "map.html", tmp_path / "map.png"
    shown = told(capsys, str(shop), "--html", str(html), "--png", str(png), "--measure", "coverage")
    assert html.read_text().startswith("<!doctype html>")
    assert 'value="coverage" checked' in html.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
    assert f"wrote {html}" in shown
    assert f"wrote {png}" in shown


def test_json_is_the_same_for_the_same_seed_and_writes_no_file(
    shop: Path, homes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(capsys, str(shop), "--json", "--places", "12", "--seed", "3")
    found = json.loads(first)
    assert (found["repository"], found["seed"]) == ("shop", 3)
    assert found["places"] <= 12
    assert "shop/payment.py" in [file["path"] for file in found["files"]]
    assert not (homes / "maps").exists()
    assert told(capsys, str(shop), "--json", "--places", "12", "--seed", "3") == first


def test_the_model_reads_where_bits_are_wanted(
    shop: Path, tiny_model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = told(capsys, str(shop), "--json", "--bits", "--count", "2", "--model", str(tiny_model_dir))
    places = [place for file in json.loads(shown)["files"] for place in file["places"]]
    assert sum(place["bits"] is not None for place in places) == 2


def test_prose_is_drawn_when_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "notes"
    root.mkdir()
    (root / "README.md").write_text("# Notes\n\nThese are some notes.\n")
    assert "--all" in refused(capsys, str(root))
    assert "README.md" in told(capsys, str(root), "--json", "--all")


def test_what_cannot_be_right_is_said_before_the_work(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no measure heat" in refused(capsys, str(shop), "--measure", "heat")
    assert "--bits" in refused(capsys, str(shop), "--measure", "bits")
    assert "no folder" in refused(capsys, str(shop), "--png", str(tmp_path / "absent" / "map.png"))
    assert "is a folder" in refused(capsys, str(shop), "--html", str(tmp_path))
    assert "not a folder" in refused(capsys, str(tmp_path / "absent"))
