"""Where a daemon's files lie and what they say: the lock, the socket, the token, and who serves.

Owns the safety of their folder, the shape of `daemon.json`, and what tells one process from the next with its pid. It
does not know how a daemon is started, reached or ended: `lifecycle` writes here, `client` reads.
"""

import functools
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from operator import attrgetter
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from vicinal_daemon.config import Settings, settings_table
from vicinal_daemon.errors import ConfigError
from vicinal_indexer.atomic import replace_text

UNIX: Final = "unix:"
SOCKET_PATH_BYTES: Final = 100
"""What every platform allows: 108 on Linux and 104 on macOS, both with a zero at the end."""

LOG_BYTES: Final = 5_000_000
"""At which a log is put aside."""

_LINUX_PROC: Final = Path("/proc/self/stat").exists()
_ELSEWHERE: Final = "set daemon.folder (or VICINAL_DAEMON_FOLDER) to a short path that only you can write to"


class Serving(BaseModel):
    """`daemon.json`: who serves, and where.

    Attributes:
        born: tells this process from a later one with the same pid (`birth`).
        address: `unix:PATH` or `http://127.0.0.1:PORT`.
        version: of the daemon's Vicinal.
        started: seconds since the epoch.
        fingerprint: of the settings that no request can change (`fingerprint`).
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer daemon may say more

    pid: int
    born: str
    address: str
    version: str
    started: float
    fingerprint: str

    def is_alive(self) -> bool:
        """Whether that process still runs."""
        return birth(self.pid) == self.born


@dataclass(frozen=True, slots=True)
class Place:
    """The daemon's files, all in one folder of the user's own."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings) -> "Place":
        """The place that the settings name; nothing is touched."""
        return cls(settings.daemon.folder)

    @property
    def lock(self) -> Path:
        """Held by the daemon as long as it lives."""
        return self.folder / "daemon.lock"

    @property
    def socket(self) -> Path:
        """Where it listens, unless that is a TCP port."""
        return self.folder / "daemon.sock"

    @property
    def serving_file(self) -> Path:
        """`daemon.json`, there while the daemon accepts requests."""
        return self.folder / "daemon.json"

    @property
    def token_file(self) -> Path:
        """What a client must show on a TCP port; only the user can read it."""
        return self.folder / "token"

    def prepare(self) -> None:
        """Make the folder, or see that the one there is safe.

        Raises:
            ConfigError: it cannot be made, belongs to another user, others can write to it, or the socket's path in it
                would be longer than the platform allows.
        """
        if sys.platform != "win32" and len(os.fsencode(self.socket)) > SOCKET_PATH_BYTES:
            raise ConfigError(
                f"{self.socket} is too long for a socket: at most {SOCKET_PATH_BYTES} bytes", hint=_ELSEWHERE
            )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.stat()
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be the daemon's folder: {error}", hint=_ELSEWHERE) from error
        if sys.platform != "win32":
            if found.st_uid != os.getuid():
                raise ConfigError(f"{self.folder} belongs to another user", hint=_ELSEWHERE)
            if stat.S_IMODE(found.st_mode) & 0o022:
                raise ConfigError(f"others can write to {self.folder}", hint=f"chmod 700 it, or {_ELSEWHERE}")

    def serving(self) -> Serving | None:
        """Who serves, as `daemon.json` says; None if it is not there or not a daemon's. That process may be dead."""
        try:
            return Serving.model_validate_json(self.serving_file.read_bytes())
        except (OSError, ValidationError):
            return None

    def announce(self, serving: Serving) -> None:
        """Say who serves.

        Raises:
            ConfigError: the file cannot be written.
        """
        with _writing(self.serving_file):
            replace_text(self.serving_file, serving.model_dump_json(indent=2) + "\n")

    def make_token(self) -> str:
        """A fresh secret, in a file that only the user can read from its first byte on.

        Raises:
            ConfigError: the file cannot be written.
        """
        token = secrets.token_urlsafe(32)
        temporary = self.token_file.with_name(f".token.{os.getpid()}.part")
        with _writing(self.token_file):
            temporary.unlink(missing_ok=True)  # of a killed process that had our pid
            opened = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(opened, "w", encoding="ascii") as file:
                file.write(token)
            temporary.replace(self.token_file)
        return token

    def token(self) -> str | None:
        """The secret of the daemon that serves on a TCP port; None if there is none."""
        try:
            return self.token_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be written: {error}", hint=f"free some disk space, or {_ELSEWHERE}"
        ) from error


def fingerprint(settings: Settings) -> str:
    """Names the values of the settings that no request can change, where the daemon's files lie aside."""
    rows = [row.key for row in settings_table() if not row.from_repo and not row.key.startswith("daemon.")]
    text = "\n".join(f"{key}={attrgetter(key)(settings)}" for key in rows)
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def log_folder(settings: Settings) -> Path:
    """The folder of the daemon's logs, made if it is not there.

    Raises:
        ConfigError: it cannot be made.
    """
    folder = settings.daemon.log_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be the folder of logs: {error}", hint="set daemon.log_dir") from error
    return folder


def put_aside_if_large(path: Path) -> Path:
    """Rename a log that has outgrown its limit to `NAME.1`; returns `path`. For files that a process holds open."""
    with suppress(OSError):  # not there yet, or held open on Windows: it is put aside the next time
        if path.stat().st_size > LOG_BYTES:
            path.replace(path.with_name(path.name + ".1"))
    return path


def daemon_command() -> tuple[str, ...]:
    """What runs a daemon in the foreground. `-P`: a folder that happens to be the current one is not imported from."""
    return (sys.executable, "-P", "-m", "vicinal_daemon.cli", "daemon", "run")


def birth(pid: int) -> str | None:
    """What tells the process with this pid from all others that ever have it; None if it does not run.

    Not the wall-clock time of its creation where that can be avoided: it moves when the clock is set.
    """
    if _LINUX_PROC:
        try:
            # After the name, which may hold anything, come the state and, 19 fields on, the start in ticks since boot.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if fields[0] in b"ZX" else f"{_boot()}:{fields[19].decode()}"
    import psutil  # late: it takes a while to import, and is not needed above

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.Error:
        return None


@functools.cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # some sandboxes have none; ticks alone tell enough until the machine starts anew
        return ""
