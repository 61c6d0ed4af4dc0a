"""Where requests come in: the socket in the daemon's folder, or a loopback port that asks for a token.

Owns how the two are opened so that nobody else can come in, and that they can be seen to be still there. It does not
know what is served.
"""

import os
import secrets
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from vicinal_daemon.config import Settings
from vicinal_daemon.errors import AccessDenied, ConfigError
from vicinal_daemon.place import UNIX, Place
from vicinal_daemon.protocol.state import Failed, Trouble

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Door:
    """An open, bound socket; nobody is listening yet. `token` is None where the file's mode is what protects it."""

    socket: socket.socket
    address: str
    token: str | None


def open_door(settings: Settings, place: Place) -> Door:
    """Bind. The caller holds the lock, so that a socket that lies there is a dead daemon's.

    Raises:
        ConfigError: something that is no socket has its name, or the system refuses.
    """
    try:
        if settings.daemon.tcp or sys.platform == "win32":
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            bound.bind((LOOPBACK, 0))
            return Door(bound, f"http://{LOOPBACK}:{bound.getsockname()[1]}", place.make_token())
        return Door(_bind_unix(place.socket), f"{UNIX}{place.socket}", None)
    except OSError as error:
        raise ConfigError(f"nothing can listen in {place.folder}: {error}", hint="set daemon.folder") from error


def _bind_unix(path: Path) -> socket.socket:
    assert sys.platform != "win32"  # noqa: S101 - for the type checker
    if path.is_symlink() or path.exists():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"{path} is no socket, and none of ours", hint="move it away, or set daemon.folder")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # the mode is right from the first moment, not a moment later
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(mask)
    return bound


def with_token(app: App, token: str) -> App:
    """The app, but for those only who show the token (`Authorization: Bearer ...`); others get 401 and a `Trouble`."""
    wanted = f"Bearer {token}".encode("ascii")
    denied = AccessDenied(
        "the daemon's token is missing or wrong", hint="it is in the file `token` in the daemon's folder"
    )
    content = Failed(error=Trouble.of(denied)).model_dump_json().encode()

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        shown = next((value for name, value in scope.get("headers", ()) if name == b"authorization"), b"")
        if scope["type"] == "lifespan" or secrets.compare_digest(shown, wanted):
            await app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return guarded
