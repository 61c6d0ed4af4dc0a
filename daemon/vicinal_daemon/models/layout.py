"""Where models lie in the cache folder, and what kind of thing a model's name is.

    <cache>/models/<slug>/manifest.json        size and SHA-256 of every file; written last
    <cache>/models/<slug>/model.gguf           the quantised file, where there is one
    <cache>/models/<slug>/transformers/        what torch loads: safetensors, config, tokenizer
    <cache>/models/<slug>/encoder/             a sentence encoder instead of the two above
    <cache>/models/.staging-<slug>/            a pull under way, or interrupted
    <cache>/models/.<slug>.lock                held while one process pulls
    <cache>/converted/<sha256 of a GGUF>/      the float32 copy of a GGUF file that the user named by path
    <cache>/llama/<fingerprint of a model>/    its GGUF file as llama.cpp reads it faster, and its layout

Owns names and paths. It does not touch the disk, beyond asking for the user's home folder.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelUnusable

MANIFEST = "manifest.json"
GGUF = "model.gguf"
TRANSFORMERS = "transformers"
ENCODER = "encoder"

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_SHORT_NAME = re.compile(_PART)
_HUB_ID = re.compile(rf"{_PART}/{_PART}")


@dataclass(frozen=True, slots=True)
class ShortName:
    """A name that only the registry can explain."""

    name: str


@dataclass(frozen=True, slots=True)
class HubId:
    """`organisation/name` on the model hub."""

    name: str


@dataclass(frozen=True, slots=True)
class LocalPath:
    """A folder or a `.gguf` file on this machine."""

    path: Path


def parse_model(model: str) -> ShortName | HubId | LocalPath:
    """Say what `model` names, by its spelling alone.

    A path is absolute, or starts with `.` or `~`, or ends in `.gguf`. `a/b` is always a hub id: were it a
    path whenever such a folder exists, a cloned repository could choose the model by holding that folder.

    Raises:
        ModelUnusable: if `model` is none of these.
    """
    if model.startswith((".", "~")) or model.endswith(".gguf") or Path(model).is_absolute():
        try:
            return LocalPath(Path(model).expanduser())
        except RuntimeError as error:
            raise ModelUnusable(f"{model} begins with the home folder of nobody on this machine.") from error
    if _HUB_ID.fullmatch(model) and "--" not in model and ".." not in model:  # as the hub's own rule
        return HubId(model)
    if _SHORT_NAME.fullmatch(model):
        return ShortName(model)
    raise ModelUnusable(
        f"{model!r} is not a model name.",
        hint="Use a known name (vicinal models list), a hub id such as organisation/name, or a path.",
    )


def models_root(cache_dir: Path) -> Path:
    """Return the folder of all pulled models."""
    return cache_dir / "models"


def model_folder(cache_dir: Path, name: str) -> Path:
    """Return the folder of one pulled model, given its short name or hub id."""
    return models_root(cache_dir) / _slug(name)


def staging_folder(cache_dir: Path, name: str) -> Path:
    """Return where a pull of `name` works until it is whole."""
    return models_root(cache_dir) / f".staging-{_slug(name)}"


def lock_path(cache_dir: Path, name: str) -> Path:
    """Return the lock file that serialises pulls of `name`."""
    return models_root(cache_dir) / f".{_slug(name)}.lock"


def converted_root(cache_dir: Path) -> Path:
    """Return the folder of float32 copies made from GGUF files named by path."""
    return cache_dir / "converted"


def llama_folder(cache_dir: Path, fingerprint: str) -> Path:
    """Return the folder for copies of one model's GGUF file that llama.cpp reads faster, and for notes on it."""
    return cache_dir / "llama" / fingerprint


def _slug(name: str) -> str:
    return name.replace("/", "--")
