"""The seal of a store: what every file of its tables was when the last write was finished.

Owns the seal's file, and what is compared with it when. It does not know what is in the files.
"""

import json
from hashlib import file_digest
from pathlib import Path

from vicinal_indexer.atomic import replace_text
from vicinal_indexer.errors import StoreDamaged

HASHED_BYTES = 512_000_000
"""A larger store is checked by its files' sizes and times when it is opened; hashing it would take seconds."""

_CHANGED = "the index's files are not what was written"
_Print = tuple[int, int, str]


class Seal:
    """Of the store in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "seal.json"
        self._hashed: dict[str, _Print] = {}

    @property
    def is_there(self) -> bool:
        """Whether the last write was finished."""
        return self._file.exists()

    def set(self) -> None:
        """Note what every file is now."""
        self._hashed = self._prints(self._hashed)
        replace_text(self._file, json.dumps(self._hashed))

    def lift(self) -> None:
        """Take it off: something is about to be written."""
        self._file.unlink(missing_ok=True)

    def check(self) -> None:
        """Compare the files with it, those of a large store by size and time only; nothing if there is no seal.

        Raises:
            StoreDamaged: they are not what was written.
        """
        if not self.is_there:
            return
        sealed = json.loads(self._file.read_text(encoding="utf-8"))
        if not isinstance(sealed, dict):
            raise StoreDamaged("the index's seal is not one of ours")
        trusted = sealed if sum(size for size, _, _ in sealed.values()) > HASHED_BYTES else {}
        found = self._prints(trusted)
        if {path: (size, checksum) for path, (size, _, checksum) in found.items()} != {
            path: (size, checksum) for path, (size, _, checksum) in sealed.items()
        }:
            raise StoreDamaged(_CHANGED)
        self._hashed = found

    def verify(self) -> None:
        """Compare every byte with it, however large the store is; it was checked before.

        Raises:
            StoreDamaged: the files are not what was written.
        """
        if self.is_there and self._prints({}) != self._hashed:
            raise StoreDamaged(_CHANGED)

    def _prints(self, known: dict[str, _Print]) -> dict[str, _Print]:
        """(size, modification time, hash) of every file of the tables; the hash of a known, untouched file is taken
        over, since lance never writes into a file again."""
        found: dict[str, _Print] = {}
        for path in sorted(path for path in (self._folder / "tables").rglob("*") if path.is_file()):
            name = path.relative_to(self._folder).as_posix()
            info = path.stat()
            size, mtime, checksum = known.get(name, (0, 0, ""))
            if (size, mtime) != (info.st_size, info.st_mtime_ns):
                with path.open("rb") as file:
                    checksum = file_digest(file, "blake2b").hexdigest()
            found[name] = (info.st_size, info.st_mtime_ns, checksum)
        return found
