"""Emacs with eglot and our `vicinal.el`; driven in a terminal, as users do it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

LIBRARY = Path(__file__).parents[2] / "editor-plugins" / "emacs"
ALT_RIGHT, ALT_DOWN, TAB, SAVE = "\x1b[1;3C", "\x1b[1;3B", "\t", "\x18\x13"
PRICE = {"behind": "total = ", "texts": ["order.price(amount)", "order.cost()", "order.sum"], "confidence": 0.82}
BODY = {"behind": "def price(order):\n    ", "texts": ["cents = order.cents\n    return cents / 100"]}


class Emacs:
    """One Emacs with our library, as a user loads it."""

    def __init__(self, command: str, home: Path, scripted: Any, terminal: Callable[..., Any]) -> None:
        self._command, self._home, self._terminal, self.scripted = command, home, terminal, scripted

    def ready(self, name: str, text: str = "", lisp: str = "") -> Any:
        """Start it with a file, once the server is ready; the cursor stands at the end."""
        path = self.scripted.write(name, text)
        command = " ".join(f'"{word}"' for word in self.scripted.command)
        lines = [
            "(setq inhibit-startup-screen t make-backup-files nil auto-save-default nil create-lockfiles nil)",
            "(setq-default indent-tabs-mode nil)",
            f'(add-to-list \'load-path "{LIBRARY}")',
            "(require 'vicinal)",
            f"(setq vicinal-command '({command}))",
            "(vicinal-use-for 'python-mode)",
            "(add-hook 'python-mode-hook #'eglot-ensure)",
            lisp,
        ]
        folder = self._home / ".emacs.d"
        folder.mkdir()
        (folder / "early-init.el").write_text("(setq native-comp-deferred-compilation nil)")
        (folder / "init.el").write_text("\n".join(lines) + "\n", "utf-8")
        screen = self._terminal([self._command, "-nw", "+1000", str(path)], self.scripted.shop)
        screen.until("Connected!")
        screen.type("\x1b>")  # to the end
        return screen

    def saved(self, screen: Any, name: str, text: str) -> None:
        """Write, and see what is in the file."""
        path = self.scripted.shop / name
        screen.type(SAVE)
        screen.until(lambda: path.read_bytes().decode() == text)


@pytest.fixture
def emacs(editor: Any, environment: dict[str, str], scripted: Any, terminal: Any) -> Emacs:
    return Emacs(editor("emacs"), Path(environment["HOME"]), scripted, terminal)


def test_ghost_text_comes_while_one_types_and_tab_takes_it(emacs: Emacs, picture: Any) -> None:
    emacs.scripted.says(PRICE)
    screen = emacs.ready("order.py", "import shop\n")
    screen.type("total = ")
    screen.until("total = order.price(amount) 82%")
    assert screen.colour("82%") not in (screen.colour("order.price"), screen.colour("total = "))
    screen.until("Vicinal[82%]")
    picture(screen, "emacs")
    screen.type(TAB)
    screen.until(lambda: emacs.scripted.commands() == ["vicinal.accept"])
    screen.until(lambda: "amount) 82%" not in screen.text)
    screen.until(lambda: [told["event"] for told in emacs.scripted.events()] == ["shown", "accepted"])
    emacs.saved(screen, "order.py", "import shop\ntotal = order.price(amount)\n")


def test_several_lines_are_shown_and_taken_by_word_and_by_line(emacs: Emacs) -> None:
    emacs.scripted.says(BODY)
    screen = emacs.ready("order.py", "")
    screen.type("def price(order):\r")
    screen.until("    cents = order.cents 90%")
    screen.until("    return cents / 100")
    screen.type(ALT_RIGHT + ALT_RIGHT + ALT_DOWN)
    screen.until(lambda: len(emacs.scripted.heard("textDocument/didPartiallyAcceptCompletion")) == 3)
    screen.until("    return cents / 100")
    screen.type(ALT_DOWN)
    screen.until(lambda: emacs.scripted.events()[-1:] and emacs.scripted.events()[-1]["event"] == "accepted")
    partly = [told["accepted_characters"] for told in emacs.scripted.events() if told["event"] == "partly"]
    assert partly == [5, 7, 19]
    emacs.saved(screen, "order.py", "def price(order):\n    cents = order.cents\n    return cents / 100\n")


def test_one_can_look_at_the_alternatives_and_send_them_away(emacs: Emacs) -> None:
    emacs.scripted.says(PRICE)
    screen = emacs.ready("order.py", "")
    screen.type("total = ")
    screen.until("order.price(amount)")
    for text in ("order.cost()", "order.sum", "order.price(amount)"):
        screen.type("\x1bn")
        screen.until(text)
    screen.type("\x1bp")
    screen.until("order.sum")
    # Ctrl-G; while Emacs is at work it ends that instead, as always.
    screen.until(lambda: "order.sum" not in screen.text or screen.type("\x07"))
    screen.type("1")
    screen.until(lambda: emacs.scripted.events()[-1]["event"] == "rejected")
    emacs.saved(screen, "order.py", "total = 1\n")


def test_typing_on_leaves_the_rest(emacs: Emacs) -> None:
    emacs.scripted.says(PRICE)
    screen = emacs.ready("order.py", "")
    screen.type("total = ")
    screen.until("order.price(amount)")
    screen.type("order.pri")
    screen.until("total = order.price(amount)")
    screen.type("x")
    screen.until(lambda: "(amount)" not in screen.text)


def test_tab_belongs_to_the_menu_while_it_is_open(emacs: Emacs) -> None:
    emacs.scripted.says({"behind": "total_", "texts": ["9 = order.price(amount)"]})
    lisp = (
        "(setq completion-at-point-functions '(tags-completion-at-point-function)) (setq tab-always-indent 'complete)"
    )
    lisp += "(add-hook 'python-mode-hook (lambda () (add-hook 'completion-at-point-functions (lambda () "
    lisp += '(list (line-beginning-position) (point) \'("total_1" "total_2"))) -90 t)))'
    screen = emacs.ready("order.py", "", lisp)
    screen.type("tot" + TAB)
    screen.until("total_")
    screen.type(TAB)  # the choices
    screen.until("total_1")
    screen.type(TAB)
    screen.until("total_2")
    assert emacs.scripted.commands() == []


def test_the_commands(emacs: Emacs) -> None:
    emacs.scripted.says(PRICE | {"evidence": [{"path": "cost.py", "start_line": 2, "end_line": 3}]})
    emacs.scripted.write("cost.py", "import shop\ndef cost(order):\n    return order.cents\n")
    screen = emacs.ready("order.py", "")
    screen.type("total = ")
    screen.until("82%")
    screen.type("\x1bxvicinal-explain\r")
    screen.until("**82% sure**")
    screen.type("\x18o\x1b<" + TAB + "\r")
    screen.until("def cost(order):")
    screen.type("\x181\x1bxvicinal-query\rprices\r")
    screen.until("order.py:1: 80% price")
    screen.type("\x1bxvicinal-toggle\r")
    screen.until("automatic completions are off")
    screen.type("\x1bxvicinal-status\r")
    screen.until("Vicinal: automatic completions are off")
