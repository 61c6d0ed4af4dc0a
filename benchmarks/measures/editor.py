"""A language server beside the benchmark's daemon, and somebody who types into it.

Owns the editor's clock and the rhythm of keys. It does not know what is made of the times.
"""

import ast
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measures.house import House
from vicinal_lsp.scripted import Editor, Json

COMMAND = [sys.executable, "-m", "vicinal_daemon.cli", "lsp"]
KEYS_PER_SECOND = 5.0
INVOKED, AUTOMATIC = 1, 2


class Clocked(Editor):
    """An editor that notes of each reply, by the request's number, when it came and how many items it brought.

    Times are in seconds of `time.perf_counter`.
    """

    def __init__(self, home: House) -> None:
        self.came: dict[int, float] = {}
        self.offered: dict[int, int] = {}
        super().__init__(COMMAND, os.environ | dict(home.environment), home.folder / "lsp.log")

    def _take(self, message: Json) -> None:
        if "method" not in message:
            self.came[message["id"]] = time.perf_counter()
            result = message.get("result")
            self.offered[message["id"]] = len(result.get("items", [])) if isinstance(result, dict) else 0
        super()._take(message)


@contextmanager
def serving(home: House, root: Path, **options: Any) -> Iterator[Clocked]:
    """A server that has met the daemon; it leaves in order."""
    with Clocked(home) as editor:
        editor.initialize(root, options=options)
        editor.until(lambda: any(told["message"] == "ready" for told in editor.told("didChangeStatus")))
        yield editor
        editor.quit()


@dataclass(frozen=True, slots=True)
class Function:
    """A function of a file: what stands before and after its body, and the keys that write the body."""

    path: Path
    left: str
    keys: tuple[str, ...]
    right: str


def functions(root: Path) -> Iterator[Function]:
    """One function of each file: the first with 6 to 25 lines. A line's indentation comes with its newline."""
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and 6 <= (node.end_lineno or 0) - node.body[0].lineno + 1 <= 25:
                first, last = node.body[0].lineno - 1, node.end_lineno or 0
                body = "".join(lines[first:last]).rstrip("\n")
                indent = body[: len(body) - len(body.lstrip())]
                yield Function(
                    path, "".join(lines[:first]) + indent, _keys(body[len(indent) :]), "\n" + "".join(lines[last:])
                )
                break


def _keys(body: str) -> tuple[str, ...]:
    keys: list[str] = []
    for number, line in enumerate(body.split("\n")):
        code = line.lstrip() if number else line
        keys += (["\n" + line[: len(line) - len(code)]] if number else []) + list(code)
    return tuple(keys)


@dataclass(frozen=True, slots=True)
class Key:
    """One key: the document's version that it made, the request that followed it, and when it was sent."""

    version: int
    request: int
    at: float


def typed(editor: Editor, function: Function, most: int) -> Iterator[Key]:
    """Type a function's body at 5 keys/s; after each key the editor asks by itself, and cancels nothing."""
    uri = editor.open(function.path, function.left + function.right)
    at, begun = len(function.left), time.perf_counter()
    for number, key in enumerate(function.keys[:most]):
        time.sleep(max(0.0, begun + number / KEYS_PER_SECOND - time.perf_counter()))
        sent = time.perf_counter()
        at = editor.type(uri, key, at)
        yield Key(editor.versions[uri], editor.inline(uri, at, AUTOMATIC).number, sent)


def close(editor: Editor, function: Function) -> None:
    editor.notify("textDocument/didClose", {"textDocument": {"uri": function.path.as_uri()}})
