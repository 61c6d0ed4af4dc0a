"""What a broken or hostile client may send: the server answers what can be answered, and goes on."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import INLINE, Editor, Refused

PLACE = {"textDocument": {"uri": "untitled:1"}, "position": {"line": 0, "character": 0}}


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def started(folder: Path) -> Iterator[Editor]:
    """A server without a daemon: its settings are bad, which it says once."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VICINAL_")}
    environment |= {"VICINAL_TUNE_STEPS": "many", "XDG_CONFIG_HOME": str(folder)}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    command = [sys.executable, "-m", "vicinal_lsp", "--stdio", "--log", str(folder / "log")]
    with Editor(command, environment, folder / "errors") as editor:
        yield editor


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Editor]:
    """One that nobody has spoken to."""
    with started(tmp_path) as editor:
        yield editor


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """One that has to bear everything, one after another."""
    with started(tmp_path_factory.mktemp("patient")) as editor:
        editor.initialize()
        yield editor
        assert editor.quit() == 0


def is_well(server: Editor) -> bool:
    """Whether requests are still answered."""
    uri = server.open_uri(f"untitled:{len(server.texts)}", "x")
    with pytest.raises(Refused, match="not defined"):
        server.command("vicinal.unknown")
    return bool(server.inline(uri, kind=2).result() == {"items": []})


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc": "2.0", "id": 1, "method": ',
        b"\xff\xfe\x00garbage",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"{}",
        b"[" * 100_000,
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "1.0", "id": 900, "method": "shutdown"}',
        b'{"jsonrpc": "2.0", "id": 901, "result": null}',
    ],
    ids=lambda body: body[:40].decode("ascii", "replace"),
)
def test_what_is_no_message_is_passed_over(patient: Editor, body: bytes) -> None:
    patient.raw(framed(body))
    assert is_well(patient)


@pytest.mark.parametrize(
    "header",
    [
        b"X" * 300_000 + b"\r\n",
        b"Content-Length: many\r\n\r\n",
        b"Content-Length: -5\r\n\r\n",
        b"Content-Length: 1000000000000000000\r\n\r\n",
        b"\r\n\r\n\r\n",
    ],
    ids=["long", "no number", "negative", "huge", "empty"],
)
def test_what_is_no_header_is_passed_over(patient: Editor, header: bytes) -> None:
    patient.raw(header)
    assert is_well(patient)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        (INLINE, None),
        (INLINE, {}),
        (INLINE, []),
        (INLINE, PLACE | {"position": "here", "context": {"triggerKind": 1}}),
        (INLINE, PLACE | {"position": {"line": "a", "character": None}, "context": {"triggerKind": 1}}),
        (INLINE, {"textDocument": 7, "position": {}, "context": 7}),
        ("workspace/executeCommand", {}),
        ("workspace/executeCommand", {"command": 7}),
        ("workspace/executeCommand", {"command": "vicinal.toggle", "arguments": [[1]]}),
        ("vicinal/unknown", {}),
        ("textDocument/hover", PLACE),
    ],
)
def test_a_request_that_cannot_be_read_is_answered_with_an_error(patient: Editor, method: str, params: Any) -> None:
    with pytest.raises(Refused):
        patient.request(method, params).result()
    assert is_well(patient)


def test_odd_places_and_documents_are_answered(patient: Editor) -> None:
    uri = patient.open_uri("untitled:odd", "x = 1\n")
    context = {"triggerKind": 2}
    for place in ((0, 10**6), (10**6, 0), (2**31 - 1, 2**31 - 1)):
        position = dict(zip(("line", "character"), place, strict=True))
        params = {"textDocument": {"uri": uri}, "position": position, "context": context}
        assert patient.request(INLINE, params).result() == {"items": []}
    assert patient.request(INLINE, PLACE | {"context": context}).result() == {"items": []}
    for strange in ("", "not a uri", "file://", "http://[bad", "file:///%00"):
        params = PLACE | {"textDocument": {"uri": strange}, "context": context}
        assert patient.request(INLINE, params).result() == {"items": []}


