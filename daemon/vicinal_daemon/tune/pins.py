"""The list of pinned adapters: one file, of all processes that share a folder.

Owns the file and whose turn it is to change it. It does not know adapters beyond their keys, nor what being pinned
means.
"""

import json
import logging
from pathlib import Path

from filelock import FileLock

from vicinal_indexer.atomic import replace_text

_PINS = "pins.json"
_LOCK = ".pins.lock"
LOCK_SECONDS = 10.0
"""That the list is waited for: whoever holds it writes one small file."""
_NONE: frozenset[str] = frozenset()
_log = logging.getLogger(__name__)


class Pins:
    """The list in one folder.

    Raises:
        OSError: the folder cannot be read or written, or somebody holds the list for too long; of each method.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / _PINS
        self._lock = folder / _LOCK

    def noted(self, own: frozenset[str]) -> frozenset[str]:
        """The keys in the list; `own`, which the caller knows of, where there is none that can be read."""
        try:
            pins = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return own
        except ValueError as error:
            _log.warning("the list of pinned adapters cannot be read and is begun anew: %s", error)
            return own
        return frozenset(str(key) for key in pins) if isinstance(pins, list) else own

    def change(
        self, own: frozenset[str], pinned: frozenset[str] = _NONE, unpinned: frozenset[str] = _NONE
    ) -> frozenset[str]:
        """Add keys to the list and take some out, and leave in it what others have noted; the list as it is then."""
        with FileLock(self._lock, timeout=LOCK_SECONDS):
            pins = (self.noted(own) | pinned) - unpinned
            replace_text(self._file, json.dumps(sorted(pins)))
        return pins
