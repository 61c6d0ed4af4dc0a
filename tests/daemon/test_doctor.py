"""The doctor: each finding's threshold, and one full run on this machine."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from vicinal_daemon import config, doctor
from vicinal_daemon.doctor import TorchProbe

CPU = TorchProbe("2.13.0", cuda="", mps=False, threads=2, cpu="AVX2")


def settings(tmp_path: Path, **flags: object) -> config.Settings:
    folders = {"model.cache_dir": tmp_path / "cache", "index.data_dir": tmp_path / "data"}
    return config.load(None, folders | flags, {}, tmp_path / "none.toml")


def test_a_full_run_finds_the_tiny_model_and_leaves_no_trace(tmp_path: Path, tiny_model_dir: Path) -> None:
    checks = doctor.check_all(settings(tmp_path, **{"model.name": str(tiny_model_dir)}))
    assert [check for check in checks if check.status == "fail"] == []
    assert {"python", "torch", "grammars", "model", "memory", "disk", "git"} <= {check.name for check in checks}
    assert list(tmp_path.iterdir()) == []


def test_a_missing_model_tells_the_command(tmp_path: Path) -> None:
    check, size = doctor.check_model(settings(tmp_path))
    assert (check.status, check.remedy, size) == ("fail", "Run: vicinal models pull smollm2-135m", 0)


def test_a_gguf_file_is_checked_but_not_converted(tmp_path: Path, tiny_gguf: Path) -> None:
    check, _ = doctor.check_model(settings(tmp_path, **{"model.name": str(tiny_gguf)}))
    assert check.status == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.gguf").write_bytes(b"no")
    check, _ = doctor.check_model(settings(tmp_path, **{"model.name": str(tmp_path / "bad.gguf")}))
    assert check.status == "fail"


def test_python() -> None:
    assert doctor.check_python((3, 11)).status == "ok"
    assert doctor.check_python((3, 10)).status == "fail"


def test_torch_and_the_device_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert doctor.check_torch("auto", CPU).status == "ok"
    assert doctor.check_torch("cuda", CPU).status == "fail"
    assert doctor.check_torch("mps", CPU).status == "fail"
    assert doctor.check_torch("cuda", replace(CPU, cuda="Card")).status == "ok"
    for slow in ("DEFAULT", "NO AVX"):
        assert doctor.check_torch("auto", replace(CPU, cpu=slow)).status == "warn"
        assert doctor.check_torch("auto", replace(CPU, cpu=slow, cuda="Card")).status == "ok"


def test_a_broken_grammar_is_named() -> None:
    check = doctor.check_grammars({"python": b"def f(:", "no-such-language": b"x", "c": b"int x;"})
    assert check.status == "fail"
    assert check.detail == "no working grammar for python, no-such-language"


def test_memory_and_disk_thresholds() -> None:
    assert doctor.check_memory(2_000_000_000, 500_000_000).status == "ok"
    assert doctor.check_memory(1_000_000_000, 500_000_000).status == "warn"
    assert doctor.check_disk(10**10).status == "ok"
    assert doctor.check_disk(10**9).status == "warn"
    assert doctor.check_disk(10**6).status == "fail"


def test_few_watches_are_told_with_what_raises_them() -> None:
    assert doctor.check_watches(500_000).status == doctor.check_watches(None).status == "ok"
    check = doctor.check_watches(8_192)
    assert check.status == "warn"
    assert "max_user_watches" in check.remedy


def test_folders(tmp_path: Path) -> None:
    assert doctor.check_writable("data folder", tmp_path, "index.data_dir").status == "ok"
    assert doctor.check_writable("data folder", tmp_path / "a" / "b", "index.data_dir").status == "ok"
    (tmp_path / "file").write_text("")
    check = doctor.check_writable("data folder", tmp_path / "file", "index.data_dir")
    assert (check.status, check.remedy) == ("fail", "Move it away, or set index.data_dir.")


@pytest.mark.skipif(sys.platform != "linux", reason="uses a folder that nobody may write to")
def test_a_folder_that_cannot_be_written() -> None:
    assert doctor.check_writable("data folder", Path("/proc/vicinal"), "index.data_dir").status == "fail"


def test_llama_is_needed_only_where_it_is_asked_for() -> None:
    assert doctor.check_llama("transformers", installed=False).status == "ok"
    assert doctor.check_llama("llama", installed=True).status == "ok"
    check = doctor.check_llama("llama", installed=False)
    assert check.status == "fail"
    assert "vicinal[llama]" in check.remedy


def test_every_problem_has_a_remedy_and_nothing_fine_has_one(tmp_path: Path) -> None:
    checks = [
        *doctor.check_all(settings(tmp_path)),
        doctor.check_python((3, 9)),
        doctor.check_disk(0),
        doctor.check_memory(0, 1),
        doctor.check_llama("llama", installed=False),
    ]
    for check in checks:
        assert bool(check.remedy) == (check.status != "ok"), check
