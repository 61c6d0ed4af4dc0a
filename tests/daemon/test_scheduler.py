"""Who goes next: priorities, fairness, superseding, cancellation; on a real event loop."""

import asyncio
from collections.abc import Coroutine

import pytest

from vicinal_daemon.errors import Busy, GaveWay, Superseded, Withdrawn
from vicinal_daemon.scheduler import Cancellation, Priority, Requests, Turnstile


def go(work: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


class Stage:
    """Takes turns on a turnstile that is held, then writes down the order in which they came."""

    def __init__(self) -> None:
        self.turnstile = Turnstile()
        self.order: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, name: str, priority: Priority, client: str = "") -> asyncio.Task[None]:
        async def work() -> None:
            async with self.turnstile.turn(priority, client):
                self.order.append(name)

        task = asyncio.ensure_future(work())
        self.tasks.append(task)
        await asyncio.sleep(0)
        return task

    async def finish(self) -> list[str]:
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return self.order


def test_the_best_priority_goes_first_whatever_the_order_of_arrival() -> None:
    async def play() -> None:
        stage = Stage()
        async with stage.turnstile.turn(Priority.WARM):
            for priority in (Priority.EMBED, Priority.WARM, Priority.SPECULATE, Priority.TUNE, Priority.WRITE):
                await stage.ask(priority.name, priority)
            assert stage.turnstile.counts() == dict.fromkeys(("write", "tune", "speculate", "warm", "embed"), 1)
        assert await stage.finish() == ["WRITE", "TUNE", "SPECULATE", "WARM", "EMBED"]

    go(play())


def test_a_client_with_many_requests_does_not_starve_one_with_few() -> None:
    async def play() -> None:
        stage = Stage()
        async with stage.turnstile.turn(Priority.WRITE, "other"):
            for number in range(4):
                await stage.ask(f"loud {number}", Priority.WRITE, "loud")
            await stage.ask("quiet 0", Priority.WRITE, "quiet")
            await stage.ask("quiet 1", Priority.WRITE, "quiet")
        assert await stage.finish() == ["loud 0", "quiet 0", "loud 1", "quiet 1", "loud 2", "loud 3"]

    go(play())


def test_a_turn_that_is_given_up_while_waiting_is_nobodys() -> None:
    async def play() -> None:
        stage = Stage()
        async with stage.turnstile.turn(Priority.WRITE):
            gone = await stage.ask("gone", Priority.WRITE)
            await stage.ask("there", Priority.WRITE)
            gone.cancel()
        assert await stage.finish() == ["there"]
        async with stage.turnstile.turn(Priority.WRITE):  # the turnstile is free again
            assert stage.turnstile.counts() == {}

    go(play())


def test_who_waits_for_a_turn_that_is_not_wanted_any_more_is_told_why() -> None:
    async def play() -> None:
        turnstile, cancellation = Turnstile(), Cancellation()

        async def wait() -> None:
            async with turnstile.turn(Priority.WRITE, cancellation=cancellation):
                raise AssertionError("it had no turn")

        async with turnstile.turn(Priority.WRITE):
            waiting = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            cancellation.cancel(Withdrawn("enough"))
            with pytest.raises(Withdrawn, match="enough"):
                await waiting
            assert turnstile.counts() == {}
        with pytest.raises(Withdrawn):
            await wait()
        async with turnstile.turn(Priority.WRITE):
            pass

    go(play())


def test_a_turn_that_is_given_up_as_it_comes_goes_to_the_next() -> None:
    async def play() -> None:
        stage = Stage()
        async with stage.turnstile.turn(Priority.WRITE):
            gone = await stage.ask("gone", Priority.WRITE)
            await stage.ask("there", Priority.WRITE)
        gone.cancel()  # it has been granted the turn, but has not run since
        assert await stage.finish() == ["there"]

    go(play())


