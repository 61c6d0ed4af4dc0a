"""Many at once, in many orders: threads that are switched at nearly every instruction, tasks in seeded orders."""

import asyncio
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from vicinal_daemon.errors import Busy, RequestDropped, Withdrawn
from vicinal_daemon.scheduler import Cancellation, Priority, Requests, Turnstile
from vicinal_daemon.tune.adapter_file import AdapterInfo, Pick, adapter_key, metadata
from vicinal_daemon.tune.adapters import AdapterStore, temporary_for
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Outcome
from vicinal_daemon.workspaces.memory import Memory

FEATURES = AnswerFeatures(
    0.5, 1.0, 0.6, 0.3, 0.64, 0.9, 0.2, 7, 31, 1, "fresh", 8, 1.0, "automatic", "python", "a model", repository="r"
)
SEEDS = range(4)
THREADS = 6


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads are switched a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(work: Sequence[Callable[[], None]]) -> None:
    """Do all of it at once, each in a thread of its own; what one of them raises is raised."""
    together, failures = threading.Barrier(len(work)), list[BaseException]()

    def run(one: Callable[[], None]) -> None:
        together.wait()
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"
    if failures:
        raise failures[0]


def chance_of(seed: int, number: int) -> random.Random:
    return random.Random(seed * 1000 + number)  # noqa: S311 - not a secret


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("hasty")
def test_feedback_of_many_threads_and_two_processes_is_all_there(seed: int, tmp_path: Path) -> None:
    """Two stores on one file are to each other as two processes are."""
    stores = [FeedbackStore(tmp_path / "feedback.sqlite") for _ in range(2)]
    told: list[dict[str, list[str]]] = [{} for _ in range(THREADS)]

    def work(number: int) -> None:
        chance, store = chance_of(seed, number), stores[number % 2]
        for turn in range(8):
            name = f"{number}.{turn}"
            store.record_answer(name, FEATURES, [f"src/{number}.py"])
            told[number][name] = []
            for _ in range(chance.randrange(3)):
                store.record(name, Outcome("shown"))
                told[number][name].append("shown")
            match chance.randrange(6):
                case 0:
                    store.close()
                case 1:
                    assert len(store.told_of("r", 5)) <= 5
                case 2:
                    store.forget("r", [f"src/{number}.py"])
                    told[number].clear()

    at_once([partial(work, number) for number in range(THREADS)])
    wanted = {name: outcomes for part in told for name, outcomes in part.items()}
    for store in stores:
        assert {one.id: [outcome.event for outcome in one.outcomes] for one in store.told()} == wanted
        store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["feedback.sqlite"]


def lay(store: AdapterStore, name: str) -> AdapterInfo:
    """What an engine does: a whole file, then its name."""
    picks = (Pick(f"{name}.py", name, 1.0),)
    key = adapter_key("/shop", "model", "tuning", picks)
    file = store.path_for(key)
    told = AdapterInfo(key, "/shop", "tuned", picks, "model", "tuning", 8, 0.5, 0, 1.0, 0.0, False, file)
    temporary = temporary_for(file)
    save_file({"a": np.zeros(25, np.float32)}, temporary, metadata=metadata(told))
    temporary.replace(file)
    return told


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("hasty")
def test_the_adapter_store_is_what_lies_in_its_folder_whatever_the_order(seed: int, tmp_path: Path) -> None:
    most = 9
    store = AdapterStore(tmp_path / "adapters", 10**9, most)
    store.open()
    given_way = Counter[str]()

    def work(number: int) -> None:
        chance = chance_of(seed, number)
        for turn in range(12):
            told = lay(store, f"{number}-{turn}")
            given_way.update(store.add(replace(told, pinned=chance.random() < 0.1)))
            someone = chance.choice(store.all() or (told,)).key
            match chance.randrange(6):
                case 0:
                    store.drop(someone)
                case 1:
                    store.pin(someone)
                case 2:
                    store.unpin(someone)
                case 3:
                    store.touch(someone)
                case 4:
                    store.expire("/shop", {path: frozenset({path[:-3]}) for path in store.paths("/shop")})
                case 5:
                    store.nearest("/shop", "model", "tuning", told.picks, 0.1)

    at_once([partial(work, number) for number in range(4)])
    kept = {info.key for info in store.all()}
    pinned = {info.key for info in store.all() if info.pinned}
    assert {path.stem for path in store.folder.glob("*.safetensors")} == kept
    assert len(kept) <= max(most, len(pinned))
    again = AdapterStore(tmp_path / "adapters", 10**9, most)
    again.open()
    assert {info.key for info in again.all()} == kept
    assert {info.key for info in again.all() if info.pinned} == pinned


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("hasty")
def test_what_was_open_is_noted_whoever_notes_it(seed: int, tmp_path: Path) -> None:
    memory = Memory(tmp_path / "workspaces.json")

    def work(number: int) -> None:
        chance = chance_of(seed, number)
        for turn in range(10):
            memory.note(Path(f"/{number}/{turn}"), float(turn))
            if chance.random() < 0.3:
                memory.forget(Path(f"/{number}/{turn}"))

    at_once([partial(work, number) for number in range(THREADS)])
    found = json.loads((tmp_path / "workspaces.json").read_text())
    assert {Path(root): used for root, used in found.items()} == memory.used()


