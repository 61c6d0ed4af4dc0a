"""Who may go next: the accelerator's turns, and the requests that are being answered.

Owns the order (priority, then the client who waited longest since its last turn), who is asked to give way, the bound
on waiting requests, and the rule that a newer request for a document takes the place of an older one. It does not know
what is done in a turn. Everything here belongs to one event loop.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import TypeVar

from vicinal_daemon.errors import Busy, Superseded, Withdrawn
from vicinal_indexer.errors import VicinalError

Answer = TypeVar("Answer")
REMEMBERED_CLIENTS = 1024


class Priority(IntEnum):
    """What goes first on the accelerator."""

    WRITE = 0
    """Writing a completion that somebody waits for."""
    TUNE = 1
    """Tuning for a completion that somebody waits for."""
    SPECULATE = 2
    """Tuning for the next one."""
    WARM = 3
    """Training a repository's own adapter."""
    EMBED = 4
    """Embedding, should an embedder need the accelerator."""


class Cancellation:
    """Whether a piece of work is still wanted, and why not."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.reason: VicinalError | None = None
        self._waiting: set[asyncio.Future[None]] = set()
        self._inner: set[Cancellation] = set()

    def cancel(self, reason: VicinalError) -> None:
        """Not wanted any more; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.event.set()
            for future in self._waiting:
                if not future.done():
                    future.set_exception(reason)
            for inner in tuple(self._inner):
                inner.cancel(reason)

    def withdraw(self) -> None:
        """Whoever asked has cancelled it, or has gone."""
        self.cancel(Withdrawn("the request was cancelled"))

    def is_set(self) -> bool:
        """Whether it is not wanted any more; may be asked from any thread."""
        return self.reason is not None

    def check(self) -> None:
        """Raise the reason, if there is one."""
        if self.reason is not None:
            raise self.reason

    @contextmanager
    def part(self) -> "Iterator[Cancellation]":
        """For the time of the block: one that ends with this one, and can be ended alone.

        Raises:
            VicinalError: the reason, if there is one already.
        """
        self.check()
        inner = Cancellation()
        self._inner.add(inner)
        try:
            yield inner
        finally:
            self._inner.discard(inner)

    @contextmanager
    def ending(self, future: "asyncio.Future[None]") -> Iterator[None]:
        """For the time of the block the future fails with the reason, should there come to be one.

        Raises:
            VicinalError: the reason, if there is one already.
        """
        self.check()
        self._waiting.add(future)
        try:
            yield
        finally:
            self._waiting.discard(future)

    async def first(self, work: Awaitable[Answer]) -> Answer:
        """The result of `work`, which is cancelled as soon as it is not wanted any more.

        Raises:
            VicinalError: the reason.
        """
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self.event.wait())
        try:
            if self.reason is None:
                await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self.check()
            raise AssertionError("unreachable")  # the event is only set with a reason
        finally:
            for waiting in (task, stop):
                waiting.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)


@dataclass(eq=False)
class _Waiting:
    priority: Priority
    arrival: int
    client: str
    granted: asyncio.Future[None]
    give_way: Callable[[], None] | None


