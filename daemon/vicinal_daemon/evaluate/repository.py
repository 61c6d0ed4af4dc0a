"""The state of the repository that is evaluated, and of the settings that results depend on, as digests.

Owns what makes two runs comparable. It reads git's HEAD and nothing else of git.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.measure import Extent
from vicinal_daemon.evaluate.record import Header
from vicinal_daemon.generate.device import dtype_name
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.adapter_file import settings_digest
from vicinal_indexer.types import digest

DEPENDED_ON = ("select", "tune", "prompt", "generate", "warm")


def header_of(
    root: Path, files: Mapping[str, str], engine: TransformersEngine, settings: Settings, extent: Extent, lines: int
) -> Header:
    """What all records of this run have in common."""
    values = result_settings(settings, extent)
    if engine.dtype != torch.float32:  # not a word of it otherwise: records from before there was a choice go on
        values["model.precision"] = dtype_name(engine.dtype)
    tree = digest("\n".join(f"{path} {digest(text)}" for path, text in sorted(files.items())))
    return Header(
        repo=repository_name(root),
        commit=head_commit(root),
        tree=tree[:16],
        model=engine.name,
        seed=settings.seed,
        lines=lines,
        fingerprint=settings_digest(values),
        settings=values,
    )


def result_settings(settings: Settings, extent: Extent) -> dict[str, Any]:
    """Every setting that a result depends on, by its key."""
    sections = settings.model_dump(mode="json", include=set(DEPENDED_ON))
    values = {f"{section}.{key}": value for section, found in sections.items() for key, value in found.items()}
    return {
        **{
            key: value
            for key, value in values.items()
            if key.split(".")[0] != "warm" or key in ("warm.steps", "warm.depth", "warm.learning_rate", "warm.scale")
        },
        "index.candidates": settings.index.candidates,
        "index.embedder": settings.index.embedder,
        "guard.scales": list(extent.scales),
        "curve": list(extent.curve),
    }


def repository_name(root: Path) -> str:
    """What the repository is called in tables: its folder."""
    return root.resolve().name or "root"


def head_commit(root: Path) -> str:
    """The commit that is checked out; "" outside of git."""
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""
