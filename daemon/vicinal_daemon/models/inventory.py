"""What models are on this machine, and whether they are intact.

Owns listing and full verification of pulled models. It does not fetch or repair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelDamaged
from vicinal_daemon.models import layout
from vicinal_daemon.models.formats import check_gguf, check_transformers_folder
from vicinal_daemon.models.manifest import check_hashes, check_sizes, read_manifest
from vicinal_daemon.models.progress import Progress, silent
from vicinal_daemon.models.registry import ENCODERS, KNOWN, KnownEncoder, KnownModel
from vicinal_daemon.models.resolve import resolve, resolve_encoder
from vicinal_indexer.errors import WrittenByLater


@dataclass(frozen=True, slots=True)
class InstalledModel:
    """A pulled model: `size` in bytes on disk; `problem` is empty unless a file is missing or cut off."""

    name: str
    folder: Path
    size: int
    origin: str
    licence: str
    problem: str


def list_models(cache_dir: Path) -> list[InstalledModel]:
    """Return the pulled models, by name. Sizes are checked, hashes are not (`verify` does that)."""
    found = []
    root = layout.models_root(cache_dir)
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        try:
            manifest = read_manifest(folder)
        except (ModelDamaged, WrittenByLater) as error:
            found.append(InstalledModel(folder.name, folder, 0, "", "", error.message))
            continue
        if manifest is None:
            continue
        problem = ""
        try:
            check_sizes(folder, manifest)
        except ModelDamaged as error:
            problem = error.message
        found.append(
            InstalledModel(manifest.name, folder, manifest.total_bytes, manifest.origin, manifest.licence, problem)
        )
    return sorted(found, key=lambda model: model.name)


def verify(
    model: str,
    cache_dir: Path,
    progress: Progress = silent,
    *,
    known: Mapping[str, KnownModel] = KNOWN,
    encoders: Mapping[str, KnownEncoder] = ENCODERS,
) -> None:
    """Check every byte of a pulled model against its manifest; of a model at a path, headers and sizes.

    Raises:
        ModelMissing: if it is not on this machine.
        ModelDamaged: naming the first file that differs and the command that fetches the model anew.
    """
    if model in encoders:
        folder = resolve_encoder(model, cache_dir, encoders=encoders).parent
        if (pulled := read_manifest(folder)) is not None:
            check_hashes(folder, pulled, progress)
        return
    files = resolve(model, cache_dir, progress, known=known)
    folder = files.transformers_dir.parent
    manifest = None if files.origin.startswith("folder ") else read_manifest(folder)
    if manifest is not None:
        check_hashes(folder, manifest, progress)
        return
    check_transformers_folder(files.transformers_dir)
    if files.gguf is not None:
        check_gguf(files.gguf)
