"""One run of training a warm adapter: from its checkpoint, step by step, to the guard's verdict.

Owns what is asked of the accelerator for it, and what of it is on disk. It does not know when it may run, nor how its
chunks were chosen.
"""

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import replace

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.background.lesson import Lesson
from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.scheduler import Priority
from vicinal_daemon.tune.adapter_file import AdapterInfo, metadata
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.worker.messages import Begin, Begun, Done, Drop, Forget, Judge, Judged, Step, Stepped, Wear
from vicinal_indexer.errors import VicinalError

STEPS_A_CHECKPOINT = 32
"""A minute or so of work is lost if the process is killed; whoever pauses or ends loses none. Each writes 10 MB."""


class WarmRun:
    """One run. `begin` first, then `step` until `done` is `steps`, then `judge`; `drop` in the end, whatever happened.

    Attributes:
        steps: how many there are; known once it has begun.
        done: how many have been taken, in all its lives.
    """

    def __init__(self, lesson: Lesson, accelerator: Accelerator, checkpoints: Checkpoints) -> None:
        self.lesson = lesson
        self.steps = 0
        self.done = self._saved = lesson.checkpoint.done if lesson.checkpoint is not None else 0
        self._accelerator = accelerator
        self._checkpoints = checkpoints
        self._name = f"warm-{lesson.info.key}-{uuid.uuid4().hex[:8]}"
        self._born = -1

    @property
    def is_alive(self) -> bool:
        """Whether the engine still knows it: an engine that was unloaded or died in between does not."""
        return self._accelerator.still_knows(self._born)

    async def begin(self) -> None:
        """Begin, from the checkpoint if there is one; one that cannot be used is deleted.

        Raises:
            VicinalError: the model cannot be had, or the engine failed.
        """
        info, tuning, checkpoint = self.lesson.info, self.lesson.settings.tune, self.lesson.checkpoint
        start = Wear(f"{info.key}@{checkpoint.done}", checkpoint.file) if checkpoint is not None else None
        begin = Begin(
            self._name,
            self.lesson.examples,
            tuning.rank,
            self.lesson.settings.warm.learning_rate,
            tuning.max_tokens,
            self.lesson.settings.seed,
            start,
            self.done,
            depth=self.lesson.settings.warm.depth,
        )
        try:
            self.steps = (await self._accelerator.do(begin, Priority.WARM, Begun)).steps
        except (ModelDamaged, ModelUnusable):
            if checkpoint is not None:
                await asyncio.to_thread(self._checkpoints.clear, info.workspace)
            raise
        self._born = self._accelerator.generation
        if start is not None:
            await self._accelerator.do(Forget((start.key,)), Priority.WARM, Done)

    async def step(self) -> None:
        """Take a step once the accelerator is quiet, and save now and then.

        A step that has begun is waited for even if the caller is cancelled: it must not be taken a second time.

        Raises:
            GaveWay: somebody asked for something; the step was not taken.
            VicinalError: the engine failed, or the checkpoint cannot be written.
        """
        await self._accelerator.quiet(Priority.WARM)
        unit = Step(self._name)
        taken = asyncio.ensure_future(self._accelerator.do(unit, Priority.WARM, Stepped, gives_way=True))
        try:
            self.done = (await asyncio.shield(taken)).done
        except asyncio.CancelledError:
            with suppress(VicinalError):
                self.done = (await taken).done
            raise
        if self.done - self._saved >= STEPS_A_CHECKPOINT and self.done < self.steps:
            await self.save()

    async def save(self) -> None:
        """Write what was learned since the last checkpoint, if anything.

        Raises:
            ModelUnusable: what was learned is not made of numbers.
            VicinalError: the engine failed, or the checkpoint cannot be written.
        """
        if self.done == self._saved or not self.is_alive:
            return
        info = self.lesson.info
        file = await asyncio.to_thread(self._checkpoints.path_for, info.workspace, self.done)
        key = f"{info.key}@{self.done}"
        judged = await self._accelerator.do(Judge(self._name, key, None, (), file), Priority.WARM, Judged)
        if judged.scale == 0:
            raise ModelUnusable(
                f"the training of the warm adapter of {info.workspace} came to nothing after {self.done} steps",
                hint="lower warm.learning_rate",
            )
        # The engine keeps few adapters in memory, and they are the requests'.
        await self._accelerator.do(Forget((key,)), Priority.WARM, Done)
        checkpoint = Checkpoint(info.key, info.workspace, info.fingerprint, info.tuning, info.picks, self.done, file)
        await asyncio.to_thread(self._checkpoints.save, checkpoint)
        self._saved = self.done

    async def judge(self) -> AdapterInfo:
        """Let the held-out code judge; writes the adapter's file unless its scale is 0.

        Raises:
            GaveWay: somebody asked for something; it can be asked for again.
            VicinalError: the engine failed, or the file cannot be written.
        """
        info = replace(self.lesson.info, steps=self.done, created=time.time())
        settings = self.lesson.settings
        held_out = self.lesson.held_out if settings.tune.guard else ()
        told = tuple(sorted(metadata(info).items()))
        unit = Judge(self._name, info.key, None, held_out, info.file, told, settings.warm.scale)
        judged = await self._accelerator.do(unit, Priority.WARM, Judged, gives_way=True)
        return replace(info, scale=judged.scale, bytes=judged.bytes)

    async def drop(self) -> None:
        """Let the engine forget it; its checkpoint stays."""
        if self.is_alive:
            with suppress(VicinalError):
                await self._accelerator.do(Drop(self._name), Priority.WARM, Done)
