"""The test's side of `layer.c`: which operations of other processes on their files fail, and how.

Owns the compiler's call and the shared page. It does not know what is tested. It is also imported by the processes that
`scenes.py` runs, which steer themselves.
"""

import enum
import mmap
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("layer.c")
VARIABLE = "FAULTS_PAGE"
FOREVER = 2**62
KILL = 0
"""In place of an errno: the process is killed in the middle of the operation."""

_FIELDS = struct.Struct("=7q4040s")
_COUNTS = struct.Struct("=2q")


class Kind(enum.IntFlag):
    """What an operation is, as in `layer.c`."""

    OPEN = 1
    WRITE = 2
    SYNC = 4
    RENAME = 8
    REMOVE = 16
    READ = 32


CHANGES = Kind.OPEN | Kind.WRITE | Kind.SYNC | Kind.RENAME | Kind.REMOVE
ALL = CHANGES | Kind.READ


def why_not() -> str:
    """Why there can be no such layer here; "" if there can."""
    if sys.platform != "linux":
        return "a process's calls are only replaced on Linux"
    return "" if shutil.which("cc") else "there is no C compiler"


def compiled(folder: Path) -> Path:
    """The layer as a library in `folder`."""
    library = folder / "layer.so"
    command = ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(command, check=True)
    return library


class Faults:
    """A page that all processes with `environment` share; while nothing is set, they run as always."""

    def __init__(self, page: Path) -> None:
        self.page = page
        if not page.exists():
            page.write_bytes(bytes(_FIELDS.size))
        with page.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FIELDS.size)

    def environment(self, library: Path) -> dict[str, str]:
        """What makes a process one of those."""
        return {**os.environ, "LD_PRELOAD": str(library), VARIABLE: str(self.page)}

    @contextmanager
    def failing(
        self, below: Path, error: int, first: int = 1, last: int = FOREVER, kinds: Kind = CHANGES
    ) -> Iterator[None]:
        """In the block the operations from `first` to `last` below a folder fail with this errno, or `KILL`."""
        self._write(first, last, kinds, error, below)
        try:
            yield
        finally:
            # The counts stay, for `hits`.
            self._map[:8] = bytes(8)

    @contextmanager
    def counting(self, below: Path, kinds: Kind = CHANGES) -> Iterator[None]:
        """In the block operations are counted and none fails."""
        with self.failing(below, KILL, FOREVER, FOREVER, kinds):
            yield

    def set_clock(self, ahead: int) -> None:
        """The wall clock of these processes is so many seconds ahead from now on; others keep their time."""
        self._map[48:56] = struct.pack("=q", ahead)

    @property
    def count(self) -> int:
        """Operations in the last block."""
        return int(_COUNTS.unpack_from(self._map, 32)[0])

    @property
    def error(self) -> int:
        """The errno of the last block."""
        return int(_COUNTS.unpack_from(self._map, 24)[0])

    @property
    def hits(self) -> int:
        """Of them failed."""
        return int(_COUNTS.unpack_from(self._map, 32)[1])

    def _write(self, first: int, last: int, kinds: Kind, error: int, below: Path) -> None:
        self._map[:8] = bytes(8)
        place = os.fsencode(below.resolve())
        shift = struct.unpack_from("=q", self._map, 48)[0]
        self._map[8:] = _FIELDS.pack(0, last, int(kinds), error, 0, 0, shift, place)[8:]
        self._map[:8] = struct.pack("=q", first)
