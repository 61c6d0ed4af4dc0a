"""The warm adapter: one for each repository, trained while the machine has nothing better to do.

Owns when it is trained, when it pauses, when it is trained anew, and that no checkpoint outlives the code that it rests
on. What it studies is `choose`'s matter, how a run goes `run`'s, the order of work on the accelerator the scheduler's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.background.lesson import (
    Lesson,
    changed_share,
    courses,
    current_hashes,
    plan_lesson,
    tuning_digest,
)
from vicinal_daemon.background.run import WarmRun
from vicinal_daemon.config import Settings
from vicinal_daemon.disk import Disk
from vicinal_daemon.errors import GaveWay
from vicinal_daemon.machine import MachineSignals, may_work_in_background, signals
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.protocol.state import Event
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.checkpoints import Checkpoints
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer.errors import RepositoryUnreadable, VicinalError

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 600.0, 86_400.0
"""After a failure, doubled with each further one: what fails again and again must not keep the engine awake."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What training came to, for which model, settings and code. It stands until enough of the code has changed."""

    fingerprint: str
    tuning: str
    picks: tuple[Pick, ...]
    words: str


class WarmTrainer:
    """Trains warm adapters, one at a time.

    Args:
        asked: when somebody last asked the daemon for anything, by `time.monotonic`.
        on_event: told of progress.
        ask_machine: for its signals; called in threads.
    """

    def __init__(
        self,
        settings: Settings,
        disk: Disk,
        workspaces: Workspaces,
        accelerator: Accelerator,
        store: AdapterStore,
        asked: Callable[[], float],
        on_event: Callable[[Event], None] = lambda event: None,
        ask_machine: Callable[[], MachineSignals] = signals,
    ) -> None:
        self._settings = settings
        self._disk = disk
        self._workspaces = workspaces
        self._accelerator = accelerator
        self._store = store
        self._asked = asked
        self._on_event = on_event
        self._ask_machine = ask_machine
        self._checkpoints = Checkpoints(store.folder / "checkpoints")
        self._run: WarmRun | None = None  # begun; may be paused
        self._told: dict[str, str] = {}
        self._outcomes: dict[str, _Outcome] = {}
        self._settled: dict[str, object] = {}
        self._kept: dict[str, object] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def told(self, root: str) -> str:
        """What there is to say of a repository's warm adapter."""
        return self._told.get(root, "")

    def forget(self, root: str) -> None:
        """Know nothing more of a repository, nor of a run; it does not run meanwhile, nor does the engine."""
        self._run = None
        for known in (self._told, self._outcomes, self._settled, self._kept, self._failures, self._not_before):
            known.pop(root, None)

    async def run(self) -> None:
        """Train what needs it, whenever the machine is idle; until cancelled, when what was learned is saved."""
        try:
            while True:
                await self._look_around()
                await asyncio.sleep(TICK_SECONDS)
        finally:
            if self._run is not None:
                with suppress(VicinalError):
                    await self._run.save()
                await self._run.drop()

    async def _look_around(self) -> None:
        open_now = {str(workspace.root): workspace for workspace in self._workspaces.all()}
        try:
            await self._forget_what_has_gone(open_now)
        except VicinalError as error:
            log.warning("checkpoints: %s", error.message)
        for root, workspace in open_now.items():
            try:
                if workspace.state().state == "ready" and time.monotonic() >= self._not_before.get(root, 0.0):
                    await self._keep_warm(workspace)
            except VicinalError as error:
                await self._failed(root, error.message)
                log.warning("the warm adapter of %s: %s", root, error.message)
            except Exception as error:
                await self._failed(root, repr(error))
                log.exception("the warm adapter of %s", root)

    async def _failed(self, root: str, why: str) -> None:
        failures = self._failures[root] = self._failures.get(root, 0) + 1
        pause = min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2 ** min(failures - 1, 16))
        self._not_before[root] = time.monotonic() + pause
        self._tell(root, f"failed: {why}")
        await self._end_run()

    async def _forget_what_has_gone(self, open_now: Mapping[str, Workspace]) -> None:
        """Delete checkpoints that rest on code which is not there any more, ignored or secret; idle or not."""
        for root in await asyncio.to_thread(self._checkpoints.workspaces):
            workspace = open_now.get(root)
            try:
                gone = not await self._disk.look(root, Path(root).is_dir)
            except RepositoryUnreadable:
                continue  # it may be there
            if workspace is not None and not gone:
                revision = workspace.revision
                if workspace.state().state != "ready" or self._kept.get(root) == revision:
                    continue
                found = await asyncio.to_thread(self._checkpoints.load, root)
                gone = found is None or await asyncio.to_thread(changed_share, workspace, found.picks) > 0
                self._kept[root] = revision
            if gone:
                await asyncio.to_thread(self._checkpoints.clear, root)
                self._settled.pop(root, None)
                if self._run is not None and self._run.lesson.info.workspace == root:
                    await self._end_run()

    async def _why_not(self) -> str:
        """Why nothing is trained now, in words; empty if it is."""
        if time.monotonic() - self._asked() < self._settings.warm.idle_seconds:
            return "somebody is at work"
        now = await asyncio.to_thread(self._ask_machine)
        return may_work_in_background(now, on_battery_allowed=self._settings.warm.on_battery)

    async def _keep_warm(self, workspace: Workspace) -> None:
        root, revision = str(workspace.root), workspace.revision
        settings = await self._disk.look(root, lambda: workspace.settings)
        if settings.warm.steps == 0:
            return
        files = await self._accelerator.files()
        tuning = tuning_digest(settings)
        stamp = (revision, files.fingerprint, tuning, settings.warm.refresh)
        if self._settled.get(root) == stamp:
            return
        why = await self._why_not()
        outcome = self._outcome(root, files)
        if why and self.told(root):
            self._pause(root, why)  # whether anything is to be done will be seen when it can be done
            return
        taken, known = "", {tuning_digest(course) for course in courses(settings)}
        if outcome is not None and outcome.fingerprint == files.fingerprint and outcome.tuning in known:
            changed = await asyncio.to_thread(changed_share, workspace, outcome.picks)
            taken = outcome.tuning if changed < settings.warm.refresh else ""
            if taken == tuning:
                self._settled[root] = stamp
                self._tell(root, outcome.words + (f"; {changed:.0%} of its code has changed" if changed else ""))
                return
        if why:
            self._pause(root, why)
            return
        lesson = await asyncio.to_thread(
            plan_lesson, workspace, settings, files, self._store, self._checkpoints, taken=taken
        )
        if lesson is None:
            self._settled[root] = stamp
            self._tell(root, "too little code")
            return
        await self._train(workspace, lesson)

    def _outcome(self, root: str, files: ModelFiles) -> _Outcome | None:
        """Of this life if there was one: what was deleted by hand or gave way to others is not made again at once."""
        there = self._store.warm(root, files.fingerprint)
        if root not in self._outcomes and there is not None:
            self._outcomes[root] = _Outcome(there.fingerprint, there.tuning, there.picks, _words(there))
        return self._outcomes.get(root)

    async def _train(self, workspace: Workspace, lesson: Lesson) -> None:
        """Take the steps that are left, then let the held-out code judge; returns early when it must pause."""
        root, picks = str(workspace.root), lesson.info.picks
        run = self._run
        if run is None or run.lesson.info.key != lesson.info.key or not run.is_alive:
            await self._end_run()
            run = self._run = WarmRun(lesson, self._accelerator, self._checkpoints)
            await run.begin()
        revision: object = None
        while True:
            if workspace.revision != revision:
                revision = workspace.revision
                if await asyncio.to_thread(changed_share, workspace, picks) >= lesson.settings.warm.refresh:
                    await self._end_run()
                    await asyncio.to_thread(self._checkpoints.clear, root)
                    return
            if why := await self._why_not():
                await run.save()
                self._pause(root, why)
                return
            if not run.is_alive:
                return  # it goes on from its checkpoint
            with suppress(GaveWay):  # whether and when it goes on is asked above
                if run.done >= run.steps:
                    judged = await run.judge()
                    break
                await run.step()
                self._tell(root, f"training, {run.done} of {run.steps} steps", run.done, run.steps)
        await self._take_in(workspace, judged)
        await self._end_run()
        await asyncio.to_thread(self._checkpoints.clear, root)

    async def _take_in(self, workspace: Workspace, info: AdapterInfo) -> None:
        """Put it into the older one's place, if it is of use."""
        root = info.workspace
        self._failures.pop(root, None)
        words = f"{info.steps} steps did not help on held-out code; dropped"
        if info.scale > 0:
            older = [i for i in self._store.all() if (i.workspace, i.kind) == (root, "warm") and i.key != info.key]
            left = self._store.add(info)
            words = "gave way to other adapters" if info.key in left else _words(info)
            for other in older:
                self._store.drop(other.key)
            current = await asyncio.to_thread(current_hashes, workspace, info.picks)
            self._store.expire(root, current, workspace.last_settings.warm.refresh)  # it has changed meanwhile
        self._outcomes[root] = _Outcome(info.fingerprint, info.tuning, info.picks, words)
        self._tell(root, words)

    async def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            await run.drop()

    def _pause(self, root: str, why: str) -> None:
        run = self._run
        if run is not None and run.lesson.info.workspace == root:
            self._tell(root, f"{run.done} of {run.steps} steps; waits: {why}", run.done, run.steps)
        elif not self.told(root):
            self._tell(root, f"waits: {why}")

    def _tell(self, root: str, words: str, done: int = 0, total: int = 0) -> None:
        if self._told.get(root) != words:
            self._told[root] = words
            self._on_event(Event(name="adapter", workspace=root, stage="warm", done=done, total=total, detail=words))


def _words(info: AdapterInfo) -> str:
    return f"{info.steps} steps, worn at {info.scale:.0%}"