def test_who_is_inside_is_asked_once_to_give_way_to_a_better_one() -> None:
    async def play() -> None:
        stage, asked = Stage(), list[str]()
        async with stage.turnstile.turn(Priority.WARM, give_way=lambda: asked.append("warm")):
            await stage.ask("equal", Priority.WARM)
            await stage.ask("worse", Priority.EMBED)
            assert asked == []
            await stage.ask("better", Priority.SPECULATE)
            await stage.ask("best", Priority.WRITE)
            assert asked == ["warm"]
        assert await stage.finish() == ["best", "better", "equal", "worse"]

    go(play())


def test_who_is_alone_or_will_not_is_not_asked_to_give_way() -> None:
    async def play() -> None:
        turnstile, asked = Turnstile(2), list[str]()
        async with (
            turnstile.turn(Priority.EMBED),
            turnstile.turn(Priority.WARM, give_way=lambda: asked.append("warm")),
        ):
            late = asyncio.ensure_future(turnstile.turn(Priority.WRITE).__aenter__())
            await asyncio.sleep(0)
            assert asked == ["warm"]
        await late
        async with turnstile.turn(Priority.WARM, give_way=lambda: asked.append("again")):
            pass
        assert asked == ["warm"]

    go(play())


def test_a_part_of_what_is_wanted_ends_with_it_or_alone() -> None:
    whole = Cancellation()
    with whole.part() as first:
        first.cancel(GaveWay("something is more urgent"))
        assert not whole.is_set()
    with whole.part() as second:
        assert not second.is_set()
        whole.withdraw()
        assert second.reason is whole.reason
    with pytest.raises(Withdrawn), whole.part():
        raise AssertionError("it is not wanted")


def test_no_more_than_the_capacity_are_in_at_once() -> None:
    async def play() -> None:
        turnstile, inside, most = Turnstile(2), 0, 0

        async def work() -> None:
            nonlocal inside, most
            async with turnstile.turn(Priority.WRITE):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        assert most == 2

    go(play())


def test_a_newer_request_for_a_document_takes_the_place_of_the_older() -> None:
    async def play() -> None:
        requests = Requests(limit=10)
        with requests.taken("1", "a.py") as first, requests.taken("2", "b.py") as other:
            with requests.taken("3", "a.py") as second:
                assert isinstance(first.cancellation.reason, Superseded)
                assert other.cancellation.reason is None
                assert second.cancellation.reason is None
                assert len(requests) == 2
            assert len(requests) == 1
        assert len(requests) == 0

    go(play())


def test_too_many_are_refused_but_a_document_always_has_room_for_its_newest() -> None:
    async def play() -> None:
        requests = Requests(limit=1)
        with requests.taken("1", "a.py"):
            with pytest.raises(Busy), requests.taken("2", "b.py"):
                pass
            with requests.taken("3", "a.py"):
                assert len(requests) == 1

    go(play())


def test_a_request_is_cancelled_by_id_or_by_document() -> None:
    async def play() -> None:
        requests = Requests(limit=10)
        with requests.taken("1", "a.py") as first, requests.taken("2", "b.py") as second:
            assert requests.cancel(identity="1") == 1
            assert requests.cancel(document="b.py") == 1
            assert requests.cancel(identity="1", document="b.py") == 0
            for ticket in (first, second):
                with pytest.raises(Withdrawn):
                    ticket.cancellation.check()

    go(play())


def test_what_waits_ends_as_soon_as_it_is_not_wanted() -> None:
    async def play() -> None:
        cancellation, forever = Cancellation(), asyncio.Event()
        waiting = asyncio.ensure_future(cancellation.first(forever.wait()))
        await asyncio.sleep(0)
        cancellation.cancel(Withdrawn("enough"))
        with pytest.raises(Withdrawn, match="enough"):
            await waiting
        with pytest.raises(Withdrawn):
            await cancellation.first(asyncio.sleep(0))

    go(play())


def test_what_is_done_is_returned_though_it_is_not_wanted_any_more() -> None:
    async def play() -> None:
        cancellation = Cancellation()
        assert await cancellation.first(asyncio.sleep(0, "done")) == "done"

    go(play())
