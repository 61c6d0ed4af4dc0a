"""The way to a daemon: its socket, or its port and token; never a proxy.

Owns what the HTTP client is built from. It does not know what is asked.
"""

import socket
from collections.abc import Iterable
from typing import Any, Final

import httpcore2
import httpx2

from vicinal_daemon.client.connection import Connection

CONNECT_SECONDS: Final = 5.0
_LIMITS: Final = httpx2.Limits(max_connections=32, keepalive_expiry=30.0)


class _Backend(httpcore2.SyncBackend):
    """httpcore's, which leaves the socket open if nobody listens there; this one knocks first, and closes it."""

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(timeout)
            try:
                knock.connect(path)
            except OSError as error:
                raise httpcore2.ConnectError(str(error)) from error
        return super().connect_unix_socket(path, timeout, socket_options)


def open_http(connection: Connection, patience_seconds: float) -> httpx2.Client:
    """An HTTP client for this daemon and nothing else; the caller closes it."""
    # There is no TLS on this machine's own socket; with `verify` certificates would be loaded all the same.
    transport = httpx2.HTTPTransport(uds=connection.socket, verify=False, trust_env=False, limits=_LIMITS)
    if connection.socket:
        transport._pool._network_backend = _Backend()  # HTTPTransport hands none through
    return httpx2.Client(
        transport=transport,
        base_url="http://localhost" if connection.socket else connection.address,
        headers={"Authorization": f"Bearer {connection.token}"} if connection.token else {},
        timeout=httpx2.Timeout(patience_seconds, connect=min(CONNECT_SECONDS, patience_seconds)),
        trust_env=False,
    )
