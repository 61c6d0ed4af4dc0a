"""10,000 random edits and requests against a model of the document: no error, no stale answer, no other text."""

import os
import random
import sys
from pathlib import Path

import pytest
from echoes import digest_of

from vicinal_lsp.scripted import Editor, Json, Refused, Reply

SERVER = [sys.executable, str(Path(__file__).with_name("echo_server.py"))]
STEPS = 5_000
CANCELLED = -32800
PIECES = (
    *"abx_.( )[]{}:;=,\"'#\\",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "    ",
    "é",
    "😋",
    "👩‍👩‍👧",
    "\u2028",
    "\x0c",
    "\x85",
    "e\u0301",
    "def f(a):\n    return ",
    "if x {\r\n\ty()\r\n}\r\n",
)


class Fuzz:
    """Edits at random, and remembers every version's text."""

    def __init__(self, editor: Editor, uri: str, seed: int) -> None:
        self.editor = editor
        self.uri = uri
        self.random = random.Random(seed)  # noqa: S311 - not a secret
        self.history = {editor.versions[uri]: editor.texts[uri]}
        self.pending: list[tuple[Reply, bool]] = []

    @property
    def text(self) -> str:
        return self.editor.texts[self.uri]

    def place(self) -> int:
        """An offset, more often near the last ones; never between a carriage return and its newline."""
        offset = self.random.randint(0, len(self.text))
        if self.random.random() < 0.5:
            offset = max(0, len(self.text) - self.random.randrange(8))
        inside = self.text[offset - 1 : offset + 1] == "\r\n"
        return offset - 1 if inside else offset

    def edit(self) -> None:
        start = self.place()
        end = start
        if self.random.random() < 0.3:
            start, end = sorted((start, self.place()))
            end = min(end, start + 40)
            if self.text[end - 1 : end + 1] == "\r\n":
                end += 1
        new = "" if end > start and self.random.random() < 0.6 else self.random.choice(PIECES)
        self.editor.type(self.uri, new, start, end)
        self.remember()

    def remember(self) -> None:
        self.history[self.editor.versions[self.uri]] = self.text

    def ask(self) -> None:
        offset = self.place()
        kind = self.random.choice((1, 2, 2))
        reply = self.editor.inline(self.uri, offset, kind)
        cancelled = self.random.random() < 0.1
        if cancelled:
            self.editor.cancel(reply)
        self.pending.append((reply, cancelled))

    def settle(self) -> None:
        """Every request is answered."""
        for reply, cancelled in self.pending:
            for item in self.items(reply, cancelled):
                assert item["insertText"].strip()
                assert item["range"]["start"] == item["range"]["end"]
        self.pending.clear()

    @staticmethod
    def items(reply: Reply, cancelled: bool) -> list[Json]:
        try:
            items: list[Json] = reply.result()["items"]
        except Refused as refused:
            if not cancelled or refused.code != CANCELLED:
                raise
            return []
        return items

    def prune(self) -> None:
        """Long texts are cut, so that the fuzz stays quick."""
        if len(self.text) > 4_000:
            self.editor.type(self.uri, "", 0, 3_500 if self.text[3_499:3_501] != "\r\n" else 3_501)
            self.remember()


@pytest.mark.parametrize("seed", [1, 2])
def test_random_edits_and_requests(tmp_path: Path, seed: int) -> None:
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": paths}
    with Editor(SERVER, environment, tmp_path / "errors") as editor:
        editor.initialize(options={"debounceMs": 0, "minConfidence": 0, "hints": False})
        uri = editor.open_uri("untitled:fuzz", "def f(a):\n    return a\n")
        fuzz = Fuzz(editor, uri, seed)
        for step in range(STEPS):
            fuzz.ask() if fuzz.random.random() < 0.4 else fuzz.edit()
            if step % 10 == 0:
                fuzz.settle()
                fuzz.prune()
        fuzz.settle()
        final = editor.inline(uri, len(fuzz.text))
        final.result()
        told = editor.told("vicinal/answer")
        assert told[-1]["version"] == editor.versions[uri]
        assert told[-1]["model"] == digest_of(fuzz.text, len(fuzz.text))
        for answer in told:
            text = fuzz.history[answer["version"]]
            assert answer["model"] == digest_of(text, offset_of(text, answer["position"]))
        assert len(told) > STEPS // 50
        versions = [answer["version"] for answer in told]
        assert versions == sorted(versions)  # an older text is never answered after a newer one
        assert not [message for message in editor.told("window/showMessage") if message["type"] == 1]
        assert editor.quit() == 0
    assert "Traceback" not in (tmp_path / "errors").read_text()


def offset_of(text: str, position: Json) -> int:
    """Of a position in UTF-16; lines end as the protocol says."""
    rows = text.replace("\r\n", "\x00\n").replace("\r", "\n").split("\n")  # the first of two ends keeps its length
    row = rows[position["line"]]
    units = row.encode("utf-16-le")[: position["character"] * 2].decode("utf-16-le")
    return sum(len(row) + 1 for row in rows[: position["line"]]) + len(units)
