"""Whoever waits for a study hears of its end, whatever ends it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.errors import EngineOutOfMemory
from vicinal_daemon.scheduler import Priority
from vicinal_daemon.studies import Recipe, Study
from vicinal_daemon.tune.adapter_file import AdapterInfo
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.worker.messages import Begin, Begun, Code, Done, Step


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


def test_a_step_that_fails_while_the_engine_lives_is_told_to_who_waits(tmp_path: Path) -> None:
    info = AdapterInfo(
        key="k", workspace="/r", kind="tuned", picks=(), fingerprint="f", tuning="t", steps=0, scale=1.0, bytes=0,
        created=0, used=0, pinned=False, file=tmp_path / "k",
    )  # fmt: skip
    begin = Begin("run", (Code("a.py", "python", "x = 1\n"),) * 3, 4, 0.01, 64, 0)

    async def scene() -> None:
        recipe = Recipe(info, begin, None)
        accelerator: Any = NoMemory()
        store = AdapterStore(tmp_path, 10, 10)
        study = Study(recipe, Priority.WARM, accelerator, store, lambda info: True, lambda study: None)
        with pytest.raises(EngineOutOfMemory):
            await asyncio.wait_for(study.reach(3), 10)

    asyncio.run(scene())
