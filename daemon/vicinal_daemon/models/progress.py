"""How the long steps of this package report how far they are.

Owns the callback's shape, and downloads by a process of its own, whose only visible sign is a growing folder.
It does not know how progress is shown.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[str, int, int], None]
"""`progress(stage, done, total)`: bytes for downloads and hashing, steps otherwise; `total` 0 means unknown.

What it raises calls the work off, and is raised there."""

_POLL_SECONDS = 0.2


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing; the default where a caller shows no progress."""
    del stage, done, total


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended: its exit status, and what it wrote to stderr."""

    status: int
    words: str


def downloaded(
    command: Sequence[str], folder: Path, total: int, progress: Progress, environment: Mapping[str, str] = os.environ
) -> Ended:
    """Run a process that downloads into `folder`, which is its own folder too, and report the bytes that are there.

    Package and hub clients draw bars for people; the size of what they write is the one measure that every one of them
    gives. A process is the one thing that can be ended while it waits for a network.
    """
    progress("download", 0, total)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        try:
            while (status := _ended(child)) is None:
                progress("download", min(folder_bytes(folder), total), total)
        finally:
            child.kill()
            child.wait()
        errors.seek(0)
        words = errors.read()
    if status == 0:
        progress("download", total, total)
    return Ended(status, words)


def _ended(child: "subprocess.Popen[bytes]") -> int | None:
    try:
        return child.wait(_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below `folder`; files that vanish while it looks count as nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
