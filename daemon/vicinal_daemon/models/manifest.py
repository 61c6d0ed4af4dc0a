"""The record of what a model's files are: sizes for a cheap check, SHA-256 for a full one.

Owns writing, reading and checking `manifest.json`. It does not know where files come from.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelDamaged
from vicinal_daemon.models.layout import MANIFEST
from vicinal_daemon.models.progress import Progress, silent
from vicinal_indexer.atomic import replace_text
from vicinal_indexer.errors import WrittenByLater

_FORMAT = 1
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The size in bytes and the SHA-256 (lower-case hex) of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a pulled model consists of; `files` is keyed by path relative to the model's folder, with `/`."""

    name: str
    origin: str
    licence: str
    files: Mapping[str, FileRecord]

    @property
    def total_bytes(self) -> int:
        """The bytes of all files together."""
        return sum(record.size for record in self.files.values())

    def fingerprint(self) -> str:
        """Return 64 hex digits that change whenever any file's content does."""
        lines = (f"{path} {record.sha256}" for path, record in sorted(self.files.items()))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def sha256_of(path: Path, progress: Progress = silent, stage: str = "verify") -> str:
    """Return the SHA-256 of a file, reporting bytes read."""
    digest = hashlib.sha256()
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            progress(stage, done, total)
    return digest.hexdigest()


def write_manifest(folder: Path, name: str, origin: str, licence: str, progress: Progress) -> Manifest:
    """Hash every file below `folder` and write its manifest, atomically and last."""
    files: dict[str, FileRecord] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            digest = sha256_of(path, progress, stage="hash")
            files[path.relative_to(folder).as_posix()] = FileRecord(path.stat().st_size, digest)
    document = {
        "format": _FORMAT,
        "name": name,
        "origin": origin,
        "licence": licence,
        "files": {path: {"bytes": record.size, "sha256": record.sha256} for path, record in files.items()},
    }
    write_json(folder / MANIFEST, document)
    return Manifest(name, origin, licence, files)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of `folder`, or None if it holds none.

    Raises:
        ModelDamaged: if the manifest cannot be parsed.
        WrittenByLater: if a later version wrote it.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document["format"], int) and document["format"] > _FORMAT:
            raise WrittenByLater(
                f"{folder} was made by a later Vicinal (format {document['format']}, this one reads {_FORMAT})",
                hint="Update this one; or set model.cache_dir to another folder and pull the model there.",
            )
        if document["format"] != _FORMAT:
            raise ModelDamaged(f"{path} has format {document['format']}; this version reads {_FORMAT}.")
        files = {
            str(name): FileRecord(int(record["bytes"]), str(record["sha256"]))
            for name, record in document["files"].items()
        }
        return Manifest(str(document["name"]), str(document["origin"]), str(document["licence"]), files)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelDamaged(f"{path} cannot be read: {error!r}.", hint=f"Delete {folder} and pull again.") from error


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that every recorded file is there with its recorded size; costs one `stat` a file.

    Raises:
        ModelDamaged: naming the first file that is missing or of another size, and the remedy.
    """
    for name, record in manifest.files.items():
        try:
            size = (folder / name).stat().st_size
        except FileNotFoundError:
            raise ModelDamaged(f"{folder / name} is missing.", hint=repair_hint(manifest.name)) from None
        if size != record.size:
            raise ModelDamaged(
                f"{folder / name} has {size} bytes instead of {record.size}.", hint=repair_hint(manifest.name)
            )


def check_trusted(folder: Path, manifest: Manifest) -> None:
    """Check sizes, and the SHA-256 of files that were written after their manifest: what nobody touched costs nothing.

    Raises:
        ModelDamaged: naming the first file that is missing or differs, and the remedy.
    """
    check_sizes(folder, manifest)
    noted = (folder / MANIFEST).stat().st_mtime_ns
    times = {name: (folder / name).stat().st_mtime_ns for name in manifest.files}
    later = {name: time for name, time in times.items() if time > noted}
    for name in later:
        if sha256_of(folder / name) != manifest.files[name].sha256:
            raise ModelDamaged(f"{folder / name} fails its checksum.", hint=repair_hint(manifest.name))
    if later:
        with suppress(OSError):  # it is looked at again the next time
            os.utime(folder / MANIFEST, ns=(max(later.values()), max(later.values())))


def check_hashes(folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Check every recorded file's size, then its SHA-256, reporting bytes over all files.

    Raises:
        ModelDamaged: naming the first file that differs, and the remedy.
    """
    check_sizes(folder, manifest)
    total, before = manifest.total_bytes, 0
    for name, record in manifest.files.items():
        base = before

        def report(stage: str, done: int, _: int, base: int = base) -> None:
            progress(stage, base + done, total)

        if sha256_of(folder / name, report) != record.sha256:
            raise ModelDamaged(f"{folder / name} fails its checksum.", hint=repair_hint(manifest.name))
        before += record.size


def repair_hint(name: str) -> str:
    """Return the sentence that tells how to fetch `name` anew."""
    return f"Run: vicinal models pull {name} --force"


def write_json(path: Path, document: object) -> None:
    """Write JSON, indented for people, so that a reader sees the old file or the new one."""
    replace_text(path, json.dumps(document, indent=2) + "\n")
