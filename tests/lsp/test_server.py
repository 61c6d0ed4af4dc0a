"""The language server as a real process beside a real daemon: the handshake, and what becomes of requests."""

from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import INLINE, Editor, Refused

MENU_ONLY = {"textDocument": {"completion": {"completionItem": {"snippetSupport": True}}}}
CELL = "vscode-notebook-cell:/notes.ipynb#"


def applied(text: str, offset: int, item: dict[str, Any]) -> str:
    """A text once an item at `offset` was accepted; its range is one of UTF-16 that ends there."""
    start = offset - (item["range"]["end"]["character"] - item["range"]["start"]["character"])
    return text[:start] + item["insertText"] + text[offset:]


def test_a_client_with_inline_completion_gets_no_menu(desk: Any) -> None:
    server = desk.bare()
    found = server.initialize(desk.shop)
    assert "inlineCompletionProvider" in found
    assert "completionProvider" not in found
    assert "vicinal.accept" in found["executeCommandProvider"]["commands"]
    assert found["textDocumentSync"]["change"] == 2


def test_a_client_without_it_gets_a_menu(desk: Any) -> None:
    editor = desk.bare()
    found = editor.initialize(desk.shop, capabilities=MENU_ONLY, options={"minConfidence": 0})
    assert "." in found["completionProvider"]["triggerCharacters"]
    uri = editor.open(desk.document())
    place = {"textDocument": {"uri": uri}, "position": editor.position(uri, len(editor.texts[uri]))}
    said = editor.request("textDocument/completion", place | {"context": {"triggerKind": 1}}).result()
    assert said["isIncomplete"]
    for item in said["items"]:
        assert item["textEdit"]["newText"].strip()
        assert "Vicinal" in item["detail"]
        assert "sure" in item["documentation"]["value"]


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 10), ("utf-16", 8), ("utf-32", 7)])
def test_positions_are_counted_as_the_client_counts(desk: Any, encoding: str, character: int) -> None:
    editor = desk.bare()
    found = editor.initialize(desk.shop, capabilities={"general": {"positionEncodings": [encoding]}})
    assert found["positionEncoding"] == encoding
    text = "a = 1\r\nb = '😋'\r\nc = 2\r\n"
    uri = editor.open(desk.document(text))
    place = {"line": 1, "character": character}
    change = {"range": {"start": place, "end": place}, "text": " + "}
    document = {"uri": uri, "version": 2}
    editor.notify("textDocument/didChange", {"textDocument": document, "contentChanges": [change]})
    at = {"line": 1, "character": character + 3}
    context = {"triggerKind": 1}
    editor.request(INLINE, {"textDocument": {"uri": uri}, "position": at, "context": context}).result()
    told = desk.answers(editor, uri)[-1]
    assert told["version"] == 2
    assert told["position"] == at


