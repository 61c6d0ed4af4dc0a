"""Which repositories were open lately, on disk.

Owns one small JSON file. It is a convenience: if it cannot be read or written, that is logged, and nothing else.
"""

import json
import logging
import threading
from pathlib import Path

from vicinal_indexer.atomic import replace_text

_log = logging.getLogger(__name__)


class Memory:
    """Roots and when they were last used, in seconds since the epoch."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._used = self._read()

    def used(self) -> dict[Path, float]:
        """When each was used."""
        with self._lock:
            return {Path(root): used for root, used in self._used.items()}

    def note(self, root: Path, used: float) -> None:
        """It was used at `used`."""
        with self._lock:
            self._used[str(root)] = used
            self._write()

    def forget(self, root: Path) -> None:
        """It is not wanted any more."""
        with self._lock:
            self._used.pop(str(root), None)
            self._write()

    def _read(self) -> dict[str, float]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
            return {str(root): float(used) for root, used in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            _log.warning("%s cannot be read and is begun anew: %s", self._file, error)
            return {}

    def _write(self) -> None:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_text(self._file, json.dumps(self._used, indent=1))
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._file, error)
