"""Who may call: the same user's programs, never a web page.

Owns the checks that come before any route. Pure ASGI. It does not know what is behind it.

On a Unix socket the file's permissions keep others out. On a TCP port a bearer token does. In both cases a request with
an `Origin` is a browser's and is refused, and so is a `Host` that is not this machine (DNS rebinding).
"""

import json
import secrets

from starlette.types import ASGIApp, Receive, Scope, Send

from vicinal_daemon.errors import AccessDenied, error_type

LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "vicinal"}


class Guard:
    """Lets through what may pass.

    Args:
        app: what is guarded.
        token: what callers must show; None on a Unix socket.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = self._refusal({name.lower(): value for name, value in scope["headers"]})
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, message, hint = refusal
        trouble = {"type": error_type(AccessDenied), "message": message, "hint": hint, "exit_code": 5}
        body = json.dumps({"error": trouble}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            return 403, "web pages may not ask", "call from a program, without an Origin header"
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in LOCAL_HOSTS:
            return 403, f"this is not the host {name!r}", "call localhost"
        if self._token is not None:
            shown = headers.get(b"authorization", b"")
            if not secrets.compare_digest(shown, b"Bearer " + self._token.encode()):
                return 401, "the token is missing or wrong", "send Authorization: Bearer and the token in daemon.folder"
        return None
