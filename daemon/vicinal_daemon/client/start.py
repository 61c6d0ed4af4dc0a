"""Start the daemon when it is needed, and end it.

Owns the child process that becomes the daemon, and the patience with it. It does not know what a daemon does first.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Final, Literal

from vicinal_daemon.client.connection import Connection, find
from vicinal_daemon.client.http import Client
from vicinal_daemon.config import Settings, settings_table
from vicinal_daemon.errors import DaemonRunning, DaemonUnreachable
from vicinal_daemon.place import Place, daemon_command, log_folder, put_aside_if_large
from vicinal_indexer.errors import VicinalError

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0
"""Longer than the daemon gives itself."""

StopWay = Literal["gone", "asked", "terminated", "killed"]
"""What ended a daemon: nothing (it had ended by itself), a request, SIGTERM, SIGKILL."""

_POLL_SECONDS: Final = 0.03
_AGAIN_SECONDS: Final = 0.5
_TOLD_LINES: Final = 8


def ensure(settings: Settings, wait_seconds: float = START_SECONDS) -> Connection:
    """The daemon that runs and answers, else a new one. Raises as `start` does."""
    # One that ends just now is still there and answers no more.
    return _answering(settings, wait_seconds) or start(settings, wait_seconds)


def start(settings: Settings, wait_seconds: float = START_SECONDS, command: Sequence[str] | None = None) -> Connection:
    """Start a daemon that outlives this process, and wait until it answers. If another comes first, that one is it.

    `command` runs a daemon in the foreground; it is given the settings that no request can change as variables.

    Raises:
        ConfigError: the daemon's folder or the logs' cannot be used.
        DaemonUnreachable: it died, or did not answer in time; the message has the last lines of its stderr.
    """
    Place.of(settings).prepare()
    errors = put_aside_if_large(log_folder(settings) / "daemon.err")
    deadline = time.monotonic() + wait_seconds
    while True:
        began = errors.stat().st_size if errors.exists() else 0
        child = _spawn(command or daemon_command(), settings, errors)
        came_first = False
        again = deadline
        while not (came_first and time.monotonic() >= again):
            if connection := _answering(settings, max(deadline - time.monotonic(), _POLL_SECONDS)):
                return connection
            status = child.poll()
            if status is not None and not came_first:
                if status != DaemonRunning.exit_code:
                    raise DaemonUnreachable(f"the daemon ended at once ({status}){_last_lines(errors, began)}")
                # Another holds the lock. It may be one that ends just now, so ours is offered again in a moment.
                came_first, again = True, time.monotonic() + _AGAIN_SECONDS
            if time.monotonic() >= deadline:
                raise DaemonUnreachable(
                    f"the daemon gives no answer after {wait_seconds:.0f} s{_last_lines(errors, began)}"
                )
            time.sleep(_POLL_SECONDS)


def stop(connection: Connection, wait_seconds: float = STOP_SECONDS) -> StopWay:
    """End the daemon, in order if it will: asked first, after `wait_seconds` told by the system, at last killed.

    Raises:
        DaemonUnreachable: the system does not let this user end it.
    """
    import psutil

    if not connection.is_alive():
        return "gone"
    try:
        with Client(connection, wait_seconds) as client:
            client.shutdown()
        if _went(connection, wait_seconds):
            return "asked"
    except VicinalError:
        pass  # it cannot be asked; it is told
    try:
        if not connection.is_alive():
            return "gone"
        psutil.Process(connection.pid).terminate()
        if _went(connection, wait_seconds):
            return "terminated"
        psutil.Process(connection.pid).kill()
        if _went(connection, wait_seconds):
            return "killed"
    except psutil.NoSuchProcess:
        return "gone"
    except psutil.AccessDenied as error:
        raise DaemonUnreachable(f"process {connection.pid} cannot be ended: {error}") from error
    raise DaemonUnreachable(f"process {connection.pid} outlives SIGKILL", hint="see what it waits for in the kernel")


def _went(connection: Connection, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while connection.is_alive():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _answering(settings: Settings, patience_seconds: float) -> Connection | None:
    connection = find(settings)
    if connection is None:
        return None
    try:
        with Client(connection, patience_seconds) as client:
            client.health()
    except VicinalError:  # it begins or ends just now, or the token is already another
        return None
    return connection


def _spawn(command: Sequence[str], settings: Settings, errors: Path) -> "subprocess.Popen[bytes]":
    with errors.open("ab") as stderr:
        if sys.platform == "win32":
            flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        else:
            flags = 0
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=errors.anchor,  # it holds no folder that someone may want to remove
            env=_environment(settings, os.environ),
            start_new_session=True,
            creationflags=flags,
        )
    # Someone has to wait for it, or it stays a zombie for as long as this process lives.
    threading.Thread(target=child.wait, name="vicinal daemon's end", daemon=True).start()
    return child


def _environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with the settings that no request can change, whatever layer they came from."""
    changed = {row.environment: str(attrgetter(row.key)(settings)) for row in settings_table() if not row.from_repo}
    path = environ.get("PYTHONPATH")
    if path:  # relative to the current folder, which will be another
        changed["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in path.split(os.pathsep))
    return {**environ, **changed}


def _last_lines(errors: Path, began: int) -> str:
    """What was written to the child's stderr, from its start on; the last lines."""
    with errors.open("rb") as file:
        file.seek(began)
        lines = file.read()[-4000:].decode("utf-8", "replace").splitlines()[-_TOLD_LINES:]
    return "".join(f"\n  {line}" for line in lines)