def test_an_invoked_request_has_alternatives_and_an_automatic_one_has_none(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    invoked = desk.offered(editor, uri)
    assert 1 <= len(invoked) <= 3
    assert len({item["insertText"] for item in invoked}) == len(invoked)
    assert [item["command"]["arguments"][0]["index"] for item in invoked] == list(range(len(invoked)))
    editor.type(uri, "x, ")
    assert len(desk.offered(editor, uri, kind=2)) == 1
    told = desk.answers(editor, uri)
    assert {"invoked", "automatic"} == {answer["trigger"] for answer in told}
    assert all(0 <= answer["confidence"] <= 1 and answer["sigma0"] >= answer["sigmaInf"] for answer in told)


def test_a_place_with_emoji_and_windows_lines(desk: Any, editor: Editor) -> None:
    text = "def f(a):\r\n    x = '😋'; y = g(\r\n    return x\r\n"
    uri = editor.open(desk.document(text))
    offset = text.index("g(") + 2
    items = editor.inline(uri, offset).result()["items"]
    for item in items:
        assert item["range"]["start"] == item["range"]["end"] == editor.position(uri, offset)
        assert "\n" not in item["insertText"].replace("\r\n", "")
    assert desk.answers(editor, uri)[-1]["position"] == editor.position(uri, offset)


def test_what_was_asked_for_another_text_is_not_answered(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    reply = editor.inline(uri)
    editor.type(uri, "b, ")
    assert reply.result() == {"items": []}
    assert desk.offered(editor, uri)
    assert desk.answers(editor, uri)[-1]["version"] == editor.versions[uri]


def test_a_cancelled_request_ends_as_cancelled(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    reply = editor.inline(uri)
    editor.cancel(reply)
    with pytest.raises(Refused) as refused:
        reply.result()
    assert refused.value.code == -32800
    assert desk.offered(editor, uri)


def test_a_newer_request_ends_the_older_one(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    older = editor.inline(uri)
    newer = editor.inline(uri)
    assert older.result() == {"items": []}
    assert newer.result()["items"] or desk.offered(editor, uri)
    assert len({answer["id"] for answer in desk.answers(editor, uri)}) == len(desk.answers(editor, uri))


def test_requests_in_other_documents_stay(desk: Any, editor: Editor) -> None:
    first, second = editor.open(desk.document()), editor.open(desk.document())
    replies = [editor.inline(first), editor.inline(second)]
    for reply in replies:
        reply.result()
    assert desk.answers(editor, first)
    assert desk.answers(editor, second)


def test_typed_ahead_is_answered_without_the_daemon(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri, kind=2)[0]
    text, told = item["insertText"], len(desk.answers(editor, uri))
    for typed in range(1, len(text)):
        editor.type(uri, text[typed - 1])
        rest = editor.inline(uri, kind=2).result()["items"]
        if rest:  # inside a word it may be asked for as well: all that was typed is what was offered
            assert rest[0]["insertText"] == text[typed:]
            assert rest[0]["command"]["arguments"][0]["id"] == item["command"]["arguments"][0]["id"]
        assert len(desk.answers(editor, uri)) == told
    assert text[1:] == "" or told


def test_after_accepting_an_automatic_request_is_silent_once(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.type(uri, item["insertText"])
    editor.command(item["command"]["command"], *item["command"]["arguments"])
    told = len(desk.answers(editor, uri))
    assert editor.inline(uri, kind=2).result() == {"items": []}
    assert len(desk.answers(editor, uri)) == told


def test_what_is_selected_in_the_menu_comes_first(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document("import math\nvalue = mat"))
    start, end = (editor.position(uri, len(editor.texts[uri]) - back) for back in (3, 0))
    selected = {"range": {"start": start, "end": end}, "text": "math.floor("}
    items = editor.inline(uri, selectedCompletionInfo=selected).result()["items"]
    for item in items:
        assert item["insertText"].startswith("math.floor(")
        assert item["insertText"] != "math.floor("
        assert item["range"] == {"start": start, "end": end}


@pytest.mark.parametrize("uri", ["untitled:Untitled-1", "file:///nowhere/of/ours/notes.py"])
def test_outside_every_folder_the_document_stands_alone(desk: Any, editor: Editor, uri: str) -> None:
    editor.open_uri(uri, "def f(a, b):\n    return g(")
    desk.offered(editor, uri)
    told = desk.answers(editor, uri)[-1]
    assert told["evidence"] == []
    assert told["adaptation"]["kind"] == "base"
    editor.notify("textDocument/didClose", {"textDocument": {"uri": uri}})


def test_each_folder_is_a_repository_of_its_own(desk: Any, new_shop: Any, tmp_path: Path) -> None:
    other = new_shop(tmp_path / "other", ("ticket", "seat", "row"))
    editor = desk.editor(desk.shop, other)
    for folder in (desk.shop, other):
        uri = editor.open(folder / "new.py", "order = self.ledger.find_order(")
        evidence: list[Any] = []
        while not evidence:  # until it is indexed
            desk.offered(editor, uri)
            evidence = desk.answers(editor, uri)[-1]["evidence"]
            editor.type(uri, "x, ")
        assert {piece["uri"].startswith(folder.as_uri()) for piece in evidence} == {True}


def test_cells_of_a_notebook_are_one_text(desk: Any) -> None:
    editor = desk.editor(capabilities={"notebookDocument": {"synchronization": {}}})
    notebook = (desk.shop / "notes.ipynb").as_uri()
    cells = {f"{CELL}{number}": text for number, text in enumerate(["import math\nx = math.pi\n", "y = x * ("])}
    documents = [{"uri": uri, "languageId": "python", "version": 1, "text": text} for uri, text in cells.items()]
    for document in documents:
        editor.texts[document["uri"]], editor.versions[document["uri"]] = document["text"], 1
    said = {"uri": notebook, "notebookType": "jupyter-notebook", "version": 1}
    opened = {"notebookDocument": said | {"cells": [{"kind": 2, "document": uri} for uri in cells]}}
    editor.notify("notebookDocument/didOpen", opened | {"cellTextDocuments": documents})
    last = list(cells)[-1]
    reply = editor.inline(last).result()
    told = desk.answers(editor, last)[-1]
    assert told["position"] == {"line": 0, "character": len(cells[last])}
    for item in reply["items"]:
        assert item["range"]["end"] == told["position"]


def test_older_clients_count_triggers_from_zero(desk: Any) -> None:
    editor = desk.editor()
    uri = editor.open(desk.document())
    desk.offered(editor, uri, kind=0)
    editor.type(uri, "x, ")
    desk.offered(editor, uri, kind=1)
    triggers = [answer["trigger"] for answer in desk.answers(editor, uri)]
    assert (triggers[0], triggers[-1]) == ("invoked", "automatic")


def test_indexing_is_shown_as_progress_and_as_status(desk: Any, new_shop: Any, tmp_path: Path) -> None:
    editor = desk.editor(new_shop(tmp_path / "large", tuple(f"part{number}" for number in range(60))))
    editor.until(lambda: any(told["value"]["kind"] == "end" for told in editor.told("$/progress")))
    begun = [told["value"] for told in editor.told("$/progress") if told["value"]["kind"] == "begin"]
    assert "Vicinal: indexing" in {bar["title"] for bar in begun}
    editor.until(lambda: editor.told("didChangeStatus")[-1]["kind"] == "Normal")
    assert {said["kind"] for said in editor.told("didChangeStatus")} >= {"InProgress", "Normal"}
