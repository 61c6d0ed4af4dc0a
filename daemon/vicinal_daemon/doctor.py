"""What may keep Vicinal from working on this machine, and what to do about each.

Owns the checks. Those with a threshold are pure and take what was measured; `check_all` measures. Nothing is
installed, downloaded or converted, and no folder is made. It does not print.
"""

import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vicinal_daemon import models
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ModelError
from vicinal_daemon.models.formats import check_gguf
from vicinal_daemon.models.layout import LocalPath, parse_model

Status = Literal["ok", "warn", "fail"]

_MINIMUM_PYTHON = (3, 11)
_MEGABYTE = 1_000_000
_FEW_WATCHES = 16_384
"""A large repository has as many folders; the system's editors and tools want some, too."""

_DISK_FAIL, _DISK_WARN = 200 * _MEGABYTE, 2_000 * _MEGABYTE
# Weights, the optimiser's state and activations of a short training step; torch itself needs about half a
# gigabyte.
_MEMORY_PER_WEIGHT_BYTE, _MEMORY_BASE = 2.0, 700 * _MEGABYTE

GRAMMAR_SAMPLES: Mapping[str, bytes] = {
    "python": b"def f(x):\n    return x\n",
    "typescript": b"function f(x: number): number { return x; }\n",
    "javascript": b"const f = (x) => x;\n",
    "rust": b"fn f(x: u8) -> u8 { x }\n",
    "go": b"package p\nfunc f(x int) int { return x }\n",
    "java": b"class A { int f(int x) { return x; } }\n",
    "c": b"int f(int x) { return x; }\n",
    "cpp": b"int f(int x) { return x; }\n",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `remedy` says what to do and is empty when there is nothing to do."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class TorchProbe:
    """What torch says about this machine; `cuda` is the first card's name or empty."""

    version: str
    cuda: str
    mps: bool
    threads: int
    cpu: str


def check_all(settings: Settings) -> list[Check]:
    """Run every check, in the order in which problems should be solved. Takes seconds, as torch is loaded."""
    model, weight_bytes = check_model(settings)
    return [
        check_python(sys.version_info[:2]),
        _check_torch(settings.model.device),
        check_grammars(GRAMMAR_SAMPLES),
        model,
        check_memory(_available_memory(), weight_bytes),
        check_writable("data folder", settings.index.data_dir, "index.data_dir"),
        check_writable("model folder", settings.model.cache_dir, "model.cache_dir"),
        check_disk(shutil.disk_usage(_nearest_folder(settings.index.data_dir)).free),
        check_llama(settings.model.engine, installed=importlib.util.find_spec("llama_cpp") is not None),
        check_watches(_most_watches()),
        check_git(shutil.which("git")),
    ]


def check_python(version: Sequence[int]) -> Check:
    """Judge the running Python by its (major, minor) version."""
    detail = f"Python {'.'.join(map(str, version))} ({platform.machine()}, {platform.system()})"
    if tuple(version) >= _MINIMUM_PYTHON:
        return Check("python", "ok", detail)
    return Check("python", "fail", detail, "Install Python 3.11 or newer.")


def check_torch(wanted: str, probe: TorchProbe) -> Check:
    """Judge torch for the device that `model.device` asks for."""
    found = f"CUDA ({probe.cuda})" if probe.cuda else "Metal" if probe.mps else "CPU"
    detail = f"torch {probe.version}; best device: {found}; {probe.threads} threads; {probe.cpu}"
    if (wanted == "cuda" and not probe.cuda) or (wanted == "mps" and not probe.mps):
        return Check(
            "torch",
            "fail",
            f"{detail}; model.device is {wanted}, which torch does not see",
            "Install the torch build for your accelerator, or set model.device to auto.",
        )
    on_cpu = wanted == "cpu" or (wanted == "auto" and not probe.cuda and not probe.mps)
    if on_cpu and platform.machine().lower() in ("x86_64", "amd64") and "AVX" not in probe.cpu.replace("NO AVX", ""):
        return Check(
            "torch",
            "warn",
            f"{detail}; no AVX2",
            "Expect slow answers: set tune.steps to 0, or use another machine.",
        )
    return Check("torch", "ok", detail)


def check_grammars(samples: Mapping[str, bytes]) -> Check:
    """Parse one line in each language with its bundled grammar."""
    broken = []
    try:
        from tree_sitter_language_pack import get_parser
    except (ImportError, OSError) as error:
        return Check("grammars", "fail", f"tree-sitter cannot be loaded: {error}", _reinstall())
    for language, text in samples.items():
        try:
            parses = not get_parser(language).parse(text).root_node.has_error  # type: ignore[arg-type]
        except (LookupError, ImportError, OSError, ValueError):
            parses = False
        if not parses:
            broken.append(language)
    if broken:
        return Check("grammars", "fail", f"no working grammar for {', '.join(broken)}", _reinstall())
    return Check("grammars", "ok", f"{len(samples)} of {len(samples)} sampled languages parse")


def check_model(settings: Settings) -> tuple[Check, int]:
    """Look for the model's files; return the finding and the bytes of its float32 weights (0 if unknown)."""
    name = settings.model.name
    try:
        parsed = parse_model(name)
        if isinstance(parsed, LocalPath) and parsed.path.is_file() and parsed.path.suffix == ".gguf":
            check_gguf(parsed.path)  # resolving it might convert it, which is not a check's business
            return Check("model", "ok", f"{parsed.path} is a GGUF file"), 0
        files = models.resolve(name, settings.model.cache_dir)
    except ModelError as error:
        return Check("model", "fail", error.message, error.hint), 0
    size = sum(path.stat().st_size for path in files.transformers_dir.glob("*.safetensors"))
    return Check("model", "ok", f"{name}: {_megabytes(size)} of weights, from {files.origin}"), size


def check_memory(available: int, weight_bytes: int) -> Check:
    """Judge free memory (bytes) against what tuning a model of `weight_bytes` needs."""
    needed = int(_MEMORY_BASE + _MEMORY_PER_WEIGHT_BYTE * weight_bytes)
    detail = f"{_megabytes(available)} free; about {_megabytes(needed)} needed"
    if available >= needed:
        return Check("memory", "ok", detail)
    return Check("memory", "warn", detail, "Close other programs, or choose a smaller model.")


def check_writable(name: str, folder: Path, setting: str) -> Check:
    """Try to write into `folder`, or where it would be made."""
    place = _nearest_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Check(
            name,
            "fail",
            f"{folder} cannot be written: {error.strerror or error}",
            f"Change its permissions, or set {setting} to a folder of yours.",
        )
    if place != folder and folder.exists():
        return Check(name, "fail", f"{folder} is not a folder", f"Move it away, or set {setting}.")
    return Check(name, "ok", str(folder) if place == folder else f"{folder} (made at first use)")


def check_disk(free: int) -> Check:
    """Judge the free bytes of the disk that holds the data folder."""
    status: Status = "fail" if free < _DISK_FAIL else "warn" if free < _DISK_WARN else "ok"
    remedy = "" if status == "ok" else "Free some space, or set index.data_dir to another disk."
    return Check("disk", status, f"{_megabytes(free)} free", remedy)


def check_llama(engine: str, *, installed: bool) -> Check:
    """Judge whether llama-cpp-python is there, which only `model.engine = "llama"` needs."""
    if installed:
        return Check("llama-cpp-python", "ok", "installed")
    install = "pip install 'vicinal[llama]' (compiles for some minutes)"
    if engine == "llama":
        return Check("llama-cpp-python", "fail", "not installed, but model.engine is llama", f"Run: {install}")
    return Check("llama-cpp-python", "ok", f"not installed; optional, for faster answers on CPUs: {install}")


def check_watches(most: int | None) -> Check:
    """Judge how many folders the system watches for one user; None where it sets no such limit."""
    if most is None:
        return Check("file watching", "ok", "no limit")
    detail = f"{most:,} folders can be watched"
    if most >= _FEW_WATCHES:
        return Check("file watching", "ok", detail)
    remedy = "Run: sudo sysctl fs.inotify.max_user_watches=524288; without it large repositories are scanned instead."
    return Check("file watching", "warn", detail, remedy)


def check_git(path: str | None) -> Check:
    """Say that git is not needed, as people expect it to be."""
    return Check("git", "ok", f"{'found' if path else 'not found'}; not needed")


def probe_torch() -> TorchProbe:
    """Ask torch about this machine.

    Raises:
        ImportError: if torch is missing.
        OSError: if a library that it needs cannot be loaded.
    """
    import torch

    capability: Callable[[], str] = torch.backends.cpu.get_cpu_capability
    cuda = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    mps = torch.backends.mps.is_available()
    return TorchProbe(str(torch.__version__), cuda, mps, torch.get_num_threads(), capability())


def _check_torch(wanted: str) -> Check:
    try:
        probe = probe_torch()
    except (ImportError, OSError) as error:
        return Check("torch", "fail", f"torch cannot be loaded: {error}", _reinstall())
    return check_torch(wanted, probe)


def _available_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().available)


def _most_watches() -> int | None:
    try:
        return int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _nearest_folder(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _megabytes(count: int) -> str:
    return f"{count / _MEGABYTE:,.0f} MB"


def _reinstall() -> str:
    return "Run: pip install --force-reinstall vicinal"
