"""Our extension in VS Code itself: what a user sees, and what their keys do. The daemon is scripted."""

import json
from typing import Any

import pytest

pytestmark = [pytest.mark.editor, pytest.mark.timeout(400)]

CALL = 'self.ledger.find_order(message["gift_id"])'
BEGUN = '"""Handle gift messages."""\n\n\nclass GiftHandler(Handler):\n    def handle(self, message):\n        '
EVIDENCE = [["refund.py", 9, 12, "RefundHandler.handle", 0.71], ["return.py", 9, 12, "ReturnHandler.handle", 0.2]]
RULE = {
    "after": "order = ",
    "texts": [CALL, "find(message)", "None"],
    "confidence": 0.62,
    "evidence": EVIDENCE,
    "reasons": ["the text could go on in several ways"],
}


@pytest.fixture(scope="module")
def opened(code: Any, scripted: Any) -> Any:
    """VS Code with the shop, and our extension at work."""
    code.settings(vicinal__command=str(scripted.command), vicinal__minConfidence=0)
    code.open(scripted.shop, "refund.py")
    code.until_status("Vicinal")
    return code


def test_a_suggestion_is_shown_with_its_confidence_and_taken(opened: Any, scripted: Any) -> None:
    scripted.says(RULE)
    gift = opened.fresh(scripted.shop, "taken.py", BEGUN)
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.until_status("Vicinal 62%")
    opened.until_mark("◐")
    opened.shot("vscode-suggestion", {"x": 352, "y": 36, "width": 928, "height": 684})
    opened.until_tooltip("could go on in several ways")
    opened.press("Tab")
    opened.until_no_ghost()
    opened.until_mark("")
    assert opened.saved(gift) == f"{BEGUN}order = {CALL}"
    scripted.until_event("accepted", accepted_characters=len(CALL))


def test_it_is_taken_by_words_and_lines_and_dismissed(opened: Any, scripted: Any) -> None:
    scripted.says(RULE, RULE | {"after": "for ", "texts": ["item in message:\n            self.audit(item)"]})
    gift = opened.fresh(scripted.shop, "partly.py", BEGUN)
    opened.type("for ")
    opened.until_ghost("item in")
    opened.press("Control+ArrowRight")
    opened.until_ghost(" in message:")
    scripted.until_event("partly", accepted_characters=len("item"))
    opened.until_mark("◐")
    opened.press("Alt+End")
    opened.until_line("for item in message:")
    opened.until_no_ghost()
    opened.press("Enter")
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.until_mark("◐")
    opened.press("Escape")
    opened.until_no_ghost()
    opened.until_mark("")
    assert opened.saved(gift) == f"{BEGUN}for item in message:\n            order = "


def test_the_next_one_and_the_one_before(opened: Any, scripted: Any) -> None:
    scripted.says(RULE)
    gift = opened.fresh(scripted.shop, "next.py", BEGUN)
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.press("Alt+]")
    opened.until_ghost("find(message)")
    opened.until_line("order = find(message)")
    opened.press("Alt+]")
    opened.until_line("order = None")
    opened.press("Alt+[")
    opened.until_line("order = find(message)")
    opened.press("Tab")
    assert opened.saved(gift) == f"{BEGUN}order = find(message)"


def test_typing_what_it_says_keeps_it_and_typing_on_ends_it(opened: Any, scripted: Any) -> None:
    scripted.says(RULE)
    opened.fresh(scripted.shop, "typed.py", BEGUN)
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.type("self.led")
    opened.until_ghost(CALL.removeprefix("self.led"))
    opened.until_mark("◐")
    opened.type("!")
    opened.until_no_ghost()
    opened.until_mark("")


def test_why_opens_the_evidence_in_a_peek(opened: Any, scripted: Any) -> None:
    scripted.says(RULE)
    opened.fresh(scripted.shop, "why.py", BEGUN)
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.press("Control+Alt+w")
    opened.until_text(".peekview-title .filename", "refund.py")
    opened.until_text(".reference-zone-widget .view-lines", 'message["refund_id"]')
    files = opened.ask("texts", ".reference-zone-widget .ref-tree .reference-file")
    assert [
        name for name in ("Why this suggestion.md", "refund.py", "return.py") if any(name in row for row in files)
    ] == [
        "Why this suggestion.md",
        "refund.py",
        "return.py",
    ]
    opened.shot("vscode-why", {"x": 352, "y": 36, "width": 928, "height": 684})
    opened.ask("click", '.ref-tree .monaco-list-row:has-text("Why this suggestion") .monaco-tl-twistie')
    opened.ask("click", '.ref-tree .monaco-list-row:has-text("# 62% sure")')
    opened.until_text(".reference-zone-widget .view-lines", "62% sure")


