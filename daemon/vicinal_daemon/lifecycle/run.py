"""Run the daemon in the foreground, from the lock to the last file removed.

Owns the order of that: lock, logs, app, socket, serving, `daemon.json`, and all of it backwards; and that a daemon
nobody can reach ends by itself. It does not know what the app does.
"""

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI
from filelock import FileLock, Timeout
from uvicorn.server import HANDLED_SIGNALS

from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ConfigError, DaemonRunning
from vicinal_daemon.lifecycle.door import Door, open_door, with_token
from vicinal_daemon.lifecycle.ending import Ending
from vicinal_daemon.lifecycle.logs import logging_to_files
from vicinal_daemon.place import UNIX, Place, Serving, birth, fingerprint
from vicinal_indexer import __version__
from vicinal_indexer.errors import VicinalError

REQUESTS_SECONDS: Final = 5
"""How long running requests may go on once the daemon is to end; then they are cancelled."""
END_SECONDS: Final = 20.0
"""How long the whole end may take; then the process is ended as it is."""
_CHECK_TICKS: Final = 10
"""Of a tenth of a second each, from one look at our own files to the next."""
_FAILED: Final = 1

CreateApp = Callable[[Settings, Place], FastAPI]

logger = logging.getLogger(__name__)


def serve(create_app: CreateApp, settings: Settings) -> None:
    """Be the daemon until a signal, a client or the loss of our files ends it.

    The app is made once the lock is held, and finds its `Ending` as `app.state.ending`. SIGTERM and SIGINT end it in
    order: no more connections, requests end or are cancelled, the app's lifespan ends, our files go.

    Raises:
        DaemonRunning: there is one already.
        ConfigError: the folder is not safe or cannot be used.
        SystemExit: with 1, the app did not start; the log says why.
    """
    place = Place.of(settings)
    place.prepare()
    with _holding(place) as lock, logging_to_files(settings) as came_up:
        try:
            place.serving_file.unlink(missing_ok=True)  # a dead daemon's: the lock is ours
            app = create_app(settings, place)
            door = open_door(settings, place)
            try:
                _Server(app, door, place, settings, lock, came_up).serve_until_end()
            finally:
                door.socket.close()
        except VicinalError as error:
            logger.error("%s", error.message)
            raise
        except Exception:
            logger.critical("the daemon failed", exc_info=True)
            raise


@contextmanager
def _holding(place: Place) -> Iterator[Path]:
    lock = FileLock(place.lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        found = place.serving()
        who = f"process {found.pid}" if found and found.is_alive() else "it is just starting or ending"
        raise DaemonRunning(f"there is a daemon already: {who}") from None
    except OSError as error:
        raise ConfigError(f"{place.lock} cannot be locked: {error}", hint="set daemon.folder") from error
    try:
        yield place.lock
    finally:
        lock.release()


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it serves, ends in order, and looks after its own files."""

    def __init__(
        self,
        app: FastAPI,
        door: Door,
        place: Place,
        settings: Settings,
        lock: Path,
        came_up: Callable[[], None],
    ) -> None:
        super().__init__(
            uvicorn.Config(
                with_token(app, door.token) if door.token else app,
                lifespan="on",
                http="httptools",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=75,  # longer than a client keeps an idle connection, so that it closes first
                timeout_graceful_shutdown=REQUESTS_SECONDS,
            )
        )
        self._ending = app.state.ending = Ending()
        self._door = door
        self._place = place
        self._came_up = came_up
        self._me = Serving(
            pid=os.getpid(),
            born=birth(os.getpid()) or "",
            address=door.address,
            version=__version__,
            started=time.time(),
            fingerprint=fingerprint(settings),
        )
        self._files = [lock, *([place.socket] if door.address.startswith(UNIX) else [])]
        self._inodes = [_inode(path) for path in self._files]
        self._last_resort = threading.Timer(END_SECONDS, self._end_as_it_is)
        self._last_resort.daemon = True

    def serve_until_end(self) -> None:
        """Serve; returns after the app's lifespan has ended and our files are gone."""
        try:
            asyncio.run(self.serve(sockets=[self._door.socket]))
        except SystemExit as error:  # uvicorn's way to say that the lifespan failed; it has logged why
            logger.error("the daemon did not start")
            raise SystemExit(_FAILED) from error
        finally:
            self._last_resort.cancel()
            self._leave()
        logger.info("ended")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that ended us in order is not raised once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._signalled) for number in HANDLED_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        self._ending.ask(signal.Signals(number).name)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._place.announce(self._me)
        self._came_up()
        logger.info("process %d serves at %s", self._me.pid, self._me.address)

    async def on_tick(self, counter: int) -> bool:
        if counter % _CHECK_TICKS == 0 and (lost := self._lost()):
            self._ending.ask(lost)
        return await super().on_tick(counter) or bool(self._ending.reason)

    def _lost(self) -> str:
        """What of ours is no longer there, in words; empty if all is."""
        found = self._place.serving()
        if found is None:
            return f"{self._place.serving_file} is gone or not ours"
        if (found.pid, found.born) != (self._me.pid, self._me.born):
            return f"{self._place.serving_file} names process {found.pid}"
        changed = (path for path, inode in zip(self._files, self._inodes, strict=True) if _inode(path) != inode)
        return next((f"{path} is gone or not ours" for path in changed), "")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        logger.info("ending: %s", self._ending.reason)
        self._last_resort.start()
        self._leave()  # first: no client is sent to a daemon that ends
        self._ending.begin()
        await super().shutdown(sockets)

    def _leave(self) -> None:
        """Take away what is ours; another daemon's files, if our place was taken, stay."""
        found = self._place.serving()
        if found and (found.pid, found.born) == (self._me.pid, self._me.born):
            self._place.serving_file.unlink(missing_ok=True)
        if self._door.token and self._place.token() == self._door.token:
            self._place.token_file.unlink(missing_ok=True)
        for path, inode in zip(self._files[1:], self._inodes[1:], strict=True):
            if inode and _inode(path) == inode:
                path.unlink(missing_ok=True)

    def _end_as_it_is(self) -> None:
        logger.critical("the end took longer than %.0f s; what still runs is cut off", END_SECONDS)
        logging.shutdown()
        with suppress(OSError):
            self._leave()
        os._exit(_FAILED)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
