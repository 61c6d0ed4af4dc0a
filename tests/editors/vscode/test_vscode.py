"""Our extension in VS Code itself: what a user sees, and what their keys do."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.editor, pytest.mark.timeout(400)]

CALL = 'self.ledger.find_order(message["gift_id"])'
BEGUN = 'class GiftHandler(Handler):\n    def handle(self, message):\n        '
EVIDENCE = [["refund.py", 10, 14, "RefundHandler.handle", 0.71], ["return.py", 10, 14, "ReturnHandler.handle", 0.2]]


def test_a_suggestion_is_shown_with_its_confidence_and_taken(code: Any, scripted: Any) -> None:
    scripted.says({"after": "order = ", "texts": [CALL], "confidence": 0.62, "evidence": EVIDENCE, "reasons": ["it knows two like it"]})
    gift = scripted.shop / "gift.py"
    gift.write_text(BEGUN)
    code.settings(vicinal__command=str(scripted.command), vicinal__minConfidence=0)
    code.open(scripted.shop, "gift.py")
    code.until_status("Vicinal")
    code.type("order = ")
    code.until_ghost(CALL)
    code.until_status("Vicinal 62%")
    code.shot("ghost")
    print(code.marks())
    code.press("Tab")
    code.until_no_ghost()
    assert code.saved(gift) == f"{BEGUN}order = {CALL}"
    code.shot("taken")
