"""What is said before the server is there must be what the server says; and nothing that was read may be lost."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_lsp.commands import COMMANDS
from vicinal_lsp.handshake import COMMAND_NAMES, capabilities, greet
from vicinal_lsp.scripted import FULL
from vicinal_lsp.server import VicinalServer

CLIENTS: dict[str, Any] = {
    "everything": {"capabilities": FULL},
    "nothing": {"capabilities": {}},
    "no inline completions": {"capabilities": {"textDocument": {"completion": {}}}},
    "counts bytes": {"capabilities": {"general": {"positionEncodings": ["utf-8", "utf-16"]}}},
    "counts in its own way": {"capabilities": {"general": {"positionEncodings": ["ebcdic"]}}},
    "notebooks": {"capabilities": {"notebookDocument": {"synchronization": {}}, "textDocument": {}}},
    "wants the menu": {"capabilities": FULL, "initializationOptions": {"menu": "on"}},
    "wants no menu": {"capabilities": {}, "initializationOptions": {"vicinal": {"menu": "off"}}},
    "has bad settings": {"capabilities": {}, "initializationOptions": ["menu"]},
}


class Heard:
    """What a server writes."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def write(self, data: bytes) -> None:
        self.messages.append(json.loads(data.partition(b"\r\n\r\n")[2]))

    def close(self) -> None:
        pass


def message(body: dict[str, Any], header: bytes = b"") -> bytes:
    data = json.dumps(body).encode()
    return header + b"Content-Length: %d\r\n\r\n" % len(data) + data


def request(params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {"processId": None, "rootUri": None} | params}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.filterwarnings("ignore:unclosed")
def test_the_server_says_the_same_of_itself(client: str) -> None:
    server, heard = VicinalServer(), Heard()
    server.protocol.set_writer(heard)
    server.protocol.handle_message(
        json.loads(json.dumps(request(CLIENTS[client])), object_hook=server.protocol.structure_message)
    )
    assert heard.messages[0]["result"]["capabilities"] == capabilities(request(CLIENTS[client])["params"])


def test_every_command_is_named() -> None:
    assert set(COMMAND_NAMES) == set(COMMANDS)


def test_initialize_is_answered_once_and_read_again() -> None:
    first, second = message(request({"capabilities": {}}), b"Content-Type: x\r\n"), message({"method": "initialized"})
    sink = io.BytesIO()
    source, answered = greet(io.BytesIO(first + second), sink)
    said = json.loads(sink.getvalue().partition(b"\r\n\r\n")[2])
    assert said["id"] == 7
    assert said["result"]["serverInfo"]["name"] == "vicinal"
    assert source.read(len(first) + len(second)) == first + second
    before = sink.getvalue()
    answered.write(message({"jsonrpc": "2.0", "method": "window/logMessage", "params": {}}))
    answered.write(message({"jsonrpc": "2.0", "id": 7, "result": {}}))
    answered.write(message({"jsonrpc": "2.0", "id": 7, "result": "of another request"}))
    assert sink.getvalue().count(b"Content-Length") == before.count(b"Content-Length") + 2


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\r\n",
        b"Content-Length: 4\r\n\r\nnull",
        b"Content-Length: many\r\n\r\n{}",
        b"Content-Length: 100\r\n\r\n{",
        message({"jsonrpc": "2.0", "id": 1, "method": "shutdown"}),
        message({"jsonrpc": "2.0", "method": "initialize", "params": {"capabilities": {}}}),
        message({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": []}),
        message({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": None}}),
        message({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {"general": [1]}}}),
        message({"jsonrpc": "2.0", "id": [], "method": "initialize", "params": {"capabilities": {}}}),
    ],
)
def test_what_is_no_sound_initialize_is_left_to_the_server(first: bytes) -> None:
    sink = io.BytesIO()
    source, answered = greet(io.BytesIO(first), sink)
    assert sink.getvalue() == b""
    assert source.read(10_000) == first
    answered.write(message({"jsonrpc": "2.0", "id": 1, "error": {}}))
    assert sink.getvalue()


@given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=20))
def test_nothing_that_was_read_is_lost(data: bytes, sizes: list[int]) -> None:
    source, _ = greet(io.BytesIO(data), io.BytesIO())
    got = b""
    for size in sizes:
        got += source.readline() if size % 2 else source.read(size)
    assert data.startswith(got)
    assert got + source.read(1000) == data
