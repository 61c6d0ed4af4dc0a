"""Typing sessions, key by key, in the shapes of the editors that users have: what must hold at each answer.

`recordings/` holds what was typed; `clients/` what Neovim, Helix, Emacs and VS Code say to a server, written out from
what is known of their sources.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import Editor, Json, Refused, Reply

pytestmark = pytest.mark.slow  # real daemons, key by key

HERE = Path(__file__).parent
RECORDINGS = sorted((HERE / "recordings").glob("*.json"))
CLIENTS = sorted((HERE / "clients").glob("*.json"))
LANGUAGES = {
    "python": (".py", "def price(order):\n    return order.total("),
    "typescript": (".ts", "export function price(order: Order): number {\n  return order.total("),
    "go": (".go", "package shop\n\nfunc Price(order Order) int {\n\treturn order.Total("),
}


class Typist:
    """Plays a recording and looks at every answer."""

    def __init__(self, editor: Editor, uri: str, offset: int) -> None:
        self.editor = editor
        self.uri = uri
        self.offset = offset
        self.late: list[Reply] = []
        self.seen = 0

    @property
    def text(self) -> str:
        return self.editor.texts[self.uri]

    def play(self, stroke: Json) -> None:
        ((what, value), *_) = stroke.items()
        getattr(self, what)(value)

    def keys(self, text: str) -> None:
        for key in text:
            self.put(key)
            self.check(self.ask())

    def put(self, text: str) -> None:
        self.offset = self.editor.type(self.uri, text, self.offset)

    def newline(self, indentation: str) -> None:
        """As editors do it: the line's end and the indentation are one change."""
        self.put(("\r\n" if "\r\n" in self.text else "\n") + indentation)
        self.check(self.ask())

    def back(self, count: int) -> None:
        for _ in range(count):
            self.offset = self.editor.type(self.uri, "", self.offset - 1, self.offset)
            self.check(self.ask())

    def over(self, count: int) -> None:
        """Closing brackets that the editor has put there are typed over."""
        self.offset += count

    def down(self, text: str) -> None:
        assert self.text.startswith(text, self.offset)
        self.offset += len(text)

    def cancel(self, _: bool) -> None:
        reply = self.ask()
        self.editor.cancel(reply)
        self.late.append(reply)

    def invoke(self, _: bool) -> None:
        self.check(self.ask(kind=1))

    def accept(self, _: bool) -> None:
        items = self.check(self.ask(kind=1))
        if items:
            self.editor.notify("textDocument/didShowCompletion", {"item": items[0]})
            self.put(items[0]["insertText"])
            self.editor.command(items[0]["command"]["command"], *items[0]["command"]["arguments"])
            assert self.ask().result() == {"items": []}

    def ask(self, kind: int = 2) -> Reply:
        return self.editor.inline(self.uri, self.offset, kind)

    def check(self, reply: Reply) -> list[Json]:
        items: list[Json] = reply.result()["items"]
        left, right = self.text[: self.offset], self.text[self.offset :]
        place = self.editor.position(self.uri, self.offset)
        following = next((line.strip() for line in right.splitlines()[1:] if line.strip()), "")
        for item in items:
            assert item["range"]["end"] == place
            assert item["range"]["start"]["line"] == place["line"]
            start = self.editor.offset(self.uri, item["range"]["start"])
            inserted = item["insertText"]
            assert inserted.strip()
            assert (left[:start] + inserted).startswith(left)
            if len(following) > 3 and not right.split("\n")[0].strip():
                assert (left.split("\n")[-1] + inserted).strip().splitlines()[-1].strip() != following
            if "\r\n" in self.text:
                assert "\n" not in inserted.replace("\r\n", "")
        self.seen += len(items)
        return items


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_function_typed_key_by_key(desk: Any, editor: Editor, recording: Path) -> None:
    played = json.loads(recording.read_text("utf-8"))
    uri = editor.open(desk.shop / played["file"], played["before"] + played["after"], played["language"])
    typist = Typist(editor, uri, len(played["before"]))
    for stroke in played["strokes"]:
        if stroke.get("behind"):
            editor.type(uri, stroke["put"], typist.offset)
        else:
            typist.play(stroke)
    for reply in typist.late:
        try:
            reply.result()  # it may have been answered before it was cancelled
        except Refused as refused:
            if refused.code != -32800:
                raise
    assert typist.text.startswith(played["before"])
    assert typist.text.endswith(played["after"])
    assert typist.seen
    versions = [told["version"] for told in desk.answers(editor, uri)]
    assert versions == sorted(versions)


def filled(value: Any, folder: Path) -> Any:
    """A client's message, for this folder."""
    text = json.dumps(value).replace("$URI", folder.as_uri())
    return json.loads(text.replace("$PATH", json.dumps(str(folder))[1:-1]))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda path: path.stem)
def test_each_editor_completes_in_three_languages(desk: Any, client: Path) -> None:
    shape = json.loads(client.read_text("utf-8"))
    editor = desk.bare()
    params = filled(shape["initialize"], desk.shop) | {"initializationOptions": desk.options, "processId": None}
    found = editor.request("initialize", params).result()["capabilities"]
    editor.notify("initialized", {})
    for method, said in shape.get("then", []):
        editor.notify(method, said)
    is_menu = shape["method"] == "textDocument/completion"
    assert ("completionProvider" in found) == is_menu
    wanted = shape["initialize"]["capabilities"]["general"]["positionEncodings"]
    assert found["positionEncoding"] in wanted
    for language, (suffix, text) in LANGUAGES.items():
        uri = editor.open(desk.document(text, suffix), language=language)
        items: list[Json] = []
        for number in range(12):
            position = editor.position(uri, len(editor.texts[uri]))  # the texts are ASCII: all encodings agree
            context = shape["contexts"][number % len(shape["contexts"])]
            asked = {"textDocument": {"uri": uri}, "position": position, "context": context}
            reply = editor.request(shape["method"], asked)
            if number == 0 and not shape["cancels"]:
                reply = editor.request(shape["method"], asked)  # the older one is not cancelled, and not waited for
            items = reply.result()["items"]
            if items:
                break
            editor.type(uri, "a, ")
        assert items, language
        for item in items:
            edit = item["textEdit"] if is_menu else {"range": item["range"], "newText": item["insertText"]}
            assert edit["newText"].strip()
            assert edit["range"]["end"] == position
            assert item["command"]["command"] in found["executeCommandProvider"]["commands"]
        editor.type(uri, edit["newText"])
        editor.command(item["command"]["command"], *item["command"]["arguments"])
