"""A disk that does not answer costs whoever looks at it some seconds, and nobody else anything."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator

import pytest

from vicinal_daemon.disk import LOOKS, LOOKS_EACH, Disk
from vicinal_indexer.errors import RepositoryUnreadable


class Hung:
    """A disk that does not answer until it is back; `looks` counts the threads that it holds or held."""

    def __init__(self) -> None:
        self.back = threading.Event()
        self.looks = 0
        self._lock = threading.Lock()

    def look(self) -> None:
        with self._lock:
            self.looks += 1
        self.back.wait()


@pytest.fixture
def hung() -> Iterator[Hung]:
    disk = Hung()
    yield disk
    disk.back.set()


async def outcomes(*looks: Awaitable[object]) -> list[type]:
    return [type(each) for each in await asyncio.gather(*looks, return_exceptions=True)]


def play(work: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        await work()

    asyncio.run(all_of_it())


def test_what_was_seen_and_what_went_wrong_are_told() -> None:
    def fails() -> None:
        raise TimeoutError("of its own")

    async def work() -> None:
        disk = Disk()
        assert await disk.look("a", lambda: 7) == 7
        with pytest.raises(TimeoutError, match="of its own"):
            await disk.look("a", fails)

    play(work)


def test_a_silent_disk_is_said_with_what_to_do(hung: Hung) -> None:
    async def work() -> None:
        with pytest.raises(RepositoryUnreadable, match="/mnt/share has not answered") as silent:
            await Disk(0.05).look("/mnt/share", hung.look)
        assert "network share" in silent.value.hint

    play(work)


def test_a_silent_disk_holds_a_few_threads_and_no_other_folder(hung: Hung) -> None:
    async def work() -> None:
        disk = Disk(0.3)
        hanging = outcomes(*(disk.look("hung", hung.look) for _ in range(5 * LOOKS_EACH)))
        task = asyncio.ensure_future(hanging)
        assert await disk.look("other", lambda: "seen") == "seen"
        assert await task == [RepositoryUnreadable] * 5 * LOOKS_EACH
        assert hung.looks == LOOKS_EACH
        assert await outcomes(disk.look("hung", lambda: 1)) == [RepositoryUnreadable]  # they still hold it

    play(work)


def test_when_the_disk_is_back_it_is_looked_at_again(hung: Hung) -> None:
    async def work() -> None:
        disk = Disk(0.2)
        assert set(await outcomes(*(disk.look("hung", hung.look) for _ in range(9)))) == {RepositoryUnreadable}
        hung.back.set()
        assert await disk.look("hung", lambda: "back") == "back"

    play(work)


def test_many_hung_folders_hold_so_many_threads_in_all(hung: Hung) -> None:
    async def work() -> None:
        disk = Disk(0.5)
        await outcomes(*(disk.look(f"hung {number}", hung.look) for number in range(2 * LOOKS)))
        assert hung.looks == LOOKS

    play(work)


def test_whoever_is_cancelled_lets_go_once_the_disk_does(hung: Hung) -> None:
    async def work() -> None:
        disk = Disk(30)
        looks = [asyncio.ensure_future(disk.look("hung", hung.look)) for _ in range(2 * LOOKS_EACH)]
        while hung.looks < LOOKS_EACH:
            await asyncio.sleep(0)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        hung.back.set()
        assert await asyncio.gather(*(disk.look("hung", lambda: 1) for _ in range(2 * LOOKS_EACH))) == [1] * (
            2 * LOOKS_EACH
        )

    play(work)
