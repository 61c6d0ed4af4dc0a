"""Studies: tunings that are under way, one a document, step by step as the accelerator has time for them.

Owns their order of work and when one gives way to another. It does not know why something is studied.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count

from vicinal_daemon.accelerator import Accelerator, Answer
from vicinal_daemon.assemble import Learned
from vicinal_daemon.errors import GaveWay, ModelUnusable, Withdrawn
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.tune.adapter_file import AdapterInfo, metadata
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.worker.messages import (
    Begin,
    Begun,
    Code,
    Done,
    Drop,
    Judge,
    Judged,
    PromptShape,
    Step,
    Stepped,
    Unit,
)
from vicinal_indexer.errors import StoreUnavailable, VicinalError

log = logging.getLogger(__name__)
MOST_STUDIES = 4
"""Parked runs cost memory; the oldest gives way to a new one."""

REMEMBERED = 512
PATIENCE = 3
"""So often in a row a unit of a study gives way."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that a study needs. `info` describes the adapter that it will make; its steps, scale and size are to come."""

    info: AdapterInfo
    begin: Begin
    prompt: PromptShape | None
    held_out: tuple[Code, ...] = ()


class Study:
    """One tuning. `learned` grows with each step; `task` ends once the adapter is judged and stored."""

    def __init__(
        self,
        recipe: Recipe,
        priority: Priority,
        accelerator: Accelerator,
        store: AdapterStore,
        is_current: Callable[[AdapterInfo], bool],
        on_step: Callable[["Study"], None],
    ) -> None:
        self.recipe = recipe
        self.priority = priority
        self.losses: list[float] = []
        self.steps = len(recipe.begin.examples)
        self.cancellation = Cancellation()
        self._accelerator = accelerator
        self._store = store
        self._is_current = is_current
        self._on_step = on_step
        self._progress = asyncio.Condition()
        self._begun_in = -1
        self.task: asyncio.Task[Learned] = asyncio.ensure_future(self._run())
        self.task.add_done_callback(_retrieved)

    async def _run(self) -> Learned:
        run, recipe = self.recipe.begin.run, self.recipe
        try:
            while True:
                begun = await self._accelerator.do(recipe.begin, self.priority, Begun, cancellation=self.cancellation)
                self._begun_in = self._accelerator.generation
                self.steps = begun.steps
                try:
                    return await self._learn()
                except ModelUnusable:
                    if self._accelerator.generation == self._begun_in:
                        raise
                    log.info("the engine is another one, which knows nothing of this study: it begins anew")
                    self.losses.clear()
        finally:
            if self._accelerator.still_knows(self._begun_in):
                await self._accelerator.do(Drop(run), self.priority, Done)

    async def _learn(self) -> Learned:
        run, recipe = self.recipe.begin.run, self.recipe
        while len(self.losses) < self.steps:
            stepped = await self._unhurried(Step(run), Stepped)
            async with self._progress:
                self.losses.append(stepped.loss)
                self.steps = stepped.steps  # fewer, once the guard has ended the run
                self._progress.notify_all()
            self._on_step(self)
        if not self.losses:
            return Learned()
        file = self._store.path_for(recipe.info.key)
        info = replace(recipe.info, steps=len(self.losses), created=time.time(), used=time.time())
        try:
            judged = await self.judge(recipe.info.key, info)
            if judged.scale > 0:
                stored = replace(info, scale=judged.scale, bytes=judged.bytes, file=file)
                await asyncio.to_thread(self._keep, stored)
        except StoreUnavailable as error:
            self._store.trouble = error
            log.warning("what was learned is used once, it cannot be kept: %s", error.message)
            judged = await self.judge(recipe.info.key)  # in the engine's memory, for those who wait
        return learned_from(self.losses, judged)

    def _keep(self, info: AdapterInfo) -> None:
        """Store the adapter, unless the code that it rests on has changed while it was made: nobody would expire it."""
        if self._is_current(info):
            self._store.add(info)
        else:
            try:
                info.file.unlink(missing_ok=True)
            except OSError as error:  # it is expired like any other once somebody lists it
                log.warning("%s cannot be deleted: %s", info.file.name, error)

    async def judge(self, key: str, info: AdapterInfo | None = None) -> Judged:
        """Make an adapter of what was learned so far; it is stored only if `info` says what it is."""
        unit = Judge(
            self.recipe.begin.run,
            key,
            self.recipe.prompt,
            self.recipe.held_out,
            self._store.path_for(key) if info is not None else None,
            tuple(sorted(metadata(info).items())) if info is not None else (),
        )
        return await self._unhurried(unit, Judged)

    async def _unhurried(self, unit: Unit, expected: type[Answer]) -> Answer:
        """Have a unit done. As long as nobody waits for this study, it begins when it is quiet and gives way.

        It does so a few times at most: who types on for hours must get an adapter, too.
        """
        for lost in count():
            await self._accelerator.quiet(self.priority)
            gives_way = self.priority > Priority.TUNE and lost < PATIENCE
            with suppress(GaveWay):
                return await self._accelerator.do(
                    unit, self.priority, expected, cancellation=self.cancellation, gives_way=gives_way
                )
        raise AssertionError("unreachable")

    async def reach(self, steps: int) -> None:
        """Wait until so many steps were taken.

        Raises:
            VicinalError: the study failed or gave way before.
        """
        reached = asyncio.ensure_future(self._reached(steps))
        try:
            # The task may fail with the engine alive: then it has something to tidy up before it is done.
            await asyncio.wait({reached, self.task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reached.cancel()
        if self.task.done():
            self.task.result()

    async def _reached(self, steps: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: len(self.losses) >= min(steps, self.steps))


@dataclass
class Studies:
    """All studies. What the guard dropped is remembered: it is not studied again for the same selection.

    Args:
        on_done: told of each study that is done, with its document.
        on_step: told of each step that was taken.
        is_current: whether all that an adapter rests on is still in the index; called from a thread.
    """

    accelerator: Accelerator
    store: AdapterStore
    on_done: Callable[[Hashable, Study, Learned], None]
    is_current: Callable[[AdapterInfo], bool]
    on_step: Callable[[Study], None]
    _by_document: "OrderedDict[Hashable, Study]" = field(default_factory=OrderedDict)
    _learned: "OrderedDict[str, Learned]" = field(default_factory=OrderedDict)

    def learned(self, key: str) -> Learned | None:
        """What came of a study that is done, as long as it is remembered."""
        return self._learned.get(key)

    def under_way(self, key: str) -> Study | None:
        """The study that will make this adapter."""
        return next((s for s in self._by_document.values() if s.recipe.info.key == key and not s.task.done()), None)

    def tasks(self) -> "list[asyncio.Task[Learned]]":
        """Those under way."""
        return [study.task for study in self._by_document.values() if not study.task.done()]

    def start(self, document: Hashable, recipe: Recipe, priority: Priority) -> Study:
        """Study for a document. The same study under way is taken up, at the better priority; another gives way."""
        study = self.under_way(recipe.info.key)
        if study is not None:
            study.priority = min(study.priority, priority)
            return study
        older = self._by_document.pop(document, None)
        if older is not None:
            older.cancellation.cancel(Withdrawn("the cursor has moved on"))
        study = Study(recipe, priority, self.accelerator, self.store, self.is_current, self.on_step)
        self._by_document[document] = study
        study.task.add_done_callback(lambda task: self._done(document, study, task))
        if len(self._by_document) > MOST_STUDIES:
            _, oldest = self._by_document.popitem(last=False)
            oldest.cancellation.cancel(Withdrawn("newer studies took its place"))
        return study

    def cancel(self, document: Hashable) -> None:
        """Nobody wants it any more."""
        study = self._by_document.pop(document, None)
        if study is not None:
            study.cancellation.cancel(Withdrawn("it was cancelled"))

    def forget(self, keys: list[str]) -> None:
        """Adapters have expired: what is known of them too."""
        for key in keys:
            self._learned.pop(key, None)

    async def close(self) -> None:
        """Let all give way."""
        studies = list(self._by_document.values())
        for study in studies:
            study.cancellation.cancel(Withdrawn("the daemon is ending"))
        await asyncio.gather(*(study.task for study in studies), return_exceptions=True)

    def _done(self, document: Hashable, study: Study, task: "asyncio.Task[Learned]") -> None:
        if self._by_document.get(document) is study:
            del self._by_document[document]
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._learned[study.recipe.info.key] = task.result()
            if len(self._learned) > REMEMBERED:
                self._learned.popitem(last=False)
            self.on_done(document, study, task.result())
        elif not isinstance(error, Withdrawn):
            log.warning("a study failed: %s", error if isinstance(error, VicinalError) else repr(error))


def learned_from(losses: list[float], judged: Judged) -> Learned:
    """What the steps and the guard say of an adapter."""
    return Learned(len(losses), tuple(losses), dict(judged.context_loss), judged.scale)


def _retrieved(task: "asyncio.Task[Learned]") -> None:
    if not task.cancelled():
        task.exception()