Step = st.tuples(
    st.sampled_from(Priority),
    st.sampled_from("abc"),  # who asks
    st.integers(0, 4),  # passes before it asks
    st.integers(0, 3),  # passes while it has its turn
    st.sampled_from(["wait", "wait", "withdraw", "cancel", "fail"]),
    st.integers(0, 6),  # passes before that
)


@given(st.lists(Step, min_size=1, max_size=12), st.integers(1, 3))
def test_whatever_the_order_every_turn_is_had_or_given_up_and_none_is_lost(
    steps: list[tuple[Priority, str, int, int, str, int]], capacity: int
) -> None:
    async def play() -> None:
        turnstile, inside, most = Turnstile(capacity), 0, 0

        async def work(step: tuple[Priority, str, int, int, str, int], cancellation: Cancellation) -> str:
            nonlocal inside, most
            priority, client, before, within, end, _ = step
            for _ in range(before):
                await asyncio.sleep(0)
            async with turnstile.turn(priority, client, cancellation):
                inside += 1
                most = max(most, inside)
                try:
                    for _ in range(within):
                        await asyncio.sleep(0)
                    if end == "fail":
                        raise ZeroDivisionError
                finally:
                    inside -= 1
            return "had"

        async def meddle(
            step: tuple[Priority, str, int, int, str, int], task: "asyncio.Task[str]", c: Cancellation
        ) -> None:
            for _ in range(step[5]):
                await asyncio.sleep(0)
            if step[4] == "withdraw":
                c.withdraw()
            elif step[4] == "cancel":
                task.cancel()

        cancellations = [Cancellation() for _ in steps]
        tasks = [asyncio.ensure_future(work(*pair)) for pair in zip(steps, cancellations, strict=True)]
        await asyncio.gather(*(meddle(*three) for three in zip(steps, tasks, cancellations, strict=True)))
        for step, end in zip(steps, await asyncio.gather(*tasks, return_exceptions=True), strict=True):
            allowed = {"wait": (), "withdraw": (Withdrawn,), "cancel": (asyncio.CancelledError,)}
            assert end == "had" or isinstance(end, allowed.get(step[4], (ZeroDivisionError,))), (step, end)
        assert (inside, turnstile.counts()) == (0, {})
        assert most <= capacity
        async with asyncio.timeout(10):  # every place is free again
            turns = [turnstile.turn(Priority.WRITE) for _ in range(capacity)]
            for turn in turns:
                await turn.__aenter__()
            for turn in turns:
                await turn.__aexit__(None, None, None)

    asyncio.run(asyncio.wait_for(play(), 30))


Asked = st.tuples(st.sampled_from("123"), st.sampled_from("xyz"), st.integers(0, 5), st.integers(0, 5), st.booleans())


@given(st.lists(Asked, min_size=1, max_size=14), st.integers(1, 4))
def test_whatever_the_order_no_request_is_left_over_and_the_latest_of_each_document_is_answered(
    asked: list[tuple[str, str, int, int, bool]], limit: int
) -> None:
    async def play() -> None:
        requests, latest, ends = Requests(limit), dict[str, int](), dict[int, str]()

        async def answer(number: int, identity: str, document: str, before: int, within: int, cancelled: bool) -> None:
            for _ in range(before):
                await asyncio.sleep(0)
            ends[number] = "dropped"
            with suppress(RequestDropped, Busy), requests.taken(f"{identity}{number}", document) as ticket:
                latest[document] = number
                assert len(requests) <= limit
                for _ in range(within):
                    await asyncio.sleep(0)
                    ticket.cancellation.check()
                if cancelled:
                    assert requests.cancel(identity=f"{identity}{number}") <= 1
                    ticket.cancellation.check()
                ends[number] = "answered"

        await asyncio.gather(*(answer(number, *one) for number, one in enumerate(asked)))
        assert len(requests) == 0
        for number in latest.values():
            assert ends[number] == "answered" or asked[number][4]

    asyncio.run(asyncio.wait_for(play(), 30))
