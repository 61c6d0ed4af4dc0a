"""Whoever waits for a study hears of its end, whatever ends it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.errors import EngineOutOfMemory, GaveWay
from vicinal_daemon.scheduler import Priority
from vicinal_daemon.studies import PATIENCE, Recipe, Study
from vicinal_daemon.tune.adapter_file import AdapterInfo
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.worker.messages import Begin, Begun, Code, Done, Judge, Judged, Step, Stepped


def recipe(folder: Path) -> Recipe:
    info = AdapterInfo(
        key="k", workspace="/r", kind="tuned", picks=(), fingerprint="f", tuning="t", steps=0, scale=1.0, bytes=0,
        created=0, used=0, pinned=False, file=folder / "k",
    )  # fmt: skip
    return Recipe(info, Begin("run", (Code("a.py", "python", "x = 1\n"),) * 3, 4, 0.01, 64, 0), None)


class NoMemory:
    """An accelerator whose engine has no memory for a step, and lives on; tidying up takes it a while."""

    generation = 1

    async def do(self, unit: object, *args: Any, **more: Any) -> object:
        for _ in range(5):
            await asyncio.sleep(0)
        if isinstance(unit, Step):
            raise EngineOutOfMemory("no memory")
        return Begun(3) if isinstance(unit, Begin) else Done()

    async def quiet(self, priority: Priority) -> None:
        await asyncio.sleep(0)

    def still_knows(self, generation: int) -> bool:
        return True


class Besieged:
    """An accelerator at which somebody more urgent is whenever a unit would give way."""

    generation = 1

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self._steps = 0

    async def do(self, unit: object, *args: Any, gives_way: bool = False, **more: Any) -> object:
        await asyncio.sleep(0)
        self.asked.append((type(unit).__name__, gives_way))
        if gives_way:
            raise GaveWay("somebody waits")
        self._steps += isinstance(unit, Step)
        match unit:
            case Begin():
                return Begun(2)
            case Step():
                return Stepped(self._steps, 2, 1.0, 8, 0.1)
            case Judge():
                return Judged((), 0.0, 0, 0.1)
        return Done()

    async def quiet(self, priority: Priority) -> None:
        await asyncio.sleep(0)

    def still_knows(self, generation: int) -> bool:
        return True


@pytest.mark.parametrize(("priority", "patience"), [(Priority.SPECULATE, PATIENCE), (Priority.TUNE, 0)])
def test_what_nobody_waits_for_gives_way_a_few_times_and_then_is_done(
    tmp_path: Path, priority: Priority, patience: int
) -> None:
    accelerator: Any = Besieged()

    async def scene() -> None:
        store = AdapterStore(tmp_path, 10, 10)
        study = Study(recipe(tmp_path), priority, accelerator, store, lambda info: True, lambda study: None)
        assert (await asyncio.wait_for(study.task, 10)).steps == 2

    asyncio.run(scene())
    unhurried = [(name, way) for name in ("Step", "Step", "Judge") for way in [True] * patience + [False]]
    assert accelerator.asked == [("Begin", False), *unhurried, ("Drop", False)]


def test_a_step_that_fails_while_the_engine_lives_is_told_to_who_waits(tmp_path: Path) -> None:
    async def scene() -> None:
        accelerator: Any = NoMemory()
        store = AdapterStore(tmp_path, 10, 10)
        study = Study(recipe(tmp_path), Priority.WARM, accelerator, store, lambda info: True, lambda study: None)
        with pytest.raises(EngineOutOfMemory):
            await asyncio.wait_for(study.reach(3), 10)

    asyncio.run(scene())
