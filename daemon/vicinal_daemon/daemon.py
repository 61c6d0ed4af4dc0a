"""Everything that the daemon has open, and how it is opened and closed.

Owns the parts' lives and how they are joined: what a changed index means for adapters, what an answer means for metrics
and notes, what is done every few seconds. It does not know HTTP.
"""

import asyncio
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from vicinal_daemon import config, protocol
from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.background.warm import WarmTrainer
from vicinal_daemon.config import Settings
from vicinal_daemon.desk import Desk
from vicinal_daemon.desk.memories import Memories
from vicinal_daemon.disk import Disk
from vicinal_daemon.embedder import open_embedder
from vicinal_daemon.errors import error_type
from vicinal_daemon.events import Events
from vicinal_daemon.forget import Wanted, forget_learned
from vicinal_daemon.lifecycle.logs import engine_log
from vicinal_daemon.metrics import Metrics
from vicinal_daemon.models import ModelFiles, resolve
from vicinal_daemon.notes import Notes
from vicinal_daemon.protocol.state import (
    AdaptersState,
    AdapterState,
    DaemonState,
    Event,
    ForgottenState,
    QueueState,
    Trouble,
)
from vicinal_daemon.scheduler import Cancellation
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.worker.remembering import MOST_WORKSPACES
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer import __version__
from vicinal_indexer.errors import VicinalError

log = logging.getLogger(__name__)
TICK_SECONDS = 2.0
REOPEN_SECONDS = 2.0
"""That a daemon which begins waits for the disks of its repositories; they are opened behind then."""

WAITERS = 64
"""Threads that wait for an index, a lock or a file of ours: each request may need one."""


