"""The layer for faulty files, compiled once."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def _layer() -> ModuleType:
    """`layer.py`, under the name that `scenes.py` imports it by."""
    if "layer" not in sys.modules:
        spec = importlib.util.spec_from_file_location("layer", HERE / "layer.py")
        assert spec is not None
        assert spec.loader is not None
        made = sys.modules["layer"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(made)
    return sys.modules["layer"]


@pytest.fixture(scope="session")
def layer() -> ModuleType:
    """The module `layer`; skips where there can be none."""
    found = _layer()
    if reason := found.why_not():
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def library(layer: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled layer."""
    compiled: Path = layer.compiled(tmp_path_factory.mktemp("layer"))
    return compiled
