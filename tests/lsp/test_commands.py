"""Commands, switches, feedback and a daemon that is killed, as an editor meets them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.client import stop
from vicinal_daemon.uncertainty.feedback import FeedbackStore
from vicinal_lsp.scripted import Editor, Refused


def outcomes(desk: Any, identity: str) -> list[tuple[str, int | None]]:
    """What the daemon's database holds of an answer."""
    store = FeedbackStore(Path(desk.environment["VICINAL_INDEX_DATA_DIR"]) / "feedback.sqlite")
    try:
        told = next((told for told in store.told() if told.id == identity), None)
    finally:
        store.close()
    return [(outcome.event, outcome.accepted_characters) for outcome in told.outcomes] if told else []


def identity_of(item: dict[str, Any]) -> str:
    found: str = item["command"]["arguments"][0]["id"]
    return found


def take(editor: Editor, uri: str, item: dict[str, Any]) -> None:
    """What editors do when an item is accepted: the text first, then the command."""
    editor.type(uri, item["insertText"])
    editor.command(item["command"]["command"], *item["command"]["arguments"])


@pytest.fixture
def becomes(desk: Any) -> Callable[[dict[str, Any], list[Any]], None]:
    """Checks what the daemon has been told of an item; it is told behind."""

    def check(item: dict[str, Any], expected: list[Any]) -> None:
        desk.daemon.until(lambda: len(outcomes(desk, identity_of(item))) >= len(expected))
        assert outcomes(desk, identity_of(item)) == expected

    return check


def test_what_is_shown_and_accepted_reaches_the_database(desk: Any, editor: Editor, becomes: Any) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    take(editor, uri, item)
    becomes(item, [("shown", None), ("accepted", len(item["insertText"]))])


def test_what_is_typed_over_was_rejected(desk: Any, editor: Editor, becomes: Any) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    editor.type(uri, "\n\n# something else")
    becomes(item, [("shown", None), ("rejected", None)])


def test_a_part_that_the_editor_accepts_is_counted(desk: Any, editor: Editor, becomes: Any) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    editor.type(uri, item["insertText"][:1])
    editor.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 1})
    becomes(item, [("shown", None), ("partly", 1)])


def test_parts_of_an_item_count_though_the_server_has_gone_on(desk: Any, editor: Editor, becomes: Any) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    editor.type(uri, item["insertText"][:1])
    rest = editor.inline(uri, kind=2).result()["items"]  # what is left of it has the same id
    assert [one["insertText"] for one in rest] == [item["insertText"][1:]][: len(rest)]
    editor.notify("textDocument/didPartiallyAcceptCompletion", {"item": item, "acceptedLength": 2})
    becomes(item, [("shown", None), ("partly", 2)])


@pytest.mark.parametrize("command", ["vicinal.acceptWord", "vicinal.acceptLine"])
def test_a_word_or_a_line_is_inserted(desk: Any, editor: Editor, becomes: Any, command: str) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    before = editor.texts[uri]
    piece = editor.command(command, *item["command"]["arguments"])
    assert piece
    assert item["insertText"].startswith(piece)
    assert editor.texts[uri] == before + piece
    event = "accepted" if piece == item["insertText"] else "partly"
    becomes(item, [(event, len(piece))])


