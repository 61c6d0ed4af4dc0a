"""The adapter store: what was learned, kept for the next request.

Owns one folder: which files stay, which give way, what is pinned, what has expired. Adapters are values, written by the
engine process through a temporary file; here they are only listed, by their headers, and deleted. Imports no torch. It
does not know how an adapter is made or worn. Safe to use from many threads. Processes that share a folder share its
pins; what else one adds or drops the others see when they next look.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vicinal_daemon.tune.adapter_file import (
    SUFFIX,
    AdapterInfo,
    ForeignFile,
    HeaderError,
    Pick,
    adapter_key,
    nearness,
    read_info,
)
from vicinal_daemon.tune.pins import Pins
from vicinal_indexer.atomic import private_folder
from vicinal_indexer.errors import StoreUnavailable, VicinalError

_OURS = re.compile(r"[0-9a-f]{32}\.safetensors")
_log = logging.getLogger(__name__)


class AdapterStore:
    """The adapters in one folder.

    Args:
        folder: made if absent; files in it that are not ours are left alone.
        limit_bytes, limit_count: of all adapters together. Pinned and warm ones count; tuned ones give way first, the
            least recently used of them before others, then warm ones; pinned ones never do.
        clock: seconds since the epoch. It may jump: the order of use is kept.

    Attributes:
        trouble: why the last adapter could not be kept; None once one is.
    """

    def __init__(
        self, folder: Path, limit_bytes: int, limit_count: int, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.limit_count = limit_count
        self._clock = clock
        self.trouble: VicinalError | None = None
        self._lock = threading.RLock()
        self._known: dict[str, AdapterInfo] = {}
        self._pins = Pins(folder)

    def open(self) -> list[str]:
        """List what is there: headers only. Removes what a killed writer left, and what does not fit the limits.

        Returns:
            The keys that gave way.

        Raises:
            StoreUnavailable: the folder cannot be read or written.
        """
        with self._lock, self._translated():
            private_folder(self.folder)
            pinned = self._pins.noted(self._own_pins())
            self._known.clear()
            for file in sorted(self.folder.iterdir()):
                if file.name.startswith(".") and file.name.endswith(".part"):
                    file.unlink(missing_ok=True)
                elif _OURS.fullmatch(file.name) and (info := _listed(file, pinned)) is not None:
                    self._known[info.key] = info
            return self._make_room()

    def path_for(self, key: str) -> Path:
        """Where the file of this key belongs; a temporary file next to it is named by `temporary_for`."""
        return self.folder / f"{key}{SUFFIX}"

    def add(self, info: AdapterInfo) -> list[str]:
        """Take in a file that was written to `path_for(info.key)`; it counts as used now.

        Returns:
            The keys that gave way; with everything else pinned it may be the new one.

        Raises:
            StoreUnavailable: there is no such file, or it is not whole.
            ValueError: its header tells of another adapter, or of another scale.
        """
        file = self.path_for(info.key)
        with self._lock:
            try:
                found = read_info(file)
            except (OSError, HeaderError, ForeignFile) as error:
                raise StoreUnavailable(
                    f"the adapter {file.name} was not written whole: {error}", hint="free some disk space"
                ) from error
            if (found.key, found.scale) != (info.key, info.scale):
                raise ValueError(f"the header of {file.name} tells of {found.key} at scale {found.scale}")
            self._known[info.key] = found
            self.trouble = None
            self.touch(info.key)
            if info.pinned:
                self._note(pinned=frozenset([info.key]))
            with self._translated():
                return self._make_room()

    def get(self, key: str) -> AdapterInfo | None:
        """The adapter of this key, if there is one and its file is still there."""
        with self._lock:
            info = self._known.get(key)
            if info is not None and not info.file.exists():
                del self._known[key]  # somebody tidied up by hand
                return None
            return info

    def all(self) -> tuple[AdapterInfo, ...]:
        """All adapters, the most recently used first."""
        with self._lock:
            return tuple(sorted(self._known.values(), key=lambda info: (-info.used, info.key)))

    @property
    def bytes(self) -> int:
        """The size of all of them."""
        with self._lock:
            return sum(info.bytes for info in self._known.values())

    def nearest(
        self, workspace: str, fingerprint: str, tuning: str, picks: Sequence[Pick], at_least: float
    ) -> tuple[AdapterInfo, float] | None:
        """The tuned adapter whose selection shares most with `picks`, and how much; None if that is too little.

        Args:
            at_least: in [0, 1].
        """
        with self._lock:
            near = [
                (nearness(info.picks, picks), info)
                for info in self.all()
                if info.kind == "tuned"
                and (info.workspace, info.fingerprint, info.tuning) == (workspace, fingerprint, tuning)
            ]
            for value, info in sorted(near, key=lambda pair: -pair[0]):  # stable: the more recently used comes first
                if value < at_least or value == 0:
                    break
                if self.get(info.key) is not None:
                    return info, value
            return None

    def warm(self, workspace: str, fingerprint: str) -> AdapterInfo | None:
        """The repository's own adapter, the newest if there are several."""
        with self._lock:
            own = [
                info
                for info in self._known.values()
                if info.kind == "warm" and (info.workspace, info.fingerprint) == (workspace, fingerprint)
            ]
            newest = max(own, key=lambda info: (info.created, info.key), default=None)
            return self.get(newest.key) if newest is not None else None

    def touch(self, key: str) -> None:
        """It was used now. Survives a restart."""
        with self._lock:
            info = self._known.get(key)
            if info is None:
                return
            newest = max((other.used for other in self._known.values() if other.key != key), default=0.0)
            used = max(self._clock(), newest + 0.001, info.used)
            self._known[key] = replace(info, used=used)
            try:
                os.utime(info.file, ns=(int(used * 1e9), int(used * 1e9)))
            except OSError as error:  # an order that a restart forgets is no reason to fail a request
                _log.warning("the use of %s is not noted: %s", info.file.name, error)

    def pin(self, key: str) -> bool:
        """Spare it when space is needed; whether there is such an adapter.

        Raises:
            StoreUnavailable: the folder cannot be written.
        """
        return self._set_pin(key, pinned=True)

    def unpin(self, key: str) -> bool:
        """The opposite of `pin`."""
        return self._set_pin(key, pinned=False)

    def _set_pin(self, key: str, *, pinned: bool) -> bool:
        with self._lock:
            if self.get(key) is None:
                return False
            if pinned:
                self._note(pinned=frozenset([key]))
            else:
                self._note(unpinned=frozenset([key]))
            return True

    def drop(self, key: str) -> bool:
        """Delete it, pinned or not; whether it was there.

        Raises:
            StoreUnavailable: the file cannot be deleted; it is not used again all the same, until a restart.
        """
        with self._lock, self._translated():
            return bool(self._remove([key]))

    def paths(self, workspace: str) -> frozenset[str]:
        """The files that adapters of this workspace rest on: what `expire` wants to know about."""
        with self._lock:
            return frozenset(pick.path for info in self._of(workspace) for pick in info.picks)

    def expire(self, workspace: str, current: Mapping[str, frozenset[str]], warm_tolerance: float = 0.0) -> list[str]:
        """Drop adapters that rest on code that is no longer there, pinned or not; returns their keys.

        Args:
            current: the content hashes of the chunks of each file now, for `paths(workspace)` at least.
            warm_tolerance: the share of its picks, in [0, 1], that may have changed before a warm adapter goes. It goes
                at once if a file has left the index: what is ignored or secret is in no adapter.

        Raises:
            StoreUnavailable: a file cannot be deleted; none of them is used again all the same, until a restart.
        """
        with self._lock, self._translated():
            return self._remove(
                [
                    info.key
                    for info in self._of(workspace)
                    if _is_outdated(info, current, warm_tolerance if info.kind == "warm" else 0.0)
                ]
            )

    def forget(self, workspace: str, is_forgotten: Callable[[str], bool]) -> list[str]:
        """Drop the adapters that rest on a forgotten file, pinned or not, listed or not; returns their keys.

        One that started from another adapter goes too: what that one had studied is not noted, and may be gone.

        Args:
            is_forgotten: of a path in the workspace.

        Raises:
            StoreUnavailable: a file cannot be deleted.
        """
        with self._lock, self._translated():
            self.open()  # a writer that was cut off may have left one that nobody has listed
            return self._remove(
                [
                    info.key
                    for info in self._of(workspace)
                    if any(is_forgotten(pick.path) for pick in info.picks) or not _is_from_base(info)
                ]
            )

    def _of(self, workspace: str) -> Iterator[AdapterInfo]:
        return (info for info in self._known.values() if info.workspace == workspace)

    def _make_room(self) -> list[str]:
        """Remove the least recently used until the rest fits."""
        if len(self._known) <= self.limit_count and self.bytes <= self.limit_bytes:
            return []
        self._take_over(self._pins.noted(self._own_pins()))
        order = sorted(
            (info for info in self._known.values() if not info.pinned),
            key=lambda info: (info.kind == "warm", info.used, info.key),
        )
        count, size = len(self._known), self.bytes
        leaving = []
        for info in order:
            if count <= self.limit_count and size <= self.limit_bytes:
                break
            leaving.append(info.key)
            count, size = count - 1, size - info.bytes
        return self._remove(leaving)

    def _remove(self, keys: Sequence[str]) -> list[str]:
        gone = [self._known.pop(key) for key in keys if key in self._known]
        failures = []
        for info in gone:
            try:
                info.file.unlink(missing_ok=True)
            except OSError as error:
                failures.append(error)
        if any(info.pinned for info in gone):
            self._note(unpinned=frozenset(info.key for info in gone))
        if failures:
            raise failures[0]
        return [info.key for info in gone]

    def _own_pins(self) -> frozenset[str]:
        return frozenset(info.key for info in self._known.values() if info.pinned)

    def _note(self, pinned: frozenset[str] = frozenset(), unpinned: frozenset[str] = frozenset()) -> None:
        with self._translated():
            self._take_over(self._pins.change(self._own_pins(), pinned, unpinned))

    def _take_over(self, pins: frozenset[str]) -> None:
        self._known = {key: replace(info, pinned=key in pins) for key, info in self._known.items()}

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreUnavailable(
                f"the adapters in {self.folder} cannot be read or written: {error}",
                hint="free some disk space or mend the permissions, or set index.data_dir to another folder",
            ) from error


def temporary_for(file: Path) -> Path:
    """Where a writer lays a file before it renames it; what is left of a killed one is removed by `open`."""
    return file.with_name(f".{file.name}.{os.getpid()}.part")


def _listed(file: Path, pinned: frozenset[str]) -> AdapterInfo | None:
    """What a file of ours tells; one that is not whole is deleted."""
    try:
        info = read_info(file, pinned)
        if info.key != file.name.removesuffix(SUFFIX):
            raise HeaderError("it tells of another key")
    except FileNotFoundError:
        return None
    except ForeignFile:
        _log.warning("%s is none of ours, and is left alone", file)
        return None
    except HeaderError as error:
        _log.warning("the adapter %s is damaged and dropped: %s", file.name, error)
        file.unlink(missing_ok=True)
        return None
    return info


def _is_from_base(info: AdapterInfo) -> bool:
    return info.key == adapter_key(info.workspace, info.fingerprint, info.tuning, info.picks)


def _is_outdated(info: AdapterInfo, current: Mapping[str, frozenset[str]], tolerance: float) -> bool:
    if any(not current.get(pick.path) for pick in info.picks):
        return True
    changed = sum(pick.content_hash not in current[pick.path] for pick in info.picks)
    return changed > tolerance * len(info.picks)