def test_notifications_with_garbage_are_passed_over(patient: Editor) -> None:
    for method in (
        "textDocument/didOpen",
        "textDocument/didChange",
        "textDocument/didClose",
        "textDocument/didShowCompletion",
        "textDocument/didPartiallyAcceptCompletion",
        "workspace/didChangeConfiguration",
        "workspace/didChangeWorkspaceFolders",
        "window/workDoneProgress/cancel",
        "notebookDocument/didOpen",
        "$/cancelRequest",
        "$/unknown",
        "unknown",
    ):
        for params in (None, {}, [], 7, {"textDocument": {"uri": 7}}, {"item": {"command": 7}}, {"settings": [1]}):
            patient.notify(method, params)
    for changes in (None, [], [{}], [{"range": 7, "text": "x"}], [{"text": None}]):
        document = {"uri": "untitled:never", "version": 2}
        patient.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})
    assert is_well(patient)


def test_a_request_before_the_handshake_is_refused(server: Editor) -> None:
    with pytest.raises(Refused):
        server.request(INLINE, PLACE | {"context": {"triggerKind": 1}}).result()
    server.notify("textDocument/didOpen", {"textDocument": {"uri": "untitled:0", "text": ""}})
    assert server.initialize()
    assert is_well(server)
    assert server.quit() == 0


@pytest.mark.parametrize("params", [{}, {"capabilities": 7}, [], None])
def test_a_broken_handshake_can_be_tried_again(server: Editor, params: Any) -> None:
    with pytest.raises(Refused):
        server.request("initialize", params).result()
    assert server.initialize()
    assert server.quit() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"processId": "a"},
        {"rootUri": 7},
        {"workspaceFolders": [7, {"uri": None}]},
        {"capabilities": {"window": [], "textDocument": {"synchronization": 7}, "general": {"positionEncodings": [7]}}},
    ],
)
def test_a_handshake_that_is_partly_wrong_is_taken_for_what_it_says(server: Editor, wrong: Any) -> None:
    server.request("initialize", {"capabilities": {}, "processId": None, "rootUri": None} | wrong).result()
    server.notify("initialized", {})
    assert is_well(server)
    assert server.quit() == 0


@pytest.mark.parametrize("options", [7, [1], "text", {"vicinal": 7}, {"enabled": "maybe"}, {"unknown": {"a": [None]}}])
def test_bad_options_are_told_and_do_not_hinder(server: Editor, options: Any) -> None:
    server.initialize(options=options)
    assert is_well(server)
    assert any(told["type"] == 2 for told in server.told("window/showMessage"))
    assert server.quit() == 0


def test_bad_settings_of_the_daemon_are_told_once(server: Editor) -> None:
    server.initialize()
    uri = server.open_uri("untitled:text", "x = f(")
    server.until(lambda: server.told("window/showMessage"))
    for _ in range(3):
        assert server.inline(uri, kind=2).result() == {"items": []}
    told = [message["message"] for message in server.told("window/showMessage")]
    assert len(told) == 1
    assert "tune.steps" in told[0]
    assert server.told("didChangeStatus")[-1]["kind"] == "Error"
    assert server.quit() == 0


@pytest.mark.parametrize("greeted", [True, False], ids=["after the handshake", "before"])
def test_a_client_that_vanishes_ends_the_server(server: Editor, greeted: bool) -> None:
    if greeted:
        server.initialize()
        server.open_uri("untitled:text", "x = f(")
    assert server.process.stdin is not None
    server.process.stdin.close()
    server.process.wait(60)


def test_a_message_in_pieces_is_one_message(patient: Editor) -> None:
    message = {"jsonrpc": "2.0", "method": "$/unknown", "params": {"text": "😋" * 1000}}
    data = framed(json.dumps(message, ensure_ascii=False).encode())
    for at in range(0, len(data), 7):
        patient.raw(data[at : at + 7])
    assert is_well(patient)
