"""Who may call: the same user's programs, never a web page.

Owns the checks that come before any route. Pure ASGI. It does not know what is behind it.

Other users are kept out before: by the socket's permissions, on a TCP port by a bearer token (`lifecycle.door`). A
request with an `Origin` is a browser's and is refused, and so is a `Host` that is not this machine (DNS rebinding).
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from vicinal_daemon.errors import AccessDenied
from vicinal_daemon.protocol.state import Failed, Trouble

LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "vicinal"}


class Guard:
    """Lets through what may pass."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        refusal = _refusal({name.lower(): value for name, value in scope["headers"]})
        if refusal is None:
            await self._app(scope, receive, send)
            return
        message, hint = refusal
        body = Failed(error=Trouble.of(AccessDenied(message, hint=hint))).model_dump_json().encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _refusal(headers: dict[bytes, bytes]) -> tuple[str, str] | None:
    if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return "web pages may not ask", "call from a program, without an Origin header"
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOCAL_HOSTS:
        return f"this is not the host {name!r}", "call localhost"
    return None