class Daemon:
    """All parts, on one event loop.

    Args:
        settings: those of the user; repositories add their own.
        address: tells where it is reached, for `status`.
        load_settings: of a repository.
    """

    def __init__(
        self, settings: Settings, address: Callable[[], str], load_settings: Callable[[Path], Settings] = config.load
    ) -> None:
        self.settings = settings
        self._address = address
        self.started = time.time()
        self.metrics = Metrics()
        data = settings.index.data_dir
        self.events = Events()
        self.store = AdapterStore(
            data / "adapters", settings.adapters.limit_mb * 1_000_000, settings.adapters.limit_count
        )
        self.notes = Notes(settings.feedback, data)
        self.disk = Disk()
        self.workspaces = Workspaces(
            load_settings, open_embedder, data, on_event=self.events.tell, on_changed=self._index_changed
        )
        self.accelerator = Accelerator(self._files, settings, engine_log(settings), self._engine_changed)
        self.memories = Memories(self.disk, self.workspaces, self.accelerator, MOST_WORKSPACES)
        self.desk = Desk(
            settings,
            self.disk,
            self.workspaces,
            self.accelerator,
            self.memories,
            self.store,
            self._answered,
            self.events.tell,
            self.notes.beliefs,
            self._failed,
        )
        self.warm = WarmTrainer(
            settings,
            self.disk,
            self.workspaces,
            self.accelerator,
            self.store,
            lambda: self.desk.last_asked,
            on_event=self.events.tell,
        )
        self.pulls: set[Cancellation] = set()
        """Of the models that are being fetched."""
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._warming: asyncio.Task[None] | None = None
        self._forgetting = asyncio.Lock()
        self._process = psutil.Process()

    async def open(self) -> None:
        """Open what can be opened at once; repositories and the model follow behind."""
        self._loop.set_default_executor(ThreadPoolExecutor(WAITERS, "work"))  # Python's own has a few
        await asyncio.to_thread(self.store.open)
        reopening = asyncio.ensure_future(self._reopen())
        await asyncio.wait([reopening], timeout=REOPEN_SECONDS)
        self.accelerator.start()
        self._tasks = [reopening, *map(asyncio.ensure_future, (self._housekeeping(), self.memories.run()))]
        self._warming = asyncio.ensure_future(self.warm.run())

    def begin_to_close(self) -> None:
        """Let go of everybody who waits or listens."""
        self.events.close()
        for cancellation in self.pulls:
            cancellation.withdraw()
        self.desk.requests.cancel_all()

    async def close(self) -> None:
        """Close everything in order; nothing that was stored is lost."""
        tasks = [*self._tasks, *([self._warming] if self._warming is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.begin_to_close()
        await self.desk.close()
        await self.accelerator.close()
        await asyncio.to_thread(self.workspaces.close)
        await asyncio.to_thread(self.notes.close)

    def state(self) -> DaemonState:
        """A snapshot; asks nobody who might be busy."""
        adapters = self.store.all()
        return DaemonState(
            vicinal=__version__,
            pid=os.getpid(),
            started=self.started,
            address=self._address(),
            memory_bytes=self._process.memory_info().rss,
            model=self.accelerator.state(),
            workspaces=[
                workspace.state().model_copy(
                    update={
                        "warm": self.warm.told(str(workspace.root)),
                        "remembered": self.memories.tokens(workspace),
                    }
                )
                for workspace in self.workspaces.all()
            ],
            queue=QueueState(
                waiting=self.accelerator.waiting(), running=self.accelerator.running, requests=len(self.desk.requests)
            ),
            adapters=len(adapters),
            adapter_bytes=sum(info.bytes for info in adapters),
            answers=list(self.desk.recent),
            problems=[Trouble.of(error) for error in (self.store.trouble, self.notes.trouble) if error is not None],
        )

    def adapters(self) -> AdaptersState:
        """All adapters."""
        found = [
            AdapterState(
                key=info.key,
                workspace=info.workspace,
                kind=info.kind,
                bytes=info.bytes,
                steps=info.steps,
                scale=info.scale,
                pinned=info.pinned,
                created=info.created,
                used=info.used,
                paths=sorted({pick.path for pick in info.picks}),
            )
            for info in self.store.all()
        ]
        return AdaptersState(
            adapters=found,
            bytes=sum(info.bytes for info in found),
            limit_bytes=self.store.limit_bytes,
            limit_count=self.store.limit_count,
        )

    def metrics_text(self) -> bytes:
        """All metrics."""
        state = self.state()
        return self.metrics.text(
            {
                "queue": {**state.queue.waiting, "requests": state.queue.requests},
                "memory_bytes": {"daemon": state.memory_bytes, "engine": state.model.memory_bytes},
                "workspaces": Counter(workspace.state for workspace in state.workspaces),
                "adapters": {"count": state.adapters, "bytes": state.adapter_bytes},
                "engine": {"restarts": state.model.restarts},
                "remembered": {"tokens": sum(workspace.remembered for workspace in state.workspaces)},
            }
        )

    def forget_adapters(self, keys: list[str]) -> None:
        """These adapters are gone; whoever remembers them must not. May be called from any thread."""
        if keys:
            self._loop.call_soon_threadsafe(self.desk.studies.forget, keys)
            self.events.tell(Event(name="adapter", detail=f"{len(keys)} expired"))
            log.info("%d adapters expired", len(keys))

    def _files(self) -> ModelFiles:
        return resolve(self.settings.model.name, self.settings.model.cache_dir)

    def _engine_changed(self) -> None:
        self.memories.wake()
        self.events.tell(Event(name="model", stage=self.accelerator.state().state))

    def _answered(self, answer: protocol.Answer) -> None:
        self.metrics.answered(answer)
        self.events.tell(Event(name="answer", workspace=answer.repository, detail=answer.adaptation.kind))
        self.notes.answered(answer)

    async def forget(self, wanted: Wanted) -> ForgottenState:
        """Forget files: on disk, and in the memory of this process and of the engine, which is started anew.

        What is under way is dropped, whatever it rests on: who would sort it while it runs?

        Raises:
            VicinalError: the index is another process's, or something cannot be deleted; try again.
        """
        root = str(wanted.root)
        async with self._forgetting:
            files = await asyncio.to_thread(self._forget_index, wanted)
            if self._warming is not None:
                self._warming.cancel()
                await asyncio.gather(self._warming, return_exceptions=True)
            try:
                await self.desk.forget()
                was_ready = self.accelerator.is_ready
                await self.accelerator.unload()
                self.warm.forget(root)
                learned = await self.notes.in_turn(lambda feedback: forget_learned(wanted, self.store, feedback))
                await self.notes.learn(root)
            finally:
                self._warming = asyncio.ensure_future(self.warm.run())
            self.forget_adapters(list(learned.adapters))
            self.memories.wake()
            if was_ready:
                self.accelerator.start()
        log.info("forgot %d files, %d adapters, %d answers", len(files), len(learned.adapters), learned.answers)
        return ForgottenState(
            root=root,
            files=list(files),
            adapters=len(learned.adapters),
            checkpoints=learned.checkpoints,
            answers=learned.answers,
        )

    def _forget_index(self, wanted: Wanted) -> tuple[str, ...]:
        if wanted.paths is not None:
            return self.workspaces.open(wanted.root).forget(wanted.paths)
        workspace = self.workspaces.get(wanted.root)
        index = workspace.at_hand if workspace is not None else None
        files = tuple(index.digests()) if index is not None else ()
        self.workspaces.remove(wanted.root)
        from vicinal_indexer.stored import erase  # late: it loads the database

        erase(wanted.root, self.settings.index.data_dir)
        return files

    async def opened(self, root: Path) -> Workspace:
        """See `Workspaces.open`.

        Raises:
            RepositoryUnreadable: its disk does not answer.
        """
        return await self.disk.look(str(root), lambda: self.workspaces.open(root))

    async def settings_of(self, workspace: Workspace | None) -> Settings:
        """Of a repository, as they are now; without one the user's.

        Raises:
            ConfigError: they are wrong.
            RepositoryUnreadable: its disk does not answer.
        """
        if workspace is None:
            return self.settings
        return await self.disk.look(str(workspace.root), lambda: workspace.settings)

    async def _reopen(self) -> None:
        async def one(root: Path) -> None:
            try:
                await self.disk.look(str(root), lambda: self.workspaces.reopen(root))
            except VicinalError as error:
                log.warning("%s is not opened: %s", root, error.message)

        await asyncio.gather(*map(one, await asyncio.to_thread(self.workspaces.remembered)))

    def _failed(self, error: VicinalError) -> None:
        self.metrics.dropped(error_type(type(error)))

    def _index_changed(self, workspace: Workspace) -> None:
        """A repository has changed: what was learned from code that is gone expires. Called from its thread."""
        self._loop.call_soon_threadsafe(self.memories.wake)
        root = str(workspace.root)
        paths = self.store.paths(root)
        index = workspace.at_hand
        if paths and index is not None:
            current = index.hashes(sorted(paths))
            self.forget_adapters(self.store.expire(root, current, workspace.last_settings.warm.refresh))

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self.accelerator.unload_if_idle(self.settings.engine.idle_minutes * 60)
                await asyncio.to_thread(self.workspaces.tend)
                self.memories.tend()
            except VicinalError as error:
                log.warning("housekeeping: %s", error.message)
