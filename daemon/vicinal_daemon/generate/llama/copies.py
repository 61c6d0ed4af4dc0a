"""The copy of a GGUF file that llama.cpp reads fast on CPUs.

Owns those copies and when one is made: the formats Q4_1, Q5_0 and Q5_1 have no fast kernels for many tokens at once,
and a prompt is most of what a completion reads. A copy may be deleted at any time; it is made anew.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from filelock import FileLock

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.llama.library import FileType, look_at, requantise

Wanted = Literal["auto", "keep", "f16", "q8_0"]
LARGEST = 600_000_000
"""Bytes of a copy that is made unasked: a larger model is bound by memory when it writes, and is kept as it is."""

_SLOW = {3, 8, 9}
"""The kinds of files (`general.file_type`) without such kernels: Q4_1, Q5_0, Q5_1."""


def file_to_read(file: Path, folder: Path, wanted: Wanted, threads: int) -> Path:
    """The file that is to be loaded: `file`, or its copy, which is made if there is none.

    Args:
        folder: of the copies of this content alone.
        wanted: `auto` decides by the file's kind and size.

    Raises:
        ModelUnusable: the copy cannot be made.
        ModelDamaged: llama.cpp cannot read the file.
    """
    kind = _kind_for(file) if wanted == "auto" else wanted
    if kind == "keep":
        return file
    copy = folder / f"{kind}.gguf"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{copy.name}.lock"):
            if not copy.exists():
                _make(file, copy, kind, threads)
    except OSError as error:
        raise ModelUnusable(
            f"a copy of {file} cannot be kept in {folder}: {error.strerror or error}",
            hint="check the disk and its permissions, or set model.llama_copy to keep",
        ) from error
    return copy


def _make(file: Path, copy: Path, kind: FileType, threads: int) -> None:
    part = copy.with_name(f".{copy.name}.{os.getpid()}.part")
    try:
        requantise(file, part, kind, threads)
        part.replace(copy)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _kind_for(file: Path) -> Literal["keep"] | FileType:
    facts = look_at(file)
    return "f16" if facts.file_type in _SLOW and 2 * facts.numbers <= LARGEST else "keep"
