"""What is not as it was written is never trusted: a store is rebuilt, a model refused.

Adapters, settings and calibrations: `tests/torture/test_fuzz.py`; feedback: `tests/daemon/test_feedback.py`.
"""

import os
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from amounts import points
from sameness import built_anew, dump

from vicinal_daemon import models
from vicinal_daemon.errors import ModelDamaged, ModelError, ModelUnusable
from vicinal_indexer import seal
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.stored import folder_of

WORDS = "def handle message order receipt"
HOURS = 4


def damage(file: Path, chance: random.Random) -> str:
    """Flip bits, cut off, empty, fill or delete a file; says which."""
    data = bytearray(file.read_bytes())
    kind = chance.choice(("flip", "flip", "flip", "cut", "empty", "fill", "delete"))
    if kind == "delete":
        file.unlink()
        return kind
    if kind == "flip" and data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[chance.randrange(len(data) or 1) :]
    elif kind == "empty":
        data.clear()
    else:
        place = chance.randrange(len(data) or 1)
        data[place : place + 512] = b"\xff" * 512
    file.write_bytes(data)
    return kind


@pytest.fixture
def indexed(shop: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A repository, and the data folder with its index: several fragments and versions, full-text index, seal."""
    data = tmp_path / "whole"
    with RepositoryIndex.open(shop, data) as index:
        index.sync()
        with index.holding():
            index.tidy()
        (shop / "payment.py").write_text((shop / "payment.py").read_text().replace("payment", "paiement"))
        index.sync()
    return shop, data


@pytest.mark.parametrize("count", points(5, 40, 1_000, HOURS))
def test_a_store_with_any_file_damaged_is_rebuilt(count: int, indexed: tuple[Path, Path], tmp_path: Path) -> None:
    root, whole = indexed
    chance = random.Random(count)  # noqa: S311 - not a secret
    wanted = built_anew(root)
    names = sorted(path.relative_to(whole) for path in folder_of(root, whole).rglob("*") if path.is_file())
    chance.shuffle(names)
    for number in range(count):
        data = tmp_path / "data"
        shutil.copytree(whole, data)
        name = names[number % len(names)]
        kind = damage(data / name, chance)
        with RepositoryIndex.open(root, data) as index:
            index.sync()
            assert dump(index, WORDS) == wanted, (kind, str(name))
        shutil.rmtree(data)


def test_a_large_store_is_verified_when_asked_to(indexed: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, data = indexed
    monkeypatch.setattr(seal, "HASHED_BYTES", 0)
    file = max(folder_of(root, data).rglob("chunks.lance/data/*"), key=lambda path: path.stat().st_size)
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))  # as when bits rot
    with RepositoryIndex.open(root, data) as index:
        assert index.sync().rebuilt_because is None
        assert index.verify().rebuilt_because
        assert dump(index, WORDS) == built_anew(root)
        assert index.verify().rebuilt_because is None


@pytest.mark.parametrize("count", points(60, 300, 5_000, HOURS))
def test_a_damaged_model_is_refused_or_loads_what_it_says(
    count: int, tiny_model_dir: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    """What stands in the way of loading is a typed error. A flipped weight of a model that has no manifest is just
    another weight: that is not promised (`docs/security.md`)."""
    chance = random.Random(count)  # noqa: S311 - not a secret
    folder = tmp_path / "model"
    for _ in range(count):
        shutil.copytree(tiny_model_dir, folder, dirs_exist_ok=True)
        name = chance.choice(("model.safetensors", "model.safetensors", "config.json", "tokenizer.json"))
        kind = damage(folder / name, chance)
        try:
            files = models.resolve(str(folder), tmp_path / "cache")
        except (ModelDamaged, ModelUnusable):
            continue
        assert kind in ("flip", "fill") or name == "tokenizer.json", (kind, name)
        assert files.transformers_dir == folder.resolve()


@pytest.mark.parametrize("count", points(0, 0, 20, HOURS)[2:])
def test_a_damaged_gguf_file_is_refused_or_converted(count: int, tiny_gguf: Path, tmp_path: Path) -> None:
    chance = random.Random(count)  # noqa: S311 - not a secret
    for number in range(count):
        file = tmp_path / f"m{number}.gguf"
        shutil.copy(tiny_gguf, file)
        if damage(file, chance) == "delete":
            continue
        with suppress(ModelError):
            models.resolve(str(file), tmp_path / "cache")


def test_a_pulled_model_that_somebody_wrote_into_is_refused(tmp_path: Path, tiny_model_dir: Path) -> None:
    from vicinal_daemon.models import layout
    from vicinal_daemon.models.manifest import write_manifest
    from vicinal_daemon.models.progress import silent

    folder = layout.model_folder(tmp_path, "tiny")
    shutil.copytree(tiny_model_dir, folder / layout.TRANSFORMERS)
    write_manifest(folder, "tiny", "package", "MIT", silent)
    known = {"tiny": next(iter(models.KNOWN.values()))}
    weights = folder / layout.TRANSFORMERS / "model.safetensors"
    whole = weights.read_bytes()
    later = (folder / layout.MANIFEST).stat().st_mtime_ns + 1

    def write(data: bytes) -> None:
        weights.write_bytes(data)
        os.utime(weights, ns=(later, later))

    resolve: Callable[[], object] = lambda: models.resolve("tiny", tmp_path, known=known)  # noqa: E731
    write(whole)
    resolve()
    assert (folder / layout.MANIFEST).stat().st_mtime_ns == later, "it is not hashed at each start"
    later += 1
    write(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelDamaged, match=r"model\.safetensors fails its checksum"):
        resolve()
