"""A disk that is full, failing, read-only or closed to us, at any operation: a typed error with a hint, nothing lost.

The layer (`layer.c`) stands between a process and libc, so it meets Python, sqlite, lance and safetensors alike.
A small file system that is really full (`test_full.py`) checks that it does not lie.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from amounts import points

SCENES = Path(__file__).with_name("scenes.py")
Play = Callable[[str, int], dict[str, int]]


@pytest.fixture
def play(layer: ModuleType, library: Path, tmp_path: Path) -> Play:
    """Plays a scene at so many random faults; what came of them, by errno and error."""

    def run(scene: str, count: int) -> dict[str, int]:
        faults = layer.Faults(tmp_path / "page")
        paths = {"PYTHONPATH": ":".join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(SCENES), scene, str(tmp_path), str(count), str(count)]
        done = subprocess.run(
            command, env=faults.environment(library) | paths, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-4000:]
        told: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
        assert any("missed" not in name for name in told), "no fault met anything"
        return told

    return run


@pytest.mark.parametrize("count", points(3, 20, 500))
def test_an_index_is_what_a_fresh_build_is_after_any_fault(count: int, play: Play) -> None:
    play("index", count)


@pytest.mark.parametrize("count", points(40, 200, 2_000))
def test_feedback_that_was_noted_stays(count: int, play: Play) -> None:
    play("feedback", count)


@pytest.mark.parametrize("count", points(0, 25, 500)[1:])
def test_an_adapter_is_written_whole_or_not(count: int, play: Play) -> None:
    play("adapters", count)


@pytest.mark.parametrize("count", points(30, 200, 2_000))
def test_small_files_are_the_old_ones_or_the_new_ones(count: int, play: Play) -> None:
    play("small_files", count)


@pytest.mark.parametrize("count", points(0, 0, 20)[2:])
def test_a_models_copy_is_whole_or_not_there(count: int, play: Play, tmp_path: Path, tiny_gguf: Path) -> None:
    shutil.copy(tiny_gguf, tmp_path / "tiny.gguf")
    play("model_copies", count)
