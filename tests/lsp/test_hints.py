"""A cursor that has come to rest: the daemon is told, and studies before anybody asks."""

from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.client import Client
from vicinal_daemon.protocol.requests import IndexRequest, WorkspaceRequest
from vicinal_lsp.scripted import Editor

pytestmark = pytest.mark.slow  # real daemons

STUDYING = "Vicinal: studying"


def indexed(desk: Any, root: Path) -> Path:
    with Client(desk.daemon.connection) as client:
        client.add_workspace(WorkspaceRequest(root=str(root)))
        client.index(IndexRequest(root=str(root), action="wait"))
    return root


def learned(desk: Any) -> set[str]:
    """The repositories that the daemon has an adapter for."""
    with Client(desk.daemon.connection) as client:
        return {adapter.workspace for adapter in client.adapters().adapters}


def typed(editor: Editor, path: Path) -> None:
    """Type into a file, and ask for nothing."""
    editor.type(editor.open(path), "\n        order = self.ledger.find_order(")


def test_a_settled_cursor_is_studied_unless_the_setting_says_no(desk: Any, new_shop: Any, tmp_path: Path) -> None:
    off, on = (new_shop(tmp_path / name) for name in ("off", "on"))
    for root in (off, on):
        # Whether something is studied is the question, not whether the guard finds that it helps.
        (root / ".vicinal.toml").write_text("[tune]\nguard = false\n")
        indexed(desk, root)
    editor = desk.editor(off, on, hints=False)
    typed(editor, off / "refund.py")
    editor.notify("workspace/didChangeConfiguration", {"settings": {"vicinal": desk.options | {"hints": True}}})
    typed(editor, on / "refund.py")
    desk.daemon.until(lambda: str(on) in learned(desk))
    assert str(off) not in learned(desk)
    titles = [told["value"].get("title") for told in editor.told("$/progress")]
    assert STUDYING in titles
    assert not editor.told("vicinal/answer")