class Turnstile:
    """Lets `capacity` in at a time: the best priority first, among equals the client whose last turn is longest ago.

    A client with many requests thus waits behind one with few.
    """

    def __init__(self, capacity: int = 1) -> None:
        self._free = capacity
        self._waiting: list[_Waiting] = []
        self._inside: list[_Waiting] = []
        self._last_turn: OrderedDict[str, int] = OrderedDict()
        self._arrivals = count()
        self._turns = count(1)

    @asynccontextmanager
    async def turn(
        self,
        priority: Priority,
        client: str = "",
        cancellation: Cancellation | None = None,
        give_way: Callable[[], None] | None = None,
    ) -> AsyncIterator[None]:
        """Wait for a turn and hold it for the time of the block.

        Args:
            give_way: called within the block when somebody of a better priority waits; the turn is over with the block.

        Raises:
            VicinalError: the reason of the cancellation, while it waited.
        """
        granted = asyncio.get_running_loop().create_future()
        waiting = _Waiting(priority, next(self._arrivals), client, granted, give_way)
        with (cancellation or Cancellation()).ending(waiting.granted):
            self._waiting.append(waiting)
            self._grant()
            self._overtake(waiting)
            try:
                await waiting.granted
            except BaseException:
                self._give_up(waiting)
                raise
        try:
            yield
        finally:
            self._inside.remove(waiting)
            self._free += 1
            self._grant()

    def counts(self) -> dict[str, int]:
        """How many wait, by priority."""
        waiting = Counter(item.priority for item in self._waiting)
        return {priority.name.lower(): waiting[priority] for priority in Priority if waiting[priority]}

    def _give_up(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)
        elif waiting.granted.done() and not waiting.granted.cancelled() and waiting.granted.exception() is None:
            self._inside.remove(waiting)
            self._free += 1  # the turn came in the very moment in which it was given up
            self._grant()

    def _overtake(self, waiting: _Waiting) -> None:
        """Ask the least urgent one inside to give way, if it would; once."""
        if waiting.granted.done():
            return
        willing = [one for one in self._inside if one.give_way is not None and one.priority > waiting.priority]
        if willing:
            slowest = max(willing, key=lambda one: one.priority)
            give_way, slowest.give_way = slowest.give_way, None
            assert give_way is not None  # noqa: S101 - it is willing
            give_way()

    def _grant(self) -> None:
        while self._free and self._waiting:
            best = min(self._waiting, key=lambda w: (w.priority, self._last_turn.get(w.client, 0), w.arrival))
            self._waiting.remove(best)
            if best.granted.done():
                continue
            self._free -= 1
            self._inside.append(best)
            self._last_turn[best.client] = next(self._turns)
            self._last_turn.move_to_end(best.client)
            if len(self._last_turn) > REMEMBERED_CLIENTS:
                self._last_turn.popitem(last=False)
            best.granted.set_result(None)


@dataclass(eq=False)
class Ticket:
    """One request that is being answered."""

    id: str
    document: Hashable
    cancellation: Cancellation


class Requests:
    """The requests that are being answered: one a document, `limit` at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_id: dict[str, Ticket] = {}
        self._by_document: dict[Hashable, Ticket] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    @contextmanager
    def taken(self, identity: str, document: Hashable) -> Iterator[Ticket]:
        """Answer a request in the block; an older one for the same document is dropped.

        Raises:
            Busy: too many are being answered already.
        """
        older = self._by_document.get(document)
        if older is not None:
            self._leave(older)
            older.cancellation.cancel(Superseded("a newer request for this document took its place"))
        if len(self._by_id) >= self._limit:
            raise Busy(f"{self._limit} requests wait already")
        ticket = Ticket(identity, document, Cancellation())
        if identity in self._by_id:
            self._leave(self._by_id[identity])
        self._by_id[identity] = self._by_document[document] = ticket
        try:
            yield ticket
        finally:
            self._leave(ticket)

    def cancel(self, *, identity: str = "", document: Hashable = None) -> int:
        """Cancel by id or document; says how many were."""
        found = {id(t): t for t in (self._by_id.get(identity), self._by_document.get(document)) if t is not None}
        for ticket in found.values():
            ticket.cancellation.withdraw()
            self._leave(ticket)
        return len(found)

    def cancel_all(self, why: Withdrawn | None = None) -> None:
        """Drop all of them; without a reason the daemon ends."""
        for ticket in list(self._by_id.values()):
            ticket.cancellation.cancel(why or Withdrawn("the daemon is ending", hint="ask again once it is back"))

    def _leave(self, ticket: Ticket) -> None:
        if self._by_id.get(ticket.id) is ticket:
            del self._by_id[ticket.id]
        if self._by_document.get(ticket.document) is ticket:
            del self._by_document[ticket.document]
