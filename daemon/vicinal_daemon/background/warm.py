"""The warm adapter: one for each repository, trained while the machine has nothing better to do.

Owns when it is trained, how far it has come and when it is trained anew. What it studies is `choose`'s matter, the
order of work on the accelerator the scheduler's. A run that is interrupted, by a restart too, goes on from its
checkpoint.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.background.choose import warm_order
from vicinal_daemon.config import Settings
from vicinal_daemon.machine import may_work_in_background, signals
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.scheduler import Priority
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick, adapter_key, metadata, settings_digest
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.worker.messages import Begin, Begun, Code, Done, Drop, Judge, Judged, Step, Stepped, Wear
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer.errors import VicinalError
from vicinal_indexer.types import Candidate

log = logging.getLogger(__name__)

TICK_SECONDS = 2.0
SAMPLE = 512
"""Chunks of the repository that are looked at."""

FEWEST_CHUNKS = 16
"""A repository with fewer has nothing to teach that a request would not find."""

STEPS_A_CHECKPOINT = 8
RETRY_SECONDS = 600.0
OPEN_SECONDS = 10.0


class WarmTrainer:
    """Trains warm adapters, one at a time.

    Args:
        asked: when somebody last asked the daemon for anything, by `time.monotonic`.
    """

    def __init__(
        self,
        settings: Settings,
        workspaces: Workspaces,
        accelerator: Accelerator,
        store: AdapterStore,
        asked: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._accelerator = accelerator
        self._store = store
        self._asked = asked
        self._checkpoints = Checkpoints(store.folder / "checkpoints")
        self._told: dict[str, str] = {}
        self._not_before: dict[str, float] = {}

    def told(self, root: str) -> str:
        """What there is to say of a repository's warm adapter."""
        return self._told.get(root, "")

    async def run(self) -> None:
        """Train what needs it, whenever the machine is idle; until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._why_not():
                continue
            for workspace in self._workspaces.all():
                root = str(workspace.root)
                if workspace.settings.warm.steps == 0 or time.monotonic() < self._not_before.get(root, 0.0):
                    continue
                try:
                    if workspace.state().state == "ready":
                        await self._keep_warm(workspace)
                except VicinalError as error:
                    self._not_before[root] = time.monotonic() + RETRY_SECONDS
                    self._told[root] = f"failed: {error.message}"
                    log.warning("the warm adapter of %s: %s", root, error.message)

    def _why_not(self) -> str:
        """Why nothing is trained now, in words; empty if it is."""
        if time.monotonic() - self._asked() < self._settings.warm.idle_seconds:
            return "somebody is at work"
        return may_work_in_background(signals(), on_battery_allowed=self._settings.warm.on_battery)

    async def _keep_warm(self, workspace: Workspace) -> None:
        root, settings = str(workspace.root), workspace.settings
        files = await asyncio.to_thread(self._accelerator.find)
        there = self._store.warm(root, files.fingerprint)
        if there is not None and await asyncio.to_thread(_changed, workspace, there.picks) < settings.warm.refresh:
            self._told[root] = f"{there.steps} steps, {there.scale:.0%} kept"
            return
        index = await asyncio.to_thread(workspace.index, OPEN_SECONDS)
        candidates = await asyncio.to_thread(index.sample, SAMPLE, settings.seed)
        if len(candidates) < FEWEST_CHUNKS:
            self._told[root] = "too little code"
            self._not_before[root] = time.monotonic() + RETRY_SECONDS
            return
        order = await asyncio.to_thread(warm_order, candidates, settings.warm.steps, settings.seed)
        picks = tuple(Pick(c.chunk.path, c.chunk.content_hash, 1.0 / len(order.picks)) for c in order.picks)
        await self._train(workspace, files, picks, order.picks, order.held_out)

    async def _train(
        self,
        workspace: Workspace,
        files: ModelFiles,
        picks: tuple[Pick, ...],
        studied: "tuple[Candidate, ...]",
        held_out: "tuple[Candidate, ...]",
    ) -> None:
        """Take the steps that are left, then let the held-out code judge."""
        root, settings = str(workspace.root), workspace.settings
        info = _planned(root, files, picks, settings)
        info = replace(info, file=self._store.path_for(info.key))
        found = self._checkpoints.load(root)
        if found is not None and found.key != info.key:
            await asyncio.to_thread(self._checkpoints.clear, root)
            found = None
        done = found.done if found is not None else 0
        run = f"warm-{info.key}-{uuid.uuid4().hex[:8]}"
        tuning = settings.tune
        begin = Begin(
            run,
            _codes(studied),
            tuning.rank,
            tuning.learning_rate,
            tuning.max_tokens,
            settings.seed,
            Wear(f"{info.key}@{done}", found.file) if found is not None else None,
            done,
        )
        begun = await self._accelerator.do(begin, Priority.WARM, Begun)
        born = self._accelerator.generation
        try:
            while done < begun.steps:
                while why := self._why_not():
                    self._told[root] = f"{done} of {begun.steps} steps; waits: {why}"
                    await asyncio.sleep(TICK_SECONDS)
                await self._accelerator.quiet(Priority.WARM)
                stepped = await self._accelerator.do(Step(run), Priority.WARM, Stepped)
                done = stepped.done
                self._told[root] = f"training, {done} of {begun.steps} steps"
                if done % STEPS_A_CHECKPOINT == 0 and done < begun.steps:
                    await self._save(run, info, done)
            told = tuple(sorted(metadata(replace(info, steps=done, created=time.time())).items()))
            unit = Judge(run, info.key, None, _codes(held_out), info.file, told)
            judged = await self._accelerator.do(unit, Priority.WARM, Judged)
        finally:
            if self._accelerator.still_knows(born):
                await asyncio.shield(self._accelerator.do(Drop(run), Priority.WARM, Done))
        await asyncio.to_thread(self._checkpoints.clear, root)
        if judged.scale == 0:
            self._told[root] = f"{done} steps did not help on held-out code; dropped"
            self._not_before[root] = time.monotonic() + RETRY_SECONDS
            return
        older = [i.key for i in self._store.all() if i.workspace == root and i.kind == "warm" and i.key != info.key]
        self._store.add(replace(info, scale=judged.scale))
        for key in older:
            self._store.drop(key)

    async def _save(self, run: str, info: AdapterInfo, done: int) -> None:
        file = await asyncio.to_thread(self._checkpoints.path_for, info.workspace, done)
        await self._accelerator.do(Judge(run, f"{info.key}@{done}", None, (), file), Priority.WARM, Judged)
        checkpoint = Checkpoint(info.key, info.workspace, info.fingerprint, info.tuning, info.picks, done, file)
        await asyncio.to_thread(self._checkpoints.save, checkpoint)


def _planned(root: str, files: ModelFiles, picks: tuple[Pick, ...], settings: Settings) -> AdapterInfo:
    words = settings_digest({**settings.tune.model_dump(exclude={"steps"}), "seed": settings.seed, "warm": True})
    return AdapterInfo(
        key=adapter_key(root, files.fingerprint, words, picks),
        workspace=root,
        kind="warm",
        picks=picks,
        fingerprint=files.fingerprint,
        tuning=words,
        steps=len(picks),
        scale=1.0,
        bytes=0,
        created=0.0,
        used=0.0,
        pinned=False,
        file=files.transformers_dir,  # to be set by the store
    )


def _codes(candidates: "tuple[Candidate, ...]") -> tuple[Code, ...]:
    return tuple(Code(c.chunk.path, c.chunk.language, c.chunk.text) for c in candidates)


def _changed(workspace: Workspace, picks: tuple[Pick, ...]) -> float:
    """The share of picks that are no longer in the repository as they were."""
    current = workspace.index(OPEN_SECONDS).hashes(sorted({pick.path for pick in picks}))
    gone = sum(pick.content_hash not in current.get(pick.path, frozenset()) for pick in picks)
    return gone / len(picks)
