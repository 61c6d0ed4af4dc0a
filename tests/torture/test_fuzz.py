"""Garbage, a lot of it: the chunker in every language; what is read from disk, damaged at random.

The short form is a slow test; `make torture` runs the long one, of VICINAL_TORTURE_INPUTS (1,000,000) texts.
"""

import os
import random
import subprocess
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from amounts import long, short

from vicinal_daemon import config
from vicinal_daemon.errors import ConfigError, ModelDamaged
from vicinal_daemon.tune.files import read_adapter, write_adapter
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.uncertainty import calibration

CHUNKER = Path(__file__).with_name("chunker.py")
GOLDENS = Path(__file__).parents[1] / "indexer" / "goldens"
LANGUAGES = sorted(path.stem for path in GOLDENS.iterdir() if path.suffix not in (".chunks", ".ipynb"))
INPUTS = int(os.environ.get("VICINAL_TORTURE_INPUTS", "1000000"))
SHORT = 200
"""Texts a language in CI."""

HOURS = 4 * 3600


def cut(language: str, seed: int, count: int, guilty: Path) -> None:
    """Have so many texts cut; tells the text that broke a promise, or the parser."""
    command = [sys.executable, str(CHUNKER), language, str(seed), str(count), str(guilty)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stderr[-2000:], guilty.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_breaks_the_chunker(language: str, tmp_path: Path) -> None:
    cut(language, 0, SHORT, tmp_path / "guilty")


@pytest.mark.torture
@pytest.mark.timeout(HOURS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_of_a_million_breaks_the_chunker(language: str, tmp_path: Path) -> None:
    cut(language, 1, -(-INPUTS // len(LANGUAGES)), tmp_path / "guilty")


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Cut off, or with bits flipped, bytes overwritten, doubled or left out."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 3, 20))):
        place = chance.randrange(len(changed) or 1)
        match chance.randrange(5):
            case 0:
                changed = changed[:place]
            case 1 if changed:
                changed[place] ^= 1 << chance.randrange(8)
            case 2:
                changed[place : place + 4] = chance.randbytes(4)
            case 3:
                changed[place:place] = changed[place : place + chance.randrange(64)]
            case _:
                del changed[place : place + chance.randrange(64)]
    return bytes(changed)


def rounds(count: int) -> list[object]:
    """So many in CI, a hundred times as many in `make torture`."""
    return [short(count), long(count * 100)]


@pytest.mark.parametrize("count", rounds(200))
def test_a_damaged_adapter_is_never_a_slightly_other_one(count: int, tmp_path: Path) -> None:
    chance, file = random.Random(0), tmp_path / "adapter.safetensors"  # noqa: S311 - not a secret
    shapes = {"A": (4, 6), "B": (6, 4)}
    tensors = {f"layer.{n}.lora_{part}.weight": torch.randn(shapes[part]) for n in range(3) for part in shapes}
    write_adapter(Adapter({name: value.half() for name, value in tensors.items()}, 4), file, {})
    data, whole = file.read_bytes(), read_adapter(file)
    for _ in range(count):
        file.write_bytes(damaged(data, chance))
        try:
            found = read_adapter(file)
        except ModelDamaged:
            continue
        assert (found.rank, found.scale, found.tensors.keys()) == (whole.rank, whole.scale, whole.tensors.keys())
        assert all(torch.equal(found.tensors[name], value) for name, value in whole.tensors.items())


@pytest.mark.parametrize("count", rounds(100))
def test_damaged_settings_are_read_or_refused(count: int, tmp_path: Path) -> None:
    chance, file = random.Random(0), tmp_path / "config.toml"  # noqa: S311 - not a secret
    written = b'seed = 3\n[tune]\nsteps = 4\nlearning_rate = 0.001\n[model]\nname = "tiny"\n[index]\ncandidates = 50\n'
    for _ in range(count):
        file.write_bytes(damaged(written, chance))
        with suppress(ConfigError):
            config.load(None, {}, {}, file)


@pytest.mark.parametrize("count", rounds(100))
def test_a_damaged_calibration_gives_way_to_the_shipped_one(count: int, tmp_path: Path) -> None:
    chance = random.Random(0)  # noqa: S311 - not a secret
    shipped = calibration.default_calibration()
    data = (files("vicinal_daemon.uncertainty") / calibration.DEFAULT).read_bytes()
    for _ in range(count):
        calibration.calibration_file(tmp_path).write_bytes(damaged(data, chance))
        assert calibration.load(tmp_path) == shipped
        for aside in tmp_path.glob("*.damaged-*"):  # each has a name of its own, found by trying
            aside.unlink()
