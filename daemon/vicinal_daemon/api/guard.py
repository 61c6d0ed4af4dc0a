"""Who may call: the same user's programs, never a web page; and how much they may send.

Owns the checks that come before any route. Pure ASGI. It does not know what is behind it.

Other users are kept out before: by the socket's permissions, on a TCP port by a bearer token (`lifecycle.door`). A
request with an `Origin` is a browser's and is refused, and so is a `Host` that is not this machine (DNS rebinding).
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vicinal_daemon.errors import AccessDenied, TooLarge
from vicinal_daemon.protocol.state import Failed, Trouble
from vicinal_indexer.errors import VicinalError

LOCAL_HOSTS = {"localhost", "127.0.0.1", "[::1]", "vicinal"}


class Guard:
    """Lets through what may pass.

    Args:
        max_body_bytes: of a request's body, whether it tells its length or not.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._most = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = _refusal(headers)
        if refusal is not None:
            message, hint = refusal
            await _refuse(send, 403, AccessDenied(message, hint=hint))
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._most:
            await _refuse(send, 413, TooLarge(self._too_large))
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        """A body in chunks does not tell its length: it is counted as it comes."""
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise HTTPException(413, self._too_large)  # the framework takes another error for a malformed body
            return message

        return counted

    @property
    def _too_large(self) -> str:
        return f"the request has more than {self._most:,} bytes"


async def _refuse(send: Send, status: int, error: VicinalError) -> None:
    body = Failed(error=Trouble.of(error)).model_dump_json().encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refusal(headers: dict[bytes, bytes]) -> tuple[str, str] | None:
    if b"origin" in headers or headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        return "web pages may not ask", "call from a program, without an Origin header"
    host = headers.get(b"host", b"").decode("latin-1").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in LOCAL_HOSTS:
        return f"this is not the host {name!r}", "call localhost"
    return None
