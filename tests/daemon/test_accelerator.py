"""What nobody waits for gives way to what somebody waits for; beside an engine that is a script."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import GaveWay, Withdrawn
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.worker.messages import Done, Drop, Step, Unit


class LongSteps:
    """A supervisor whose steps never end unless they are cancelled; everything else is done at once."""

    def __init__(self) -> None:
        self.done: list[Unit] = []
        self.stepping = asyncio.Event()

    async def do(self, unit: Unit, *, cancelled: asyncio.Event, on_piece: object) -> Done:
        if isinstance(unit, Step):
            self.stepping.set()
            await cancelled.wait()
            raise Withdrawn("the unit was cancelled")
        self.done.append(unit)
        return Done()


@pytest.fixture
def desk(daemon_settings: Callable[..., Settings]) -> tuple[Accelerator, LongSteps]:
    def no_files() -> Any:
        raise AssertionError("the engine is there")

    made, engine = Accelerator(no_files, daemon_settings(), None, lambda: None), LongSteps()
    made._supervisor = engine  # type: ignore[assignment]
    return made, engine


def test_a_step_is_ended_for_who_is_more_urgent_and_says_so(desk: tuple[Accelerator, LongSteps]) -> None:
    async def play() -> None:
        accelerator, engine = desk
        wanted = Cancellation()
        step = asyncio.ensure_future(
            accelerator.do(Step("run"), Priority.SPECULATE, Done, cancellation=wanted, gives_way=True)
        )
        await engine.stepping.wait()
        await accelerator.do(Drop("urgent"), Priority.WRITE, Done)
        with pytest.raises(GaveWay):
            await step
        assert not wanted.is_set()  # it is wanted still: it can be done again
        assert engine.done == [Drop("urgent")]

    asyncio.run(asyncio.wait_for(play(), 10))


def test_a_step_that_somebody_waits_for_gives_way_to_nobody(desk: tuple[Accelerator, LongSteps]) -> None:
    async def play() -> None:
        accelerator, engine = desk
        wanted = Cancellation()
        step = asyncio.ensure_future(accelerator.do(Step("run"), Priority.TUNE, Done, cancellation=wanted))
        await engine.stepping.wait()
        urgent = asyncio.ensure_future(accelerator.do(Drop("urgent"), Priority.WRITE, Done))
        await asyncio.sleep(0)
        assert (step.done(), accelerator.waiting()) == (False, {"write": 1})
        wanted.withdraw()
        with pytest.raises(Withdrawn) as told:
            await step
        assert not isinstance(told.value, GaveWay)
        await urgent

    asyncio.run(asyncio.wait_for(play(), 10))
