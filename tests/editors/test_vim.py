"""Vim 9 with our plugin, over Vim's own LSP channel; driven in a terminal, as users do it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

PLUGIN = Path(__file__).parents[2] / "editor-plugins" / "vim"
CTRL_RIGHT, CTRL_DOWN, CTRL_BRACKET, TAB, ESCAPE = "\x1b[1;5C", "\x1b[1;5B", "\x1d", "\t", "\x1b"
PRICE = {"behind": "total = ", "texts": ["order.price(amount)", "order.cost()", "order.sum"], "confidence": 0.82}
BODY = {"behind": "def price(order):\n    ", "texts": ["cents = order.cents\n    return cents / 100"]}


class Vim:
    """One Vim with our plugin in its packages, as a user installs it."""

    def __init__(self, command: str, home: Path, scripted: Any, terminal: Callable[..., Any]) -> None:
        self._command, self._home, self._terminal, self.scripted = command, home, terminal, scripted
        packages = home / ".vim/pack/plugins/start"
        packages.mkdir(parents=True)
        (packages / "vicinal").symlink_to(PLUGIN)

    def open(self, name: str, text: str = "", vimrc: str = "", **settings: Any) -> Any:
        """Start it with a file; the cursor stands at the end."""
        path = self.scripted.write(name, text)
        said = json.dumps({"cmd": self.scripted.command} | settings)
        lines = [
            "set nocompatible laststatus=2 termguicolors noswapfile shortmess+=F",
            "set statusline=%f\\ %{vicinal#Statusline()}|",
            "filetype plugin indent on",
            f"let g:vicinal = json_decode('{said}')",
            vimrc,
        ]
        (self._home / ".vimrc").write_text("\n".join(lines) + "\n", "utf-8")
        return self._terminal([self._command, "+normal G$", str(path)], self.scripted.shop)

    def ready(self, name: str, text: str = "", vimrc: str = "", **settings: Any) -> Any:
        screen = self.open(name, text, vimrc, **settings)
        screen.until(f"{name} Vicinal\n")
        return screen

    def saved(self, screen: Any, name: str, text: str) -> None:
        """Leave insert mode, write, and see what is in the file."""
        path = self.scripted.shop / name
        screen.type(ESCAPE + ":w\r")
        screen.until(lambda: path.read_bytes().decode() == text)


@pytest.fixture
def vim(editor: Any, environment: dict[str, str], scripted: Any, terminal: Any) -> Vim:
    return Vim(editor("vim"), Path(environment["HOME"]), scripted, terminal)


def test_ghost_text_comes_while_one_types_and_tab_takes_it(vim: Vim, picture: Any) -> None:
    vim.scripted.says(PRICE)
    screen = vim.ready("order.py", "import shop\n")
    screen.type("ototal = ")
    screen.until("total = order.price(amount) 82%")
    assert screen.colour("order.price") != screen.colour("total = ")
    assert screen.colour("82%") != screen.colour("order.price")
    screen.until("order.py Vicinal 82%")
    picture(screen, "vim")
    screen.type(TAB)
    screen.until(lambda: vim.scripted.commands() == ["vicinal.accept"])
    screen.until(lambda: "82%" not in screen.text.splitlines()[1])
    screen.until(lambda: [told["event"] for told in vim.scripted.events()] == ["shown", "accepted"])
    vim.saved(screen, "order.py", "import shop\ntotal = order.price(amount)\n")


def test_several_lines_are_shown_and_taken_by_word_and_by_line(vim: Vim) -> None:
    vim.scripted.says(BODY)
    screen = vim.ready("order.py", "")
    screen.type("idef price(order):\n")
    screen.until("    cents = order.cents 90%")
    screen.until("    return cents / 100")
    screen.type(CTRL_RIGHT)
    screen.until(lambda: len(vim.scripted.heard("textDocument/didPartiallyAcceptCompletion")) == 1)
    screen.until("    cents = order.cents 90%")
    screen.type(CTRL_RIGHT + CTRL_DOWN)
    screen.until(lambda: len(vim.scripted.heard("textDocument/didPartiallyAcceptCompletion")) == 3)
    screen.type(CTRL_DOWN)
    screen.until(lambda: vim.scripted.events()[-1:] and vim.scripted.events()[-1]["event"] == "accepted")
    partly = [told["accepted_characters"] for told in vim.scripted.events() if told["event"] == "partly"]
    assert partly == [5, 7, 19]
    vim.saved(screen, "order.py", "def price(order):\n    cents = order.cents\n    return cents / 100\n")


def test_one_can_look_at_the_alternatives_and_send_them_away(vim: Vim) -> None:
    vim.scripted.says(PRICE)
    screen = vim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("order.price(amount)")
    for text in ("order.cost()", "order.sum", "order.price(amount)"):
        screen.type("\x18n")
        screen.until(text)
    screen.type("\x18p")
    screen.until("order.sum")
    screen.type(CTRL_BRACKET)
    screen.until(lambda: "order.sum" not in screen.text)
    screen.until(lambda: [told["event"] for told in vim.scripted.events()][-1] == "rejected" or screen.type(" "))
    assert vim.scripted.commands() == []


def test_leaving_insert_mode_calls_off_what_is_asked(vim: Vim) -> None:
    vim.scripted.says(PRICE)
    (vim.scripted.folder / "wait").touch()
    screen = vim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until(lambda: vim.scripted.heard("textDocument/inlineCompletion"))
    screen.type(ESCAPE)
    screen.until(lambda: vim.scripted.heard("$/cancelRequest"))
    (vim.scripted.folder / "wait").unlink()
    screen.type("ototal = ")
    screen.until("order.price")
    assert screen.text.count("order.price") == 1


def test_typing_on_leaves_the_rest(vim: Vim) -> None:
    vim.scripted.says(PRICE)
    screen = vim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("order.price(amount)")
    screen.type("order.pri")
    screen.until("total = order.price(amount)")
    screen.type("x")
    screen.until(lambda: "(amount)" not in screen.text)


def test_tab_belongs_to_the_menu_while_it_is_open(vim: Vim) -> None:
    vim.scripted.says(PRICE, {"behind": "total_1", "texts": [" = order.price(amount)"]})
    menu = r'inoremap <expr> <Tab> pumvisible() ? "\<C-n>" : "\<Tab>"'
    screen = vim.ready("order.py", "total_1\ntotal_2\n", menu)
    screen.type("otot\x0e")  # Ctrl-N
    screen.until("total_1 = order.price")
    screen.type(TAB)
    screen.until(lambda: screen.text.count("total_2") == 3)
    vim.saved(screen, "order.py", "total_1\ntotal_2\ntotal_2\n")
    assert vim.scripted.commands() == []


def test_tab_does_what_it_did_where_there_is_no_ghost_text(vim: Vim) -> None:
    screen = vim.ready("order.py", "", "inoremap <Tab> mapped<Space>before")
    screen.type("ia" + TAB)
    vim.saved(screen, "order.py", "amapped before\n")


def test_signs_beyond_ascii_and_windows_line_ends(vim: Vim) -> None:
    vim.scripted.says({"behind": "func Größe() string {\n\t", "texts": ['😀 := "ä"\n\treturn 😀']})
    screen = vim.ready("Größe 1.go", "package shop\r\nfunc Größe() string {\r\n")
    screen.type("o")
    screen.until('😀 := "ä" 90%')
    screen.until("return 😀")
    screen.type(CTRL_RIGHT + CTRL_DOWN)
    screen.until(lambda: len(vim.scripted.heard("textDocument/didPartiallyAcceptCompletion")) == 2)
    told = vim.scripted.heard("textDocument/didPartiallyAcceptCompletion")
    assert [params["acceptedLength"] for params in told] == [2, 9]
    screen.type(TAB)
    screen.until(lambda: vim.scripted.commands() == ["vicinal.accept"])
    whole = 'package shop\r\nfunc Größe() string {\r\n\t😀 := "ä"\r\n\treturn 😀\r\n'
    vim.saved(screen, "Größe 1.go", whole)


def test_the_commands(vim: Vim, picture: Any) -> None:
    vim.scripted.says(PRICE | {"evidence": [{"path": "cost.py", "start_line": 2, "end_line": 3}]})
    vim.scripted.write("cost.py", "import shop\ndef cost(order):\n    return order.cents\n")
    screen = vim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("82%")
    screen.type(ESCAPE + ":Vicinal explain\r")
    screen.until("**82% sure**")
    screen.type(":ll\r")
    screen.until("def cost(order):")
    screen.type(":only! | Vicinal query prices\r")
    screen.until("80% price")
    screen.type(":ccl | Vicinal toggle\r")
    screen.until("automatic completions are off")
    screen.type(":Vicinal toggle python\r")
    screen.until("completions in python are off")
    screen.type(":Vicinal status\r")
    screen.until("3 adapters")
    screen.type("\r:Vicinal nonsense\r")
    screen.until("there is no :Vicinal nonsense")


def test_without_the_command_one_is_told(vim: Vim) -> None:
    screen = vim.open("order.py", "", cmd=["vicinal-not-there", "lsp"])
    screen.until("vicinal-not-there is not found: `uv tool install vicinal`")
