"""Messages as bytes: four bytes of length, then a pickle of an `Envelope`.

Owns the framing and what may be in a frame: our own messages and paths, nothing else. It does not know who talks.
"""

import asyncio
import io
import pickle
import struct
from typing import Any, BinaryIO

from vicinal_daemon.worker.messages import Envelope

_LENGTH = struct.Struct(">I")
MAX_BYTES = 256 * 2**20
"""More than any request holds; a longer frame is garbage."""

_OURS = {"vicinal_daemon.worker.messages", "vicinal_daemon.target"}


class BadFrame(Exception):
    """The bytes are no message of ours: the two ends have lost each other."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module in _OURS or module.split(".")[0] == "pathlib":
            return super().find_class(module, name)
        raise BadFrame(f"a frame names {module}.{name}")


def pack(envelope: Envelope) -> bytes:
    """One frame."""
    body = pickle.dumps(envelope, protocol=5)
    return _LENGTH.pack(len(body)) + body


def read(stream: BinaryIO) -> Envelope | None:
    """The next message; None at the end of the stream.

    Raises:
        BadFrame: something else came, or half a frame.
    """
    head = stream.read(_LENGTH.size)
    if not head:
        return None
    length = _length(head)
    body = stream.read(length)
    if len(body) < length:
        raise BadFrame("the stream ends inside a frame")
    return _unpack(body)


async def receive(stream: asyncio.StreamReader) -> Envelope | None:
    """As `read`, without blocking."""
    try:
        head = await stream.readexactly(_LENGTH.size)
        return _unpack(await stream.readexactly(_length(head)))
    except asyncio.IncompleteReadError:
        return None  # the other end died; half a message is none


def _length(head: bytes) -> int:
    if len(head) < _LENGTH.size:
        raise BadFrame("the stream ends inside a frame")
    length: int = _LENGTH.unpack(head)[0]
    if length > MAX_BYTES:
        raise BadFrame(f"a frame of {length} bytes")
    return length


def _unpack(body: bytes) -> Envelope:
    try:
        envelope = _Unpickler(io.BytesIO(body)).load()
    except BadFrame:
        raise
    except Exception as error:
        raise BadFrame(f"a frame cannot be read: {error!r}") from error
    if not isinstance(envelope, Envelope):
        raise BadFrame("a frame holds no message")
    return envelope
