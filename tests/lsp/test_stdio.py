"""What comes in one breath is handled one by one."""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from echoes import digest_of

from vicinal_lsp.scripted import INLINE, Editor

ECHO = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]


def frame(message: dict[str, object]) -> bytes:
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Remote(Editor):
    """An editor that is connected over TCP."""

    def _pipes(self) -> tuple[Any, Any]:
        assert self.process.stdout is not None
        host, _, port = self.process.stdout.readline().decode().split()[-1].rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            return connection.makefile("rb"), connection.makefile("wb")


@pytest.mark.parametrize(("kind", "arguments"), [(Editor, []), (Remote, ["tcp"])])
def test_a_request_sees_the_text_that_its_client_had(tmp_path: Path, kind: type[Editor], arguments: list[str]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)}
    with kind([*ECHO, *arguments], environment, tmp_path / "errors") as editor:
        editor.initialize(options={"minConfidence": 0})
        text = "order = f("
        uri = editor.open_uri("untitled:1", text)
        offset = len(text)
        end = {"line": 0, "character": offset}
        asked = {"textDocument": {"uri": uri}, "position": end, "context": {"triggerKind": 1}}
        answers = 0
        change = {"range": {"start": end, "end": end}, "text": "b, "}
        for version in range(1, 6):
            changed = {"textDocument": {"uri": uri, "version": version + 1}, "contentChanges": [change]}
            editor.raw(
                frame({"id": f"early {version}", "method": INLINE, "params": asked})
                + frame({"method": "textDocument/didChange", "params": changed})
            )
            editor.awaited(f"early {version}")
            # Nothing is told of an answer that comes behind the change; one that comes before it is for the older text.
            told = [(said["version"], said["model"]) for said in editor.told("vicinal/answer")]
            assert told[answers:] in ([], [(version, digest_of(text, offset))])
            answers = len(told)
            text = text[:offset] + "b, " + text[offset:]
        assert editor.quit() == 0
