"""The warm adapter: one for each repository, trained while the machine has nothing better to do.

Owns when it is trained, when it pauses, when it is trained anew, and that no checkpoint outlives the code that it rests
on. What it studies is `choose`'s matter, how a run goes `run`'s, the order of work on the accelerator the scheduler's.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.background.choose import warm_order
from vicinal_daemon.background.run import Lesson, WarmRun, tuning_digest, warm_key
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.machine import MachineSignals, may_work_in_background, signals
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.protocol.state import Event
from vicinal_daemon.scheduler import Cancellation
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.worker.messages import Code
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer.errors import VicinalError
from vicinal_indexer.types import Candidate

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
JUDGING_TICK_SECONDS = 0.1
"""So often it is asked, while the guard works, whether somebody wants the accelerator."""

SAMPLE = 512
"""Chunks of the repository that are looked at."""

FEWEST_CHUNKS = 16
"""A repository with fewer has nothing to teach that a request would not find."""

RETRY_SECONDS, LONGEST_RETRY_SECONDS = 600.0, 86_400.0
"""After a failure, doubled with each further one: what fails again and again must not keep the engine awake."""

OPEN_SECONDS = 10.0


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
        workspaces: Workspaces,
        accelerator: Accelerator,
        store: AdapterStore,
        asked: Callable[[], float],
        on_event: Callable[[Event], None] = lambda event: None,
        ask_machine: Callable[[], MachineSignals] = signals,
    ) -> None:
        self._settings = settings
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
                    self._failures.pop(root, None)
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
            gone = not await asyncio.to_thread(Path(root).is_dir)
            if workspace is not None and not gone:
                revision = workspace.revision
                if workspace.state().state != "ready" or self._kept.get(root) == revision:
                    continue
                found = await asyncio.to_thread(self._checkpoints.load, root)
                gone = found is None or await asyncio.to_thread(_changed, workspace, found.picks) > 0
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
        root, settings, revision = str(workspace.root), workspace.settings, workspace.revision
        if settings.warm.steps == 0:
            return
        files = await asyncio.to_thread(self._accelerator.find)
        tuning = tuning_digest(settings)
        stamp = (revision, files.fingerprint, tuning, settings.warm.refresh)
        if self._settled.get(root) == stamp:
            return
        outcome = self._outcome(root, files)
        if outcome is not None and (outcome.fingerprint, outcome.tuning) == (files.fingerprint, tuning):
            changed = await asyncio.to_thread(_changed, workspace, outcome.picks)
            if changed < settings.warm.refresh:
                self._settled[root] = stamp
                self._tell(root, outcome.words + (f"; {changed:.0%} of its code has changed" if changed else ""))
                return
        if why := await self._why_not():
            self._pause(root, why)
            return
        lesson = await self._lesson(workspace, settings, files)
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

    async def _lesson(self, workspace: Workspace, settings: Settings, files: ModelFiles) -> Lesson | None:
        """What there is to study: what a checkpoint was studying if all of that is still there, else a new choice.

        A refreshed adapter does not start from the old one: what that has learned of code which is gone must go too.
        """
        root, tuning = str(workspace.root), tuning_digest(settings)
        index = await asyncio.to_thread(workspace.index, OPEN_SECONDS)
        candidates = await asyncio.to_thread(index.sample, SAMPLE, settings.seed)
        if len(candidates) < FEWEST_CHUNKS:
            return None
        order = await asyncio.to_thread(warm_order, candidates, settings.warm.steps, settings.seed)
        found = await asyncio.to_thread(self._checkpoints.load, root)
        by_place = {(c.chunk.path, c.chunk.content_hash): c for c in candidates}
        if found is not None and (
            (found.fingerprint, found.tuning) != (files.fingerprint, tuning)
            or not all((pick.path, pick.content_hash) in by_place for pick in found.picks)
        ):
            await asyncio.to_thread(self._checkpoints.clear, root)
            found = None
        if found is not None:
            picks, studied = found.picks, tuple(by_place[p.path, p.content_hash] for p in found.picks)
        else:
            pairs = zip(order.picks, order.shares, strict=True)
            picks = tuple(Pick(c.chunk.path, c.chunk.content_hash, share) for c, share in pairs)
            studied = order.picks
        known = {pick.content_hash for pick in picks}
        key = warm_key(root, files.fingerprint, tuning, picks)
        info = AdapterInfo(
            key=key,
            workspace=root,
            kind="warm",
            picks=picks,
            fingerprint=files.fingerprint,
            tuning=tuning,
            steps=0,
            scale=1.0,
            bytes=0,
            created=0.0,
            used=0.0,
            pinned=False,
            file=self._store.path_for(key),
        )
        held_out = _codes([c for c in order.held_out if c.chunk.content_hash not in known])
        return Lesson(info, _codes(studied), held_out, settings, found)

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
                if await asyncio.to_thread(_changed, workspace, picks) >= lesson.settings.warm.refresh:
                    await self._end_run()
                    await asyncio.to_thread(self._checkpoints.clear, root)
                    return
            if why := await self._why_not():
                await run.save()
                self._pause(root, why)
                return
            if not run.is_alive:
                return  # it goes on from its checkpoint
            if run.done >= run.steps:
                break
            await run.step()
            self._tell(root, f"training, {run.done} of {run.steps} steps", run.done, run.steps)
        judged = await self._judged(run)
        if judged is not None:
            await self._take_in(workspace, judged)
            await self._end_run()
            await asyncio.to_thread(self._checkpoints.clear, root)

    async def _judged(self, run: WarmRun) -> AdapterInfo | None:
        """The adapter with the scale that the guard keeps; None if somebody wanted the accelerator meanwhile."""
        cancellation, asked = Cancellation(), self._asked()
        judging = asyncio.ensure_future(run.judge(cancellation))
        try:
            while not judging.done():
                await asyncio.wait({judging}, timeout=JUDGING_TICK_SECONDS)
                if self._asked() > asked:
                    cancellation.cancel(Withdrawn("somebody asks for something"))
            return (await judging)[0]
        except Withdrawn:
            return None
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)

    async def _take_in(self, workspace: Workspace, info: AdapterInfo) -> None:
        """Put it into the older one's place, if it is of use."""
        root = info.workspace
        words = f"{info.steps} steps did not help on held-out code; dropped"
        if info.scale > 0:
            older = [i for i in self._store.all() if (i.workspace, i.kind) == (root, "warm") and i.key != info.key]
            left = self._store.add(info)
            words = "gave way to other adapters" if info.key in left else _words(info)
            for other in older:
                self._store.drop(other.key)
            current = await asyncio.to_thread(_current, workspace, info.picks)
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
    return f"{info.steps} steps, {info.scale:.0%} kept"


def _codes(candidates: Sequence[Candidate]) -> tuple[Code, ...]:
    return tuple(Code(c.chunk.path, c.chunk.language, c.chunk.text) for c in candidates)


def _current(workspace: Workspace, picks: Sequence[Pick]) -> dict[str, frozenset[str]]:
    return workspace.index(OPEN_SECONDS).hashes(sorted({pick.path for pick in picks}))


def _changed(workspace: Workspace, picks: Sequence[Pick]) -> float:
    """The share of picks that are no longer in the repository as they were; 1 if a file has left the index."""
    current = _current(workspace, picks)
    if any(pick.path not in current for pick in picks):
        return 1.0
    return sum(pick.content_hash not in current[pick.path] for pick in picks) / max(1, len(picks))


__all__ = ["Checkpoint", "WarmTrainer"]