def test_word_after_word(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    before, pieces = editor.texts[uri], ""
    while pieces != item["insertText"]:
        pieces += editor.command("vicinal.acceptWord", *item["command"]["arguments"])
        assert item["insertText"].startswith(pieces)
        assert editor.texts[uri] == before + pieces


def test_a_word_is_not_put_into_another_text(desk: Any) -> None:
    editor = desk.bare("refusals")
    editor.initialize(desk.shop, options=desk.options)
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.type(uri, "\n\nelse", 0)
    before = editor.texts[uri]
    with pytest.raises(Refused, match="changed since"):
        editor.command("vicinal.acceptWord", *item["command"]["arguments"])
    assert editor.texts[uri] == before


def test_feedback_that_is_off_is_not_told(desk: Any) -> None:
    editor = desk.editor(feedback=False)
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    take(editor, uri, item)
    assert editor.quit() == 0
    assert outcomes(desk, identity_of(item)) == []


def test_feedback_can_be_erased(desk: Any, editor: Editor, becomes: Any) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    editor.notify("textDocument/didShowCompletion", {"item": item})
    becomes(item, [("shown", None)])
    assert editor.command("vicinal.eraseFeedback")
    assert outcomes(desk, identity_of(item)) == []


def test_explain_opens_the_evidence(desk: Any, editor: Editor) -> None:
    uri = editor.open(desk.document())
    item = desk.offered(editor, uri)[0]
    while not desk.answers(editor, uri)[-1]["evidence"]:  # until the repository is indexed
        editor.type(uri, "x, ")
        item = desk.offered(editor, uri)[0]
    said = editor.command("vicinal.explain", *item["command"]["arguments"])
    shown = [asked["params"] for asked in editor.asked if asked["method"] == "window/showDocument"][-1]
    assert shown["uri"] == said["evidence"][0]["uri"]
    assert shown["selection"] == said["evidence"][0]["range"]
    assert Path(said["evidence"][0]["path"]).name in said["markdown"]
    assert f"{round(said['confidence'] * 100)}% sure" in said["markdown"]


def test_a_question_finds_code(editor: Editor) -> None:
    said = editor.command("vicinal.query", "how is a refund recorded in the audit?")
    assert said["findings"]


def test_status_tells_of_daemon_and_server(editor: Editor) -> None:
    said = editor.command("vicinal.status")
    assert said["enabled"]
    assert said["automatic"]
    assert said["daemon"]["model"]["state"]


def test_commands_refuse_what_they_cannot_do(desk: Any) -> None:
    editor = desk.bare("refusals")
    editor.initialize(desk.shop)
    for name, *arguments in (
        ("vicinal.accept", {"id": "unknown"}),
        ("vicinal.acceptWord", {"id": "unknown"}),
        ("vicinal.acceptLine", ["a list"]),
        ("vicinal.explain", 7),
        ("vicinal.query", 7),
        ("vicinal.query", "  "),
        ("vicinal.toggle", ["python"]),
        ("vicinal.excludeFile", "untitled:1"),
        ("vicinal.excludeFile", None),
        ("vicinal.status", 1, 2, 3),
        ("vicinal.unknown",),
    ):
        with pytest.raises(Refused):
            editor.command(name, *arguments)
    assert editor.command("vicinal.status")


def test_toggle_switches_automatic_completions(desk: Any) -> None:
    editor = desk.editor()
    uri = editor.open(desk.document())
    assert editor.command("vicinal.toggle")["automatic"] is False
    assert editor.inline(uri, kind=2).result() == {"items": []}
    assert desk.answers(editor, uri) == []
    editor.until(lambda: "off" in editor.told("didChangeStatus")[-1]["message"])
    assert desk.offered(editor, uri)
    assert editor.command("vicinal.toggle")["automatic"] is True
    assert desk.offered(editor, uri, kind=2)


def test_a_language_can_be_switched_off(desk: Any) -> None:
    editor = desk.editor(languages={"markdown": False})
    text = editor.open(desk.document("# A title\n", ".md"), language="markdown")
    assert editor.inline(text).result() == {"items": []}
    assert any("markdown" in told["message"] for told in editor.told("window/showMessage"))
    code = editor.open(desk.document())
    assert editor.command("vicinal.toggle", "python")["languages"] == {"markdown": False, "python": False}
    assert editor.inline(code, kind=2).result() == {"items": []}
    assert desk.answers(editor, code) == []
    editor.command("vicinal.toggle", "python")
    assert desk.offered(editor, code)


def test_excluded_files_are_left_alone(desk: Any) -> None:
    editor = desk.editor(exclude=["generated/**", "*.lock"])
    generated = editor.open(desk.shop / "generated" / "deep" / "api.py", "x = f(")
    locked = editor.open(desk.shop / "poetry.lock", "x = f(")
    for uri in (generated, locked):
        assert editor.inline(uri, kind=2).result() == {"items": []}
        assert desk.answers(editor, uri) == []
    assert desk.offered(editor, editor.open(desk.document()))


@pytest.mark.parametrize("name", ["private.py", "a[1].py", "with space#.py"])
def test_a_file_is_excluded_by_an_edit_that_can_be_undone(desk: Any, tmp_path: Path, name: str) -> None:
    shop = tmp_path / "vault"
    shop.mkdir()
    editor = desk.editor(shop)
    uri = editor.open(shop / name, "x = f(")
    edits: list[Any] = []

    def apply(message: dict[str, Any]) -> dict[str, bool]:
        edits.append(message["params"]["edit"])
        return {"applied": True}

    editor.answers["workspace/applyEdit"] = apply
    line = editor.command("vicinal.excludeFile", uri)
    (edit,) = edits
    create, change = edit["documentChanges"]
    assert create["kind"] == "create"
    assert create["uri"] == change["textDocument"]["uri"] == (shop / ".vicinalignore").as_uri()
    assert change["edits"][0]["newText"] == line + "\n"
    assert editor.inline(uri).result() == {"items": []}
    assert desk.answers(editor, uri) == []


def test_a_bad_setting_is_told_once_by_its_name(desk: Any) -> None:
    editor = desk.editor(debounceMs=0)
    change = {"settings": {"vicinal": {"debounceMs": -5, "minConfidence": 0}}}
    for _ in range(2):
        editor.notify("workspace/didChangeConfiguration", change)
    editor.command("vicinal.status")  # everything before it has been done
    warnings = [told["message"] for told in editor.told("window/showMessage") if told["type"] == 2]
    assert len(warnings) == 1
    assert "vicinal.debounceMs" in warnings[0]
    assert desk.offered(editor, editor.open(desk.document()))


def test_a_client_that_is_asked_for_its_settings(desk: Any) -> None:
    editor = desk.editor()
    editor.answers["workspace/configuration"] = lambda message: [{"enabled": False}]
    editor.notify("workspace/didChangeConfiguration", {"settings": None})
    editor.until(lambda: editor.asked and editor.asked[-1]["method"] == "workspace/configuration")
    editor.until(lambda: "off" in editor.told("didChangeStatus")[-1]["message"])
    uri = editor.open(desk.document())
    assert editor.inline(uri).result() == {"items": []}


def test_a_client_without_settings_keeps_what_it_said_at_first(desk: Any) -> None:
    editor = desk.editor(languages={"python": False})
    editor.notify("workspace/didChangeConfiguration", {"settings": {}})
    editor.until(lambda: any(asked["method"] == "workspace/configuration" for asked in editor.asked))
    editor.command("vicinal.status")
    assert editor.inline(editor.open(desk.document())).result() == {"items": []}


@pytest.mark.slow
def test_a_daemon_killed_while_typing_is_replaced(desk: Any) -> None:
    editor = desk.editor()
    uri = editor.open(desk.document())
    assert desk.offered(editor, uri)
    told = len(editor.told("didChangeStatus"))
    editor.inline(uri)
    desk.daemon.kill()
    editor.type(uri, "a, ")
    assert desk.offered(editor, uri)
    said = [status["message"] for status in editor.told("didChangeStatus")[told:]]
    assert said.count("the daemon is not running") == 1
    pid = desk.daemon.place.serving().pid
    editor.command("vicinal.restartDaemon")
    assert desk.daemon.place.serving().pid != pid
    assert editor.command("vicinal.status")["daemon"]
    assert not [message for message in editor.told("window/showMessage") if message["type"] == 1]
    assert editor.quit() == 0
    stop(desk.daemon.connection)
    desk.daemon.start()
