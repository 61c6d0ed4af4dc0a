"""Resolving: every kind of name, every kind of damage, and never the network."""

import shutil
from pathlib import Path

import pytest

from vicinal_daemon import models
from vicinal_daemon.config import ModelSettings
from vicinal_daemon.errors import ModelDamaged, ModelMissing, ModelUnusable
from vicinal_daemon.models.layout import HubId, LocalPath, ShortName, parse_model
from vicinal_daemon.models.tiny import FIM_TOKENS, write_tiny_model


@pytest.fixture
def copy(tmp_path: Path, tiny_model_dir: Path) -> Path:
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "copy"))


def test_names_are_told_apart_by_spelling() -> None:
    assert parse_model("smollm2-135m") == ShortName("smollm2-135m")
    assert parse_model("org/name-1.5B") == HubId("org/name-1.5B")
    assert parse_model("./org/name") == LocalPath(Path("org/name"))
    assert parse_model("q4.gguf") == LocalPath(Path("q4.gguf"))
    assert parse_model("/m") == LocalPath(Path("/m"))
    for nonsense in ("", "a/b/c", "a//b", "a b", "https://x/y", "org/a..b", "a--b/c"):
        with pytest.raises(ModelUnusable, match="not a model name"):
            parse_model(nonsense)
    with pytest.raises(ModelUnusable, match="home folder of nobody"):
        parse_model("~no-such-user/model")


def test_a_folder_of_the_same_name_does_not_shadow_a_hub_id(
    tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_model_dir, tmp_path / "org" / "name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelMissing) as missing:
        models.resolve("org/name", tmp_path / "cache")
    assert missing.value.hint == "Run: vicinal models pull org/name"


def test_a_missing_default_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing) as missing:
        models.resolve(models.DEFAULT_MODEL, tmp_path)
    assert missing.value.hint == "Run: vicinal models pull smollm2-135m"


def test_a_folder_resolves_and_its_fingerprint_follows_its_files(copy: Path, tmp_path: Path) -> None:
    first = models.resolve(str(copy), tmp_path)
    assert (first.transformers_dir, first.gguf) == (copy, None)
    assert models.resolve(str(copy), tmp_path) == first
    write_tiny_model(copy, seed=1)
    assert models.resolve(str(copy), tmp_path).fingerprint != first.fingerprint
    models.verify(str(copy), tmp_path)


def test_a_model_in_the_hub_cache_resolves_offline(
    tmp_path: Path, tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0" * 40
    repo = tmp_path / "hub" / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    shutil.copytree(tiny_model_dir, repo / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    files = models.resolve("org/name", tmp_path / "cache")
    assert files.transformers_dir.name == commit
    assert files.origin.startswith("hub cache ")


def test_a_gguf_file_is_converted_once(tmp_path: Path, tiny_gguf: Path) -> None:
    stages: list[str] = []

    def remember(stage: str, done: int, total: int) -> None:
        stages.append(stage)

    files = models.resolve(str(tiny_gguf), tmp_path, remember)
    assert files.gguf == tiny_gguf
    assert (files.transformers_dir / "model.safetensors").is_file()
    assert "dequantise" in stages
    stages.clear()
    assert models.resolve(str(tiny_gguf), tmp_path, remember) == files
    assert stages == []
    moved = tmp_path / "moved.gguf"
    shutil.copy(tiny_gguf, moved)
    assert models.resolve(str(moved), tmp_path).transformers_dir == files.transformers_dir
    models.verify(str(tiny_gguf), tmp_path)


def test_a_cut_off_gguf_file_is_damaged(tmp_path: Path, tiny_gguf: Path) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:-5000])
    with pytest.raises(ModelDamaged, match=r"cut\.gguf"):
        models.resolve(str(cut), tmp_path)
    assert [path.name for path in (tmp_path / "converted").iterdir() if path.is_dir()] == []
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(ModelDamaged, match="does not begin as a GGUF"):
        models.resolve(str(other), tmp_path)


def test_a_gguf_of_an_unknown_architecture_is_unusable(tmp_path: Path) -> None:
    import gguf
    import numpy as np

    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, "no-such-architecture")
    writer.add_tensor("x.weight", np.zeros(4, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelUnusable, match="no-such-architecture"):
        models.resolve(str(path), tmp_path)


@pytest.mark.parametrize("keep", [0, 7, 200, -1])
def test_cut_off_weights_are_damaged(copy: Path, tmp_path: Path, keep: int) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelDamaged, match=r"model\.safetensors"):
        models.resolve(str(copy), tmp_path)


def test_what_is_not_a_usable_model_says_why(copy: Path, tmp_path: Path) -> None:
    def refused(words: str, kind: type[Exception] = ModelUnusable) -> None:
        with pytest.raises(kind, match=words):
            models.resolve(str(copy), tmp_path)

    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    refused("pickles only")
    (copy / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-1.safetensors"}}')
    refused(r"model-1\.safetensors is missing", ModelDamaged)
    (copy / "model.safetensors.index.json").unlink()
    (copy / "pytorch_model.bin").rename(copy / "model.safetensors")
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace("LlamaForCausalLM", "BertForMaskedLM"))
    refused("BertForMaskedLM")
    (copy / "config.json").write_text("{")
    refused("not valid JSON", ModelDamaged)
    (copy / "tokenizer.json").unlink()
    refused("no tokenizer")
    (copy / "config.json").unlink()
    refused(r"no config\.json")


def test_the_tiny_model_is_deterministic_and_spells_any_text(tmp_path: Path, tiny_fim_model_dir: Path) -> None:
    from transformers import AutoTokenizer

    again = write_tiny_model(tmp_path / "again", fill_in_the_middle=True)
    for path in again.iterdir():
        assert path.read_bytes() == (tiny_fim_model_dir / path.name).read_bytes(), path.name
    tokenizer = AutoTokenizer.from_pretrained(again)
    text = "def f(x):\r\n    return 'é ☃'\n        self.x\t= 1"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert [len(tokenizer.encode(token)) for token in FIM_TOKENS] == [1, 1, 1]
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("\n    return"))[0] == "ĊĠĠĠ"


@pytest.mark.model
def test_the_default_model_is_whole() -> None:
    cache = ModelSettings().cache_dir
    models.verify(models.DEFAULT_MODEL, cache)
    files = models.resolve(models.DEFAULT_MODEL, cache)
    assert files.gguf is not None
    assert files.gguf.stat().st_size == models.KNOWN[models.DEFAULT_MODEL].member_bytes
