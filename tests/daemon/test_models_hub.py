"""Pulling from a hub, which here is a few dozen lines over HTTP: the calls that a download makes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon import models
from vicinal_daemon.errors import ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models.hub import wanted_files

Hub = Callable[..., Any]


def hub_files(tiny_model_dir: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in tiny_model_dir.iterdir()}
    return files | {"pytorch_model.bin": b"pickle", "modeling_x.py": b"raise SystemExit", "README.md": b"#"}


def test_a_hub_model_is_pulled_without_pickles_or_code(hub: Hub, tmp_path: Path, tiny_model_dir: Path) -> None:
    files = hub_files(tiny_model_dir)
    stages: list[str] = []
    with hub("some/model", files) as small:
        folder = models.pull(
            "some/model", tmp_path, lambda stage, done, total: stages.append(stage), endpoint=small.address
        )
    assert set(stages) == {"download", "hash"}
    assert sorted(set(small.asked)) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert {path.name for path in (folder / "transformers").iterdir()} == set(small.asked)
    found = models.resolve("some/model", tmp_path)
    assert found.origin == f"hub some/model@{small.commit}"
    models.verify("some/model", tmp_path)


@pytest.mark.slow
def test_a_hub_model_of_one_gguf_file_is_converted(hub: Hub, tmp_path: Path, tiny_gguf: Path) -> None:
    with hub("some/gguf", {"tiny.Q8_0.gguf": tiny_gguf.read_bytes(), "README.md": b"#"}) as small:
        models.pull("some/gguf", tmp_path, endpoint=small.address)
    found = models.resolve("some/gguf", tmp_path)
    assert found.gguf is not None
    assert (found.transformers_dir / "model.safetensors").is_file()


def test_a_hub_without_the_model_and_no_hub_at_all(hub: Hub, tmp_path: Path) -> None:
    with hub("some/model", {}) as small, pytest.raises(ModelMissing, match="other/model"):
        models.pull("other/model", tmp_path, endpoint=small.address)
    with pytest.raises(ModelError, match="could not be reached") as gone:
        models.pull("some/model", tmp_path, endpoint=small.address)
    assert not isinstance(gone.value, ModelMissing)


def test_which_files_of_a_repository_are_wanted() -> None:
    doubled = {"model-1-of-2.safetensors": 5, "model-2-of-2.safetensors": 5, "consolidated.safetensors": 10}
    plan = wanted_files("a/b", {**doubled, "config.json": 1, "onnx/model.safetensors": 9, "q.gguf": 3})
    assert plan.names == ("config.json", "model-1-of-2.safetensors", "model-2-of-2.safetensors", "q.gguf")
    assert (plan.gguf, plan.total_bytes) == ("q.gguf", 14)
    with pytest.raises(ModelUnusable, match="2 GGUF files"):
        wanted_files("a/b", {"q4.gguf": 1, "q8.gguf": 2})
    with pytest.raises(ModelUnusable, match="pickles"):
        wanted_files("a/b", {"pytorch_model.bin": 1, "config.json": 1})
