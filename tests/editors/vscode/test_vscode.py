"""Our extension in VS Code itself: what a user sees, and what their keys do. The daemon is scripted."""

import json
import sys
import zipfile
from pathlib import Path
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


@pytest.fixture(autouse=True)
def settings(code: Any, scripted: Any) -> None:
    """The scripted command is the one that is found; nothing is hidden for being unsure."""
    code.settings(vicinal__command=str(scripted.command), vicinal__minConfidence=0)


def test_a_suggestion_is_shown_with_its_confidence_and_taken(code: Any, scripted: Any) -> None:
    scripted.says(RULE)
    gift = code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost(CALL)
    code.until_status("Vicinal 62%")
    code.until_mark("◐")
    code.shot("vscode-suggestion", {"x": 352, "y": 36, "width": 928, "height": 684})
    assert "could go on in several ways" in code.tooltip()
    code.press("Tab")
    code.until_no_ghost()
    code.until_mark("")
    assert code.saved(gift) == f"{BEGUN}order = {CALL}"
    assert scripted.until_event("accepted")["accepted_characters"] == len(CALL)


def test_it_is_taken_by_words_and_lines_and_dismissed(code: Any, scripted: Any) -> None:
    scripted.says(RULE | {"texts": ["ledger.find(message)\n        audit(order)"]})
    gift = code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost("ledger.find")
    code.press("Control+ArrowRight")
    code.until_ghost(".find(message)")
    assert scripted.until_event("partly")["accepted_characters"] == len("ledger")
    code.until_mark("◐")
    code.press("Alt+End")
    code.until_ghost("audit(order)")
    code.press("Escape")
    code.until_no_ghost()
    code.until_mark("")
    assert code.saved(gift) == f"{BEGUN}order = ledger.find(message)"


def test_the_next_one_and_the_one_before(code: Any, scripted: Any) -> None:
    scripted.says(RULE)
    gift = code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost(CALL)
    code.press("Alt+]")
    code.until_ghost("find(message)")
    code.until_line("order = find(message)")
    code.press("Alt+]")
    code.until_line("order = None")
    code.press("Alt+[")
    code.until_line("order = find(message)")
    code.press("Tab")
    assert code.saved(gift) == f"{BEGUN}order = find(message)"


def test_typing_what_it_says_keeps_it_and_typing_on_ends_it(code: Any, scripted: Any) -> None:
    scripted.says(RULE)
    code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost(CALL)
    code.type("self.led")
    code.until_ghost(CALL.removeprefix("self.led"))
    code.until_mark("◐")
    code.type("!")
    code.until_no_ghost()
    code.until_mark("")


def test_why_opens_the_evidence_in_a_peek(code: Any, scripted: Any) -> None:
    scripted.says(RULE)
    code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost(CALL)
    code.press("Control+Alt+w")
    code.until_text(".peekview-title .filename", "refund.py")
    code.until_text(".reference-zone-widget .view-lines", 'message["refund_id"]')
    files = code.ask("texts", ".reference-zone-widget .ref-tree .reference-file")
    assert [name for name in ("Why this suggestion.md", "refund.py", "return.py") if any(name in row for row in files)] == [
        "Why this suggestion.md", "refund.py", "return.py",
    ]
    code.shot("vscode-why", {"x": 352, "y": 36, "width": 928, "height": 684})
    code.ask("click", ".reference-zone-widget .ref-tree .monaco-list-row:has(.reference-file)")
    code.press("ArrowUp")
    code.press("ArrowUp")
    code.press("ArrowRight")
    code.press("ArrowDown")
    code.until_text(".reference-zone-widget .view-lines", "62% sure")


def test_tab_belongs_to_the_menu_while_it_is_open(code: Any, scripted: Any) -> None:
    scripted.says({"after": "sel", "texts": ["f.ledger.close()"]})
    code.settings(
        vicinal__command=str(scripted.command), vicinal__minConfidence=0, editor__wordBasedSuggestions="currentDocument"
    )
    menu = code.fresh(scripted.shop, "menu.py", "selection = 1\nselector = 2\n")
    code.type("sel")
    code.until_ghost("f.ledger.close()")
    code.press("Control+Space")
    code.until_text(".suggest-widget.visible .monaco-list-row.focused", "selection")
    code.until_mark("")
    code.press("Tab")
    code.until("() => !document.querySelector('.suggest-widget.visible')")
    assert code.saved(menu) == "selection = 1\nselector = 2\nselection"


def test_tab_belongs_to_the_snippet_while_it_is_filled_in(code: Any, scripted: Any) -> None:
    scripted.says({"after": "first = or", "texts": ["der.total"]})
    snippets = scripted.shop / ".vscode" / "shop.code-snippets"
    snippets.parent.mkdir()
    body = ["first = ${1:one}", "second = ${2:two}", ""]
    snippets.write_text(json.dumps({"two": {"prefix": "twofold", "body": body}}))
    file = code.fresh(scripted.shop, "snippet.py", "")
    code.type("twofold")
    code.press("Control+Space")
    code.until_text(".suggest-widget.visible .monaco-list-row.focused", "twofold")
    code.press("Tab")
    code.until_line("second = two")
    code.type("or")
    code.until_status("Vicinal 62%")
    code.press("Tab")
    code.type("it")
    code.until_line("second = it")
    assert code.saved(file) == "first = or\nsecond = it\n"


def test_the_status_bar_says_what_goes_on_and_what_to_do(code: Any, scripted: Any) -> None:
    states = {
        "a": ["progress", "indexing 42 %", ""],
        "b": ["progress", "tuning", ""],
        "c": ["warning", "the model small is not on this machine", "run vicinal models pull"],
        "d": ["error", "the daemon cannot be started", "run vicinal doctor"],
        "e": ["normal", "ready", ""],
    }
    # The server takes back what went wrong with a request once there is an answer: each state says it of itself.
    scripted.says(*({"after": key, "status": status, "texts": [""]} for key, status in states.items()))
    code.fresh(scripted.shop, "states.py", "")
    for key, look in (("a", "Vicinal: indexing 42 %"), ("b", "Vicinal: tuning"), ("c", "Vicinal"), ("d", "Vicinal")):
        code.type(key)
        code.until_status(f"{look} 62%" if key in "abc" else look)
        if key in "cd":
            kind = {"c": "warning", "d": "error"}[key]
            code.until("kind => document.querySelector(`.statusbar-item.${kind}-kind[id^=\"vicinal.vicinal\"]`)", kind)
            assert states[key][2] in code.tooltip()


@pytest.mark.parametrize(("style", "mark"), [("off", ""), ("full", "● 93%")])
def test_the_mark_is_as_loud_as_the_user_wants(code: Any, scripted: Any, style: str, mark: str) -> None:
    scripted.says(RULE | {"confidence": 0.93})
    code.settings(vicinal__command=str(scripted.command), vicinal__confidenceMark=style)
    code.fresh(scripted.shop, "gift.py", BEGUN)
    code.type("order = ")
    code.until_ghost(CALL)
    code.until_status("Vicinal 93%")
    code.until_mark(mark)
