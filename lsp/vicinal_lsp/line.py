"""A line to one daemon: a client that many threads share, and that can be cut under them.

Owns the sockets, so that no thread waits for a daemon that nobody wants an answer from any more, and the ways to get a
line. It does not know when one is wanted. Slow to import (pydantic, httpx2): import it in a thread.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx2
from pydantic import ValidationError

from vicinal_daemon import config
from vicinal_daemon.client import Client, Connection, ensure, find, start, stop
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import DaemonNotRunning, DaemonUnreachable
from vicinal_daemon.protocol.state import DaemonState
from vicinal_indexer.errors import VicinalError

PATIENCE_SECONDS: Final = 10.0
"""For what needs no model: a daemon that takes longer is stuck."""


class Line(Client):
    """A client that ends what it waits for when it is retired.

    Closing a socket does not wake a thread that reads from it, shutting it down does; so each socket is noted as it is
    opened.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, PATIENCE_SECONDS)
        self._guard = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._users = 0
        self._retired = False
        self._http.event_hooks = {"request": [self._watch]}

    @contextmanager
    def held(self) -> Iterator["Line"]:
        """The line, which is not closed meanwhile.

        Raises:
            DaemonUnreachable: it was retired.
        """
        with self._guard:
            if self._retired:
                raise DaemonUnreachable("the connection to the daemon was given up")
            self._users += 1
        try:
            yield self
        finally:
            self._leave()

    def retire(self) -> None:
        """End what is under way, with `DaemonUnreachable`, and close once the last has left. May be called again."""
        with self._guard:
            if self._retired:
                return
            self._retired = True
            is_unused = self._users == 0
            for opened in self._sockets:
                _shut(opened)
        if is_unused:
            self.close()

    def broke(self, error: VicinalError) -> bool:
        """Whether this error means that the daemon has gone from the line, not that it refused or was slow."""
        if not isinstance(error, DaemonUnreachable):
            return False
        cause = error.__cause__
        return self._retired or (
            isinstance(cause, httpx2.RequestError) and not isinstance(cause, httpx2.TimeoutException)
        )

    def _leave(self) -> None:
        with self._guard:
            self._users -= 1
            is_last = self._retired and self._users == 0
        if is_last:
            self.close()

    def _watch(self, request: httpx2.Request) -> None:
        request.extensions["trace"] = self._trace

    def _trace(self, name: str, info: dict[str, Any]) -> None:
        if name not in ("connection.connect_unix_socket.complete", "connection.connect_tcp.complete"):
            return
        opened = info["return_value"].get_extra_info("socket")
        with self._guard:
            self._sockets = {kept for kept in self._sockets if kept.fileno() != -1} | {opened}
            if self._retired:
                _shut(opened)


@dataclass(frozen=True, slots=True)
class Met:
    """A daemon that answers: the line to it and what it says of itself; None if that is not understood."""

    line: Line
    state: DaemonState | None


Way = Literal["meet", "reach", "renew"]
LoadSettings = Callable[[], Settings]


def get(way: Way, load: LoadSettings | None) -> Met:
    """A line: to the daemon that runs (`meet`), to that or a new one (`reach`), or to a new one (`renew`).

    Raises ConfigError for bad settings, else as these do.
    """
    return {"meet": meet, "reach": reach, "renew": renew}[way]((load or config.load)())


def is_there(load: LoadSettings | None) -> bool:
    """Whether a daemon seems to run; it is not asked."""
    return find((load or config.load)()) is not None


def meet(settings: Settings) -> Met:
    """The daemon that runs.

    Raises:
        DaemonNotRunning: there is none.
        DaemonUnreachable: it does not answer.
    """
    connection = find(settings)
    if connection is None:
        raise DaemonNotRunning("no daemon is running")
    return _met(connection)


def reach(settings: Settings) -> Met:
    """The daemon that runs, else a new one. Raises as `client.start` does."""
    try:
        return _met(ensure(settings))
    except DaemonUnreachable as error:
        if not isinstance(error.__cause__, httpx2.NetworkError | httpx2.RemoteProtocolError):
            raise
    return _met(start(settings))  # it was about to end: its process was there, its socket was not, or died under us


def renew(settings: Settings) -> Met:
    """A new daemon; the one that runs is ended in order first. Raises as `client.stop` and `client.start` do."""
    connection = find(settings)
    if connection is not None:
        stop(connection)
    return _met(start(settings))


def _met(connection: Connection) -> Met:
    line = Line(connection)
    try:
        return Met(line, line.status())
    except DaemonUnreachable as error:
        if isinstance(error.__cause__, ValidationError):
            return Met(line, None)  # of another version; the rest of what it says may be understood
        line.close()
        raise
    except BaseException:
        line.close()
        raise


def _shut(opened: socket.socket) -> None:
    with suppress(OSError):  # closed already, or its other end was
        opened.shutdown(socket.SHUT_RDWR)
