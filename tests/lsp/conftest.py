"""Editors without a screen, beside a real daemon with a small model. Its texts are noise: tests look at their form."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import Editor

SERVER = [sys.executable, "-m", "vicinal_lsp", "--stdio"]
OPTIONS = {"minConfidence": 0, "debounceMs": 0, "budgetAutomaticMs": 2000, "hints": False}
"""The small model is never sure, and on a busy machine it is not fast either."""
ASKING = "order = self.ledger.find_order("
Json = dict[str, Any]


class Desk:
    """Editors, one server process each, and a repository that all of them have open."""

    command = SERVER
    options = OPTIONS

    def __init__(self, daemon: Any, folder: Path, shop: Path) -> None:
        self.daemon = daemon
        self.environment: Mapping[str, str] = daemon.environment
        self.folder = folder
        self.shop = shop
        self.errors = folder / "errors"
        self._leaving = ExitStack()
        self._editors: list[Editor] = []
        self._documents = 0

    def bare(self, errors: str = "errors", daemon: Any = None) -> Editor:
        """A server that nobody has spoken to, beside our daemon or another one.

        Its log must have no error, unless it goes to a file of its own.
        """
        environment = (daemon or self.daemon).environment
        editor = self._leaving.enter_context(Editor(SERVER, environment, self.folder / errors))
        self._editors.append(editor)
        return editor

    def editor(
        self, *folders: Path, capabilities: Json | None = None, more: Json | None = None, **options: Any
    ) -> Editor:
        """An editor after the handshake; with the shop open if no folders are given."""
        editor = self.bare()
        editor.initialize(
            *(folders or (self.shop,)), capabilities=capabilities, options=OPTIONS | options, **more or {}
        )
        return editor

    def document(self, text: str = ASKING, suffix: str = ".py") -> Path:
        """The path of a document that no other test uses; `text` is in it."""
        self._documents += 1
        path = self.shop / f"document{self._documents}{suffix}"
        path.write_bytes(text.encode())
        return path

    @staticmethod
    def offered(editor: Editor, uri: str, kind: int = 1, **context: Any) -> list[Json]:
        """The items at the end of a document; typed on until the model has something to say there."""
        for _ in range(12):
            items: list[Json] = editor.inline(uri, kind=kind, **context).result()["items"]
            if items:
                return items
            editor.type(uri, "a, ")
        raise AssertionError("the model has nothing to say")

    @staticmethod
    def answers(editor: Editor, uri: str) -> list[Json]:
        """What the server told of the daemon's answers for a document so far."""
        return [told for told in editor.told("vicinal/answer") if told["uri"] == uri]

    def close(self) -> None:
        """Every server that still runs leaves in order, and none had an error that it did not expect."""
        with self._leaving:
            left = [editor.quit() for editor in self._editors if editor.process.poll() is None]
        assert set(left) <= {0}
        assert "Traceback" not in self.errors.read_text(), self.errors.read_text()


@pytest.fixture(scope="module")
def desk(
    live_daemon: Callable[..., Any], new_shop: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """Editors that share one daemon and one repository."""
    folder = tmp_path_factory.mktemp("desk")
    desk = Desk(live_daemon(), folder, new_shop(folder / "shop"))
    yield desk
    desk.close()


@pytest.fixture(scope="module")
def editor(desk: Desk) -> Editor:
    """One editor for all tests of a module that need no other."""
    return desk.editor()
