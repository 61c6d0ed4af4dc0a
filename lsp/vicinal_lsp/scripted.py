"""An editor without a screen: it drives a language server over a real process's pipes, for tests and benchmarks.

Owns its own texts, and answers what the server asks. It speaks JSON, not our types: what it sends is what is written
here. It knows nothing of how the server works. `answer_to` is what a daemon would answer, for servers without one.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vicinal_daemon.protocol import Answer
    from vicinal_daemon.protocol.requests import CompleteRequest

Json = dict[str, Any]
PATIENCE = 150.0
INLINE = "textDocument/inlineCompletion"
FULL: Json = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {"inlineCompletion": {}, "completion": {}},
    "window": {"workDoneProgress": True, "showDocument": {"support": True}},
    "workspace": {"applyEdit": True, "configuration": True, "workspaceFolders": True},
}


class Refused(Exception):
    """The server answered a request with an error."""

    def __init__(self, error: Json) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


class Reply:
    """What a request will be answered with."""

    def __init__(self, editor: "Editor", number: int | str) -> None:
        self.number = number
        self._editor = editor
        self.message: Json | None = None

    def result(self) -> Any:
        """Wait for it."""
        self._editor.until(lambda: self.message is not None)
        message = self.message or {}
        if "error" in message:
            raise Refused(message["error"])
        return message["result"]


class Editor:
    """Starts a server and talks to it. `answers` says what the user answers to each method that asks."""

    def __init__(self, command: list[str], environment: Mapping[str, str], errors: Path) -> None:
        self._errors = errors
        with errors.open("ab") as stderr:
            self.process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr
            )
        self._news = threading.Condition()
        self._sending = threading.Lock()
        self._replies: dict[int | str, Reply] = {}
        self._number = 0
        self._over = False
        self.patience = PATIENCE
        self.heard: list[Json] = []
        self.asked: list[Json] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}
        self._source, self._sink = self._pipes()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Editor":
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in {self._source, self._sink, self.process.stdin, self.process.stdout} - {None}:
            with suppress(BrokenPipeError):
                pipe.close()

    def _pipes(self) -> tuple[Any, Any]:
        """What the server writes, and what it reads."""
        return self.process.stdout, self.process.stdin

    def initialize(self, *folders: Path, capabilities: Json | None = None, options: Any = None, **more: Any) -> Json:
        """The handshake; returns the server's capabilities."""
        asked = {
            "processId": None,
            "rootUri": folders[0].as_uri() if folders else None,
            "workspaceFolders": [{"uri": folder.as_uri(), "name": folder.name} for folder in folders],
            "capabilities": FULL if capabilities is None else capabilities,
            "initializationOptions": options,
        }
        result: Json = self.request("initialize", {**asked, **more}).result()
        self.notify("initialized", {})
        found: Json = result["capabilities"]
        return found

    def quit(self) -> int:
        """Leave in order; the server's exit status."""
        self.request("shutdown", None).result()
        self.notify("exit", None)
        return self.process.wait(PATIENCE)

    def open(self, path: Path, text: str | None = None, language: str = "python") -> str:
        """Open a document; returns its URI."""
        return self.open_uri(path.as_uri(), path.read_text() if text is None else text, language)

    def open_uri(self, uri: str, text: str, language: str = "python") -> str:
        """Open a document that may not be a file."""
        self.texts[uri], self.versions[uri] = text, 1
        document = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        return uri

    def type(self, uri: str, text: str, at: int | None = None, end: int | None = None) -> int:
        """Put a text in place of [at, end), by default at the end of the document; the offset behind it."""
        old = self.texts[uri]
        at = len(old) if at is None else at
        end = at if end is None else end
        change = {"range": {"start": self.position(uri, at), "end": self.position(uri, end)}, "text": text}
        self.texts[uri] = old[:at] + text + old[end:]
        self.versions[uri] += 1
        self.notify(
            "textDocument/didChange",
            {"textDocument": {"uri": uri, "version": self.versions[uri]}, "contentChanges": [change]},
        )
        return at + len(text)

    def position(self, uri: str, offset: int) -> Json:
        """Of an offset, in UTF-16."""
        before = self.texts[uri][:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
        return {"line": len(before) - 1, "character": len(before[-1].encode("utf-16-le")) // 2}

    def inline(self, uri: str, offset: int | None = None, kind: int = 1, **context: Any) -> Reply:
        """Ask for an inline completion; by default at the end, invoked."""
        offset = len(self.texts[uri]) if offset is None else offset
        return self.request(
            INLINE,
            {
                "textDocument": {"uri": uri},
                "position": self.position(uri, offset),
                "context": {"triggerKind": kind, **context},
            },
        )

    def command(self, name: str, *arguments: Any) -> Any:
        """Execute a command and wait for what it returns."""
        return self.request("workspace/executeCommand", {"command": name, "arguments": list(arguments)}).result()

    def request(self, method: str, params: Any) -> Reply:
        with self._news:
            self._number += 1
            reply = self._replies[self._number] = Reply(self, self._number)
        self.send({"jsonrpc": "2.0", "id": reply.number, "method": method, "params": params})
        return reply

    def awaited(self, number: int | str) -> Any:
        """The result of a request that was sent raw; wait for it."""
        with self._news:
            reply = self._replies.setdefault(number, Reply(self, number))
        return reply.result()

    def cancel(self, reply: Reply) -> None:
        self.notify("$/cancelRequest", {"id": reply.number})

    def notify(self, method: str, params: Any) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, message: Json) -> None:
        body = json.dumps(message).encode()
        self.raw(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def raw(self, data: bytes) -> None:
        """Bytes, whatever they are."""
        with self._sending:
            self._sink.write(data)
            self._sink.flush()

    def told(self, method: str) -> list[Any]:
        """The params of all notifications of a method so far."""
        with self._news:
            return [message.get("params") for message in self.heard if message["method"] == method]

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until something that the server says makes this true."""
        deadline = time.monotonic() + self.patience
        with self._news:
            while not condition():
                if self._over or time.monotonic() >= deadline:
                    what = "the server is gone" if self._over else "waited in vain"
                    raise TimeoutError(f"{what}\n{self._errors.read_text()}")
                self._news.wait(max(0.0, deadline - time.monotonic()))

    def _read(self) -> None:
        stream = self._source
        while True:
            length = 0
            while (line := stream.readline()).strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            if not line:
                break
            message = json.loads(stream.read(length))
            with self._news:
                self._take(message)
                self._news.notify_all()
        with self._news:
            self._over = True
            self._news.notify_all()

    def _take(self, message: Json) -> None:
        if "method" not in message:
            self._replies.setdefault(message["id"], Reply(self, message["id"])).message = message
        elif "id" not in message:
            self.heard.append(message)
        else:
            self.asked.append(message)
            answer: Callable[[Any], Any] = self.answers.get(message["method"], self._usual)
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}
            threading.Thread(target=self.send, args=(reply,), daemon=True).start()

    def _usual(self, message: Json) -> Any:
        """What an editor answers by itself; edits are applied."""
        method, params = message["method"], message.get("params") or {}
        if method == "workspace/applyEdit":
            for uri, edits in (params["edit"].get("changes") or {}).items():
                for edit in edits:
                    start, end = (self.offset(uri, edit["range"][side]) for side in ("start", "end"))
                    self.type(uri, edit["newText"], start, end)
            return {"applied": True}
        if method == "window/showDocument":
            return {"success": True}
        if method == "workspace/configuration":
            return [None for _ in params["items"]]
        return None

    def offset(self, uri: str, position: Json) -> int:
        """Of a position in UTF-16."""
        rows = self.texts[uri].split("\n")
        units = rows[position["line"]].encode("utf-16-le")[: position["character"] * 2]
        return sum(len(row) + 1 for row in rows[: position["line"]]) + len(units.decode("utf-16-le"))


def answer_to(request: "CompleteRequest", *texts: str) -> "Answer":
    """An answer of the base model, half sure, with these texts; the first is the completion."""
    from vicinal_daemon.protocol.answers import Adaptation, Answer, Confidence, Text

    best, *others = (Text(text=text, tokens=1, mean_log_probability=-1, seconds=0) for text in texts)
    halves: dict[str, Any] = dict.fromkeys(("value", "explained", "token_probability", "least_probability"), 0.5)
    sigmas: dict[str, Any] = dict.fromkeys(("sigma_0", "sigma_n", "sigma_inf"), 1.0)
    return Answer(
        id=request.id,
        repository="",
        path=request.path,
        line=request.line,
        column=request.column,
        completion=best,
        alternatives=others,
        base=None,
        present="",
        confidence=Confidence(curve=[1.0], **halves, **sigmas),
        adaptation=Adaptation(kind="base", strategy="none", steps=0, losses=[], scale=0, guard=None),
        evidence=[],
        candidates=0,
        skipped_files=0,
        model="",
        device="cpu",
        seed=0,
        trigger=request.trigger,
        seconds={},
    )
