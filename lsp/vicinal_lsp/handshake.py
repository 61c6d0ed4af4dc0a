"""The first word: `initialize` is answered before the libraries that do the rest are loaded: they take half a second.

Owns what we say we can do, and the replay of `initialize` to the server once it is there. It is given pipes, and
imports next to nothing. `tests/lsp/test_handshake.py` holds what is said here against what the server says of itself.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, BinaryIO, Final, Protocol

from vicinal_indexer import __version__
from vicinal_lsp.settings import LspSettings, parse

Json = dict[str, Any]
COMMAND_NAMES: Final = (
    "vicinal.accept",
    "vicinal.acceptWord",
    "vicinal.acceptLine",
    "vicinal.explain",
    "vicinal.query",
    "vicinal.status",
    "vicinal.restartDaemon",
    "vicinal.toggle",
    "vicinal.excludeFile",
    "vicinal.eraseFeedback",
)
MENU_TRIGGERS: Final = (".", "(", "[", "{", " ", "=", ":", ",", "\n", "\t")
NOTEBOOKS: Final = {"notebookSelector": [{"cells": [{"language": "python"}]}]}
_ENCODINGS: Final = ("utf-8", "utf-16", "utf-32")
_INCREMENTAL: Final = 2
MAX_BYTES: Final = 200_000_000
"""Of one message; the largest document that is ever completed is a hundredth of that."""

log = logging.getLogger(__name__)


def shows_menu(settings: LspSettings, inline: object) -> bool:
    """Whether completions come as menu items, too.

    Args:
        inline: the client's capability for inline ones; None if it has none.
    """
    return settings.menu == "on" or (settings.menu == "auto" and inline is None)


def capabilities(params: Mapping[str, Any]) -> Json:
    """What we can do for the client that sent these parameters of `initialize`."""
    client = params["capabilities"]
    offered = (client.get("general") or {}).get("positionEncodings") or ()
    text = client.get("textDocument") or {}
    settings, _ = parse(params.get("initializationOptions"))
    found: Json = {
        "positionEncoding": next((name for name in offered if name in _ENCODINGS), "utf-16"),
        "textDocumentSync": {"openClose": True, "change": _INCREMENTAL, "save": True},
        "executeCommandProvider": {"commands": list(COMMAND_NAMES)},
        "inlineCompletionProvider": {},
        "workspace": {
            "workspaceFolders": {"supported": True, "changeNotifications": True},
            "fileOperations": {},
        },
    }
    if client.get("notebookDocument") is not None:
        found["notebookDocumentSync"] = NOTEBOOKS
    if shows_menu(settings, text.get("inlineCompletion")):
        found["completionProvider"] = {"triggerCharacters": list(MENU_TRIGGERS)}
    return found


def greet(source: BinaryIO, sink: BinaryIO) -> tuple["Replayed", "Answered"]:
    """Read the first message; if it is a sound `initialize`, answer it.

    Returns:
        Source and sink for the server: what was read is read again there, and its answer is not sent twice.
    """
    read, body = read_message(source)
    answer = _answer(body)
    if answer is None:
        return Replayed(source, read), Answered(sink, None)
    data = json.dumps(answer).encode()
    sink.write(b"Content-Length: %d\r\n\r\n" % len(data) + data)
    sink.flush()
    return Replayed(source, read), Answered(sink, answer["id"])


def _answer(body: bytes) -> Json | None:
    """What is answered to a message; None if it is not for us to answer."""
    try:
        message = json.loads(body)
        if message["method"] != "initialize" or not isinstance(message["id"], int | str):
            return None
        found = capabilities(message["params"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # the server tells the client what is wrong with it
    server = {"name": "vicinal", "version": __version__}
    return {"jsonrpc": "2.0", "id": message["id"], "result": {"capabilities": found, "serverInfo": server}}


class Source(Protocol):
    """What is read of a file."""

    def readline(self) -> bytes: ...
    def read(self, size: int, /) -> bytes: ...


def read_message(source: Source) -> tuple[bytes, bytes]:
    """All that was read up to the end of a message, and the message's body; nothing at the end.

    A message that is longer than `MAX_BYTES`, as a broken header may say, is no message: a blank line takes its place.
    """
    header = b""
    length = 0
    while (line := source.readline()).strip():
        header += line
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
    if length > MAX_BYTES:
        log.error("a message of %d bytes is left out", length)
        return b"\r\n", b""
    body = source.read(length) if length else b""
    return header + line + body, body


class Replayed:
    """A source that first says again what was read from it."""

    def __init__(self, source: BinaryIO, read: bytes) -> None:
        self._source = source
        self._left = read

    def readline(self) -> bytes:
        """As of a file."""
        if not self._left:
            return self._source.readline()
        line, newline, self._left = self._left.partition(b"\n")
        return line + newline

    def read(self, size: int) -> bytes:
        """As of a file."""
        if not self._left:
            return self._source.read(size)
        data, self._left = self._left[:size], self._left[size:]
        return data + (self._source.read(size - len(data)) if len(data) < size else b"")


class Answered:
    """A sink that leaves out the answer to the message with this id, as that is given; None leaves out nothing."""

    def __init__(self, sink: BinaryIO, identity: int | str | None) -> None:
        self._sink = sink
        self._identity = identity

    def write(self, data: bytes) -> int:
        """As of a file; pygls writes one message at a time."""
        if self._identity is not None:
            message = json.loads(data.partition(b"\r\n\r\n")[2])
            if message.get("id") == self._identity and "method" not in message:
                self._identity = None
                return len(data)
        return self._sink.write(data)

    def flush(self) -> None:
        """As of a file."""
        self._sink.flush()

    def close(self) -> None:
        """As of a file."""
        self._sink.close()
