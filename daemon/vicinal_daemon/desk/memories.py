"""The engine's memory of repositories, kept as fresh as their indexes.

Owns which files' texts the engine has, and sends it what is new, slice by slice, behind everything that is waited for.
It does not know what the engine does with them; no answer waits for it.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.disk import Disk
from vicinal_daemon.generate.remembered import MOST_CHARACTERS
from vicinal_daemon.scheduler import Priority
from vicinal_daemon.worker.messages import Memorised, Remember
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer.errors import VicinalError

if TYPE_CHECKING:
    from vicinal_indexer.index import RepositoryIndex

log = logging.getLogger(__name__)

SLICE_CHARACTERS = 400_000
"""Of the texts that are sent at once: they are tokenised in a fraction of a second, and a request waits no longer."""


@dataclass(frozen=True, slots=True)
class _File:
    """What the engine has of a file: the digest of its text in the index, and how many characters were sent."""

    digest: str
    characters: int


@dataclass(slots=True, eq=False)
class _Held:
    """What the engine has of a repository.

    Attributes:
        files: by path.
        settled: the state of the index of which it has everything, None if there is none.
    """

    files: dict[str, _File] = field(default_factory=dict)
    tokens: int = 0
    settled: object = None


class Memories:
    """Keeps the engine's memory; one for the daemon, on its event loop.

    Args:
        most: repositories that the engine has; more are sent only where somebody completes.
    """

    def __init__(self, disk: Disk, workspaces: Workspaces, accelerator: Accelerator, most: int) -> None:
        self._disk = disk
        self._workspaces = workspaces
        self._accelerator = accelerator
        self._most = most
        self._awake = asyncio.Event()
        self._idle = asyncio.Event()
        self._generation = 0
        self._held: dict[str, _Held] = {}  # by root, of that generation
        self._asked: set[str] = set()

    def wake(self) -> None:
        """An index or the engine may have changed."""
        self._idle.clear()
        self._awake.set()

    def use(self, workspace: Workspace) -> None:
        """Somebody completes in this repository: should the engine have nothing of it, another one gives way."""
        root = str(workspace.root)
        if root not in self._current():
            self._asked.add(root)
            self.wake()

    def tend(self) -> None:
        """Notice what was closed. For a timer."""
        if self._current().keys() - self._open():
            self.wake()

    def tokens(self, workspace: Workspace) -> int:
        """How many tokens the engine remembers of a repository."""
        held = self._current().get(str(workspace.root))
        return held.tokens if held is not None else 0

    async def settled(self) -> None:
        """Wait until the engine has everything that it can have now."""
        await self._idle.wait()

    async def run(self) -> None:
        """Bring the engine what it lacks whenever something has changed; until cancelled."""
        while True:
            if not self._awake.is_set():
                self._idle.set()
            await self._awake.wait()
            self._awake.clear()
            for workspace in self._workspaces.all():
                try:
                    await self._bring(workspace)
                except VicinalError as error:  # what failed is tried again when something changes
                    log.warning("the memory of %s: %s", workspace.root, error.message)
                except Exception:
                    log.exception("the memory of %s", workspace.root)
            await self._drop_closed()

    def _open(self) -> set[str]:
        return {str(workspace.root) for workspace in self._workspaces.all()}

    def _current(self) -> dict[str, _Held]:
        """What the engine process of now has: a new one has nothing."""
        if self._generation != self._accelerator.generation:
            self._generation = self._accelerator.generation
            self._held = {}
        return self._held

    async def _bring(self, workspace: Workspace) -> None:
        root, index, revision = str(workspace.root), workspace.at_hand, workspace.revision
        if index is None or revision is None or not self._accelerator.is_ready:
            return
        held = self._current()
        if root not in held and root not in self._asked and len(held) >= self._most:
            return
        enabled = (await self._disk.look(root, lambda: workspace.settings)).memory.enabled
        known = self._current().get(root, _Held())
        if known.settled == (revision, enabled):
            return
        self._asked.discard(root)
        wanted = await asyncio.to_thread(index.digests) if enabled else {}
        changed = [
            path for path, digest in wanted.items() if path not in known.files or known.files[path].digest != digest
        ]
        if not await self._send(root, known, {}, sorted(known.files.keys() - wanted.keys())):
            return
        while changed:
            sizes = {path: file.characters for path, file in known.files.items()}
            texts, changed = await asyncio.to_thread(_next_slice, index, changed, sizes)
            replaced = {path: (text, wanted[path]) for path, text in texts.items() if text is not None}
            dropped = [path for path, text in texts.items() if text is None and path in known.files]
            if not await self._send(root, known, replaced, dropped):
                return
        known.settled = revision, enabled

    async def _send(
        self, root: str, known: _Held, replaced: Mapping[str, tuple[str, str]], dropped: Sequence[str]
    ) -> bool:
        """Send (text, digest) by path; whether the engine still is the one that has the rest, and wants more."""
        if not replaced and not dropped:
            return True
        if not self._accelerator.still_knows(self._generation):
            return False
        unit = Remember(root, tuple((path, text) for path, (text, _) in replaced.items()), tuple(dropped))
        before = self._generation
        try:
            said = await self._accelerator.do(unit, Priority.SPECULATE, Memorised)
        except VicinalError:
            self._current().pop(root, None)  # the engine that fails to remember has forgotten all of it
            raise
        held = self._current()
        is_same = before == self._generation
        if not is_same:  # it was started again while this waited, and has only what has just been sent
            known = _Held()
            self.wake()
        for path in dropped:
            known.files.pop(path, None)
        known.files |= {path: _File(digest, len(text)) for path, (text, digest) in replaced.items()}
        known.tokens = said.tokens
        held[root] = known
        for name in held.keys() - set(said.workspaces):
            del held[name]
        return is_same and (root in held or not known.files)

    async def _drop_closed(self) -> None:
        """What is closed is not watched any more: nothing of it may stay."""
        self._asked &= self._open()
        for root in self._current().keys() - self._open():
            known = self._held[root]
            try:
                await self._send(root, known, {}, sorted(known.files))
            except VicinalError as error:
                log.warning("the memory of %s: %s", root, error.message)


def _next_slice(
    index: "RepositoryIndex", paths: Sequence[str], sizes: Mapping[str, int]
) -> tuple[dict[str, str | None], list[str]]:
    """The texts of the first of `paths`, and the paths that are left.

    None stands for a text that must not or cannot be read, and for all from the first on for which there is no room.

    Args:
        sizes: characters of what the engine has, by path; one of `paths` makes room for its new text.
    """
    texts: dict[str, str | None] = {}
    sent, room = 0, MOST_CHARACTERS - sum(sizes.values())
    for number, path in enumerate(paths):
        if sent >= SLICE_CHARACTERS:
            return texts, list(paths[number:])
        text = index.source(path)
        size = len(text or "")
        room += sizes.get(path, 0) - size
        if room < 0:
            return texts | dict.fromkeys(paths[number:]), []
        texts[path] = text
        sent += size
    return texts, []
