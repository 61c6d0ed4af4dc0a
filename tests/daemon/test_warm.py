"""The warm adapter, with a real index, a real engine process and a small real model."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vicinal_daemon.background import lesson, warm
from vicinal_daemon.background import run as warm_run
from vicinal_daemon.background.warm import WarmTrainer
from vicinal_daemon.config import Settings
from vicinal_daemon.daemon import Daemon
from vicinal_daemon.errors import GaveWay
from vicinal_daemon.machine import MachineSignals
from vicinal_daemon.protocol.requests import CompleteRequest
from vicinal_daemon.protocol.state import Event
from vicinal_daemon.tune.adapter_file import AdapterInfo
from vicinal_daemon.tune.checkpoints import Checkpoint, Checkpoints
from vicinal_daemon.worker import messages
from vicinal_daemon.workspaces import Workspace

pytestmark = pytest.mark.slow  # a daemon or an engine of its own for most scenes

WORDS = """payment refund shipment return invoice discount voucher parcel cart basket ledger receipt customer
address country currency tax carrier warehouse supplier contract audit""".split()
MODULE = '''"""Handle {name} messages."""


def handle_{name}(message: dict[str, str], ledger: object) -> str:
    order = ledger.find_order(message["{name}_id"])
    ledger.record("{name}", order.number, actor=message["actor"])
    return f"{name} {{order.number}}"
'''
CALM = MachineSignals(on_mains=True, hot=False, load=0.1)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    root.mkdir()
    (root / ".git").mkdir()
    for name in WORDS:
        (root / f"{name}.py").write_text(MODULE.format(name=name))
    return root


class Scene:
    """A daemon whose trainer a test can watch: every event, and every unit that the trainer had done."""

    def __init__(self, daemon: Daemon, shop: Path) -> None:
        self.daemon = daemon
        self.shop = shop
        self.root = str(shop)
        self.machine = CALM
        self.asked = -1e9
        self.units: list[messages.Unit] = []
        self.events: list[Event] = []
        self.news = asyncio.Condition()
        self.on_event: Callable[[Event], None] = lambda event: None
        self._loop = asyncio.get_running_loop()
        do = daemon.accelerator.do

        async def noted(unit: messages.Unit, *rest: object, **more: object) -> object:
            self.units.append(unit)
            try:
                return await do(unit, *rest, **more)  # type: ignore[arg-type]
            except GaveWay:  # to what the repository's news need of the engine; it is done again
                self.units.remove(unit)
                raise

        daemon.accelerator.do = noted  # type: ignore[method-assign, assignment]
        daemon.warm = WarmTrainer(
            daemon.settings,
            daemon.disk,
            daemon.workspaces,
            daemon.accelerator,
            daemon.store,
            lambda: self.asked,
            self._noted,
            lambda: self.machine,
        )

    def _noted(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    @property
    def steps(self) -> int:
        return sum(isinstance(unit, messages.Step) for unit in self.units)

    @property
    def told(self) -> str:
        return self.daemon.warm.told(self.root)

    @property
    def adapters(self) -> list[AdapterInfo]:
        return [info for info in self.daemon.store.all() if info.kind == "warm"]

    @property
    def checkpoints(self) -> list[Path]:
        return sorted((self.daemon.store.folder / "checkpoints").glob("*"))

    async def until(self, come: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not come():
            assert time.monotonic() < deadline, f"{self.told!r}, {[event.detail for event in self.events]}"
            await asyncio.sleep(0.01)

    async def ready(self) -> Workspace:
        workspace = self.daemon.workspaces.open(self.shop)
        assert await asyncio.to_thread(workspace.wait_ready, 60)
        return workspace


Play = Callable[[Scene], Awaitable[None]]


@pytest.fixture
def scene(shop: Path, daemon_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Play with a daemon that trains six steps whenever it may, and keeps what comes of it."""
    monkeypatch.setattr(warm, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(warm_run, "STEPS_A_CHECKPOINT", 2)

    def play(act: Play, **more: object) -> None:
        async def run() -> None:
            flags: dict[str, object] = {"warm__idle_seconds": 0, "warm__steps": 6, "tune__guard": False}
            settings = daemon_settings(**(flags | more))
            daemon = Daemon(settings, lambda: "test", lambda root: settings)
            on_stage = Scene(daemon, shop)
            await daemon.open()
            try:
                await asyncio.wait_for(act(on_stage), 120)
            finally:
                await daemon.close()

        asyncio.run(run())

    return play


def request(shop: Path, **more: object) -> CompleteRequest:
    values: dict[str, object] = {"workspace": str(shop), "path": "payment.py", "line": 5, "replace_lines": 1}
    return CompleteRequest.model_validate(values | {"wait_for_index": True} | more)


def test_it_is_trained_when_idle_and_serves_what_has_no_time(shop: Path, scene: Callable[..., None]) -> None:
    async def act(on: Scene) -> None:
        await on.ready()
        await on.until(lambda: on.adapters)
        (info,) = on.adapters
        assert (info.steps, info.scale, len(info.picks)) == (6, 0.7, 6)
        assert sum(pick.share for pick in info.picks) == pytest.approx(1)
        assert len({pick.share for pick in info.picks}) > 1
        answer = await on.daemon.desk.complete(request(shop, budget_ms=1))
        assert (answer.adaptation.kind, answer.adaptation.steps) == ("warm", 6)
        await on.until(lambda: on.told == "6 steps, worn at 70%")
        assert [state.warm for state in on.daemon.state().workspaces] == [on.told]
        assert [event.done for event in on.events if event.total] == [1, 2, 3, 4, 5, 6]
        await on.until(lambda: on.checkpoints == [])

    scene(act)


def test_a_restart_goes_on_where_it_stopped(shop: Path, scene: Callable[..., None]) -> None:
    lives: list[Scene] = []

    async def first(on: Scene) -> None:
        lives.append(on)
        enough = asyncio.Event()
        on.on_event = lambda event: enough.set() if event.done == 3 else None
        await on.ready()
        await enough.wait()  # and the daemon is closed at once: far from the last step

    async def second(on: Scene) -> None:
        await on.until(lambda: on.adapters)
        begin = next(unit for unit in on.units if isinstance(unit, messages.Begin))
        assert begin.start is not None
        # Also the step that was being taken when the first life ended is not taken again.
        assert (begin.done, begin.done + on.steps) == (lives[0].steps, 12)
        assert on.adapters[0].steps == 12

    scene(first, warm__steps=12)
    scene(second, warm__steps=12)


def test_a_short_course_serves_until_the_whole_one_is_done_whatever_comes_between(
    shop: Path, scene: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "FIRST_STEPS", 4)

    async def first(on: Scene) -> None:
        enough = asyncio.Event()
        on.on_event = lambda event: enough.set() if (event.done, event.total) == (5, 12) else None
        await on.ready()
        await enough.wait()
        assert [info.steps for info in on.adapters] == [4]
        on.asked = time.monotonic()
        answer = await on.daemon.desk.complete(request(shop, budget_ms=1))
        assert (answer.adaptation.kind, answer.adaptation.steps) == ("warm", 4)

    async def second(on: Scene) -> None:
        assert [info.steps for info in on.adapters] == [4]
        await on.until(lambda: [info.steps for info in on.adapters] == [12])
        begin = next(unit for unit in on.units if isinstance(unit, messages.Begin))
        assert (len(begin.examples), begin.done + on.steps) == (12, 12)
        assert begin.done >= 4  # it went on
        await on.until(lambda: on.told == "12 steps, worn at 70%")
        await on.until(lambda: on.checkpoints == [])

    scene(first, warm__steps=12, warm__idle_seconds=1000)
    scene(second, warm__steps=12)


def test_courses_follow_each_other_until_the_whole_is_done(
    shop: Path, scene: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lesson, "FIRST_STEPS", 2)
    monkeypatch.setattr(lesson, "COURSE_GROWTH", 3)

    async def act(on: Scene) -> None:
        await on.ready()
        await on.until(lambda: on.told == "14 steps, worn at 70%")
        begun = [len(unit.examples) for unit in on.units if isinstance(unit, messages.Begin)]
        assert begun == [2, 6, 14]
        assert [info.steps for info in on.adapters] == [14]

    scene(act, warm__steps=14)


def test_it_gives_way_within_one_step_and_goes_on_in_the_same_run(shop: Path, scene: Callable[..., None]) -> None:
    async def act(on: Scene) -> None:
        def somebody_comes(event: Event) -> None:
            if event.done == 3:
                on.asked = time.monotonic()

        on.on_event = somebody_comes
        await on.ready()
        await on.until(lambda: "waits" in on.told)
        assert on.told == "3 of 6 steps; waits: somebody is at work"
        assert on.steps == 3
        answer = await on.daemon.desk.complete(request(shop, budget_ms=1))
        assert answer.adaptation.kind == "base"
        assert on.steps == 3
        assert on.checkpoints
        on.asked = -1e9
        await on.until(lambda: on.adapters)
        assert on.steps == 6
        assert sum(isinstance(unit, messages.Begin) for unit in on.units) == 1

    scene(act, warm__idle_seconds=1000, tune__steps=0)


@pytest.mark.parametrize(("kind", "done"), [(messages.Step, 3), (messages.Judge, 6)])
def test_what_is_under_way_gives_way(
    shop: Path, scene: Callable[..., None], kind: type[messages.Unit], done: int
) -> None:
    async def act(on: Scene) -> None:
        do, overtaken = on.daemon.accelerator.do, False

        async def overtaken_once(unit: messages.Unit, *rest: object, **more: object) -> object:
            nonlocal overtaken
            if isinstance(unit, kind) and more.get("gives_way") and not overtaken and on.steps == done:
                overtaken, on.asked = True, time.monotonic()
                raise GaveWay("somebody waits")
            return await do(unit, *rest, **more)  # type: ignore[arg-type]

        on.daemon.accelerator.do = overtaken_once  # type: ignore[method-assign, assignment]
        await on.ready()
        await on.until(lambda: on.told == f"{done} of 6 steps; waits: somebody is at work")
        on.asked = -1e9
        await on.until(lambda: "did not help" in on.told or on.adapters)
        assert on.steps == 6

    scene(act, warm__idle_seconds=1000, tune__guard=True)


def test_it_is_trained_anew_when_enough_has_changed(shop: Path, scene: Callable[..., None]) -> None:
    async def act(on: Scene) -> None:
        workspace = await on.ready()
        await on.until(lambda: on.told.startswith("6 steps"))
        (old,) = on.adapters

        def edit(path: str) -> None:
            (shop / path).write_text((shop / path).read_text().replace("find_order", "search_order"))

        edit(old.picks[0].path)
        await asyncio.to_thread(workspace.sync)
        await on.until(lambda: "17% of its code has changed" in on.told)
        assert [info.key for info in on.adapters] == [old.key]
        assert on.steps == 6
        edit(old.picks[1].path)
        await asyncio.to_thread(workspace.sync)
        await on.until(lambda: on.adapters and on.adapters[0].key != old.key)
        assert len(on.adapters) == 1
        assert on.steps == 12

    scene(act)


@pytest.mark.parametrize("when", ["trained", "training"])
def test_what_rests_on_a_file_that_is_ignored_now_goes(shop: Path, scene: Callable[..., None], when: str) -> None:
    async def act(on: Scene) -> None:
        workspace = await on.ready()
        if when == "training":
            on.on_event = lambda event: setattr(on, "asked", time.monotonic()) if event.done == 3 else None
            await on.until(lambda: "waits" in on.told)
            begin = next(unit for unit in on.units if isinstance(unit, messages.Begin))
            path = begin.examples[0].path
            assert on.checkpoints
        else:
            await on.until(lambda: on.adapters)
            path = on.adapters[0].picks[0].path
            on.asked = time.monotonic()
        (shop / ".gitignore").write_text(f"{path}\n")
        await asyncio.to_thread(workspace.sync)
        await on.until(lambda: not on.checkpoints and not on.adapters)
        on.asked = -1e9
        on.on_event = lambda event: None
        await on.until(lambda: on.adapters)
        assert path not in {pick.path for pick in on.adapters[0].picks}

    scene(act, warm__idle_seconds=1000, warm__refresh=1.0)


def test_not_on_battery_hot_or_busy(shop: Path, scene: Callable[..., None]) -> None:
    async def act(on: Scene) -> None:
        on.machine = MachineSignals(False, None, None)
        await on.ready()
        await on.until(lambda: on.told == "waits: the machine runs on its battery")
        for on.machine, why in (
            (MachineSignals(None, True, None), "the machine is hot"),
            (MachineSignals(None, None, 9.0), "the machine is busy: 9.0 tasks a core"),
        ):
            assert await on.daemon.warm._why_not() == why
        assert on.units == []

    scene(act)


def test_none_where_there_is_too_little_code_and_no_checkpoint_of_what_has_gone(
    shop: Path, scene: Callable[..., None]
) -> None:
    for name in WORDS[8:]:
        (shop / f"{name}.py").unlink()

    async def act(on: Scene) -> None:
        checkpoints = Checkpoints(on.daemon.store.folder / "checkpoints")
        file = checkpoints.path_for("/there/is/no/such/folder", 2)
        file.write_bytes(b"numbers")
        checkpoints.save(Checkpoint("key", "/there/is/no/such/folder", "model", "tuning", (), 2, file))
        (checkpoints.folder / "odd.json").write_text("{")
        await on.ready()
        await on.until(lambda: on.told == "too little code" and not on.checkpoints)
        assert on.units == []

    scene(act)


def test_it_can_be_off(shop: Path, scene: Callable[..., None]) -> None:
    async def act(on: Scene) -> None:
        await on.ready()
        await on.daemon.warm._look_around()
        assert (on.told, on.units) == ("", [])

    scene(act, warm__steps=0)


def test_what_did_not_help_is_dropped_and_not_tried_again(
    shop: Path, scene: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_judge = warm_run.WarmRun.judge

    async def strict(self: warm_run.WarmRun) -> AdapterInfo:
        return replace(
            await run_judge(self), scale=0.0
        )  # to a small model everything of a repository like this one helps

    monkeypatch.setattr(warm_run.WarmRun, "judge", strict)

    async def act(on: Scene) -> None:
        workspace = await on.ready()
        await on.until(lambda: "did not help" in on.told)
        assert on.told == "6 steps did not help on held-out code; dropped"
        (shop / "new.py").write_text(MODULE.format(name="novelty"))  # another revision, and little has changed
        await asyncio.to_thread(workspace.sync)
        await on.until(lambda: on.daemon.warm._settled.get(on.root, (None,))[0] == workspace.revision)  # type: ignore[index]
        assert (on.steps, on.adapters, on.checkpoints) == (6, [], [])

    scene(act)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_an_engine_that_dies_costs_the_steps_since_the_checkpoint(
    shop: Path, scene: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "RETRY_SECONDS", 0.0)

    async def act(on: Scene) -> None:
        def kill_once(event: Event) -> None:
            if event.done == 3:
                on.on_event = lambda event: None
                os.kill(on.daemon.accelerator.state().pid or 0, signal.SIGKILL)

        on.on_event = kill_once
        await on.ready()
        await on.until(lambda: on.adapters)
        begins = [unit for unit in on.units if isinstance(unit, messages.Begin)]
        assert [begin.done for begin in begins] == [0, 2]
        assert on.adapters[0].steps == 6

    scene(act)


def test_an_unloaded_model_is_loaded_for_what_is_to_be_done_and_not_again(
    shop: Path, scene: Callable[..., None]
) -> None:
    async def act(on: Scene) -> None:
        accelerator = on.daemon.accelerator
        await on.ready()
        on.on_event = lambda event: setattr(on, "asked", time.monotonic()) if event.done == 3 else None
        await on.until(lambda: "waits" in on.told)
        accelerator.last_used = -1e9
        await accelerator.unload_if_idle(1)
        assert accelerator.state().state == "unloaded"
        on.on_event, on.asked = (lambda event: None), -1e9
        await on.until(lambda: on.told.startswith("6 steps"))
        assert on.steps == 6
        accelerator.last_used = -1e9
        await accelerator.unload_if_idle(1)
        (shop / "new.py").write_text(MODULE.format(name="novelty"))
        workspace = await on.ready()
        await asyncio.to_thread(workspace.sync)
        await on.until(lambda: on.daemon.warm._settled.get(on.root, (None,))[0] == workspace.revision)  # type: ignore[index]
        assert accelerator.state().state == "unloaded"

    scene(act, warm__idle_seconds=1000)


def test_a_damaged_checkpoint_is_begun_anew(
    shop: Path, scene: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "RETRY_SECONDS", 0.0)

    async def first(on: Scene) -> None:
        stop.append(on.daemon.store.folder / "checkpoints")
        enough = asyncio.Event()
        on.on_event = lambda event: enough.set() if event.done == 3 else None
        await on.ready()
        await enough.wait()

    async def second(on: Scene) -> None:
        await on.until(lambda: on.adapters)
        assert on.adapters[0].steps == on.steps == 12
        assert any("failed" in event.detail for event in on.events)

    stop: list[Path] = []
    scene(first, warm__steps=12)
    (file,) = stop[0].glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 255
    file.write_bytes(data)
    scene(second, warm__steps=12)