def test_tab_belongs_to_the_menu_while_it_is_open(opened: Any, scripted: Any) -> None:
    scripted.says({"after": "sel", "texts": ["f.ledger.close()"]})
    opened.settings(
        vicinal__command=str(scripted.command), vicinal__minConfidence=0, editor__wordBasedSuggestions="currentDocument"
    )
    menu = opened.fresh(scripted.shop, "menu.py", "selection = 1\nselector = 2\n")
    opened.type("sel")
    opened.until_ghost("f.ledger.close()")
    opened.press("Control+Space")
    opened.until_text(".suggest-widget.visible .monaco-list-row.focused", "selection")
    opened.until_mark("")
    opened.press("Tab")
    opened.until("() => !document.querySelector('.suggest-widget.visible')")
    assert opened.saved(menu) == "selection = 1\nselector = 2\nselection"


def test_tab_belongs_to_the_snippet_while_it_is_filled_in(opened: Any, scripted: Any) -> None:
    scripted.says({"after": "first = or", "texts": ["der.total"]})
    snippets = scripted.shop / ".vscode" / "shop.code-snippets"
    snippets.parent.mkdir()
    body = ["first = ${1:one}", "second = ${2:two}", ""]
    snippets.write_text(json.dumps({"two": {"prefix": "twofold", "body": body}}))
    file = opened.fresh(scripted.shop, "snippet.py", "")
    opened.type("twofold")
    opened.press("Control+Space")
    opened.until_text(".suggest-widget.visible .monaco-list-row.focused", "twofold")
    opened.press("Tab")
    opened.until_line("second = two")
    opened.type("or")
    opened.until_status("Vicinal 62%")
    opened.press("Tab")
    opened.type("it")
    opened.until_line("second = it")
    assert opened.saved(file) == "first = or\nsecond = it\n"


def test_the_status_bar_says_what_goes_on_and_what_to_do(opened: Any, scripted: Any) -> None:
    states = {
        "a": ["progress", "indexing 42 %", ""],
        "b": ["progress", "tuning", ""],
        "c": ["warning", "the model small is not on this machine", "run vicinal models pull"],
        "d": ["error", "the daemon cannot be started", "run vicinal doctor"],
        "e": ["normal", "ready", ""],
    }
    # The server takes back what went wrong with a request once there is an answer: each state says it of itself.
    scripted.says(*({"after": key, "status": status, "texts": [""]} for key, status in states.items()))
    opened.fresh(scripted.shop, "states.py", "")
    looks = {"a": "indexing 42 % 62%", "b": "tuning 62%", "c": "warning 62%", "d": "error"}
    for key, look in looks.items():
        opened.type(key)
        opened.until_status(f"Vicinal: {look}")
        if key in "cd":
            kind = look.split()[0]
            opened.until('kind => document.querySelector(`.statusbar-item.${kind}-kind[id^="vicinal.vicinal"]`)', kind)
            opened.until_tooltip(states[key][2])
    opened.type("e")
    opened.until_status("Vicinal 62%")


def test_automatic_suggestions_are_paused_and_asked_for_all_the_same(opened: Any, scripted: Any) -> None:
    scripted.says(RULE)
    opened.fresh(scripted.shop, "paused.py", BEGUN)
    opened.command("Vicinal: Pause or Resume Automatic Completions")
    opened.until_status("Vicinal: paused")
    opened.show("paused.py")
    opened.type("order = ")
    opened.until_line("order =")
    opened.press("Alt+\\")
    opened.until_ghost(CALL)
    opened.command("Vicinal: Pause or Resume Automatic Completions")
    opened.until_status("Vicinal 62%")


@pytest.mark.parametrize(("style", "mark"), [("off", ""), ("full", "● 93%")])
def test_the_mark_is_as_loud_as_the_user_wants(opened: Any, scripted: Any, style: str, mark: str) -> None:
    scripted.says(RULE | {"confidence": 0.93})
    opened.settings(vicinal__command=str(scripted.command), vicinal__confidenceMark=style)
    opened.fresh(scripted.shop, f"mark_{style}.py", BEGUN)
    opened.type("order = ")
    opened.until_ghost(CALL)
    opened.until_status("Vicinal 93%")
    opened.until_mark(mark)
