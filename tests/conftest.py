"""Fixtures that several of the daemon's tests share."""

from pathlib import Path

import pytest

from vicinal_daemon.models.tiny import write_tiny_gguf, write_tiny_model


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real causal model with two random layers and no fill-in-the-middle tokens; treat it as read-only."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_fim_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_model_dir`, with fill-in-the-middle tokens in its vocabulary."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny-fim"), fill_in_the_middle=True)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Path:
    """The weights of `tiny_model_dir` as a GGUF file."""
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny-gguf") / "tiny.gguf", tiny_model_dir)
