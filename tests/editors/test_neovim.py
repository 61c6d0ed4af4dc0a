"""Neovim 0.10 and 0.11 with ghost text of our plugin's own, 0.12 with Neovim's; driven in a terminal."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

PLUGIN = Path(__file__).parents[2] / "editor-plugins" / "neovim"
ALT_RIGHT, ALT_CTRL_RIGHT, CTRL_BRACKET, ALT_CLOSE, ALT_OPEN = "\x1b[1;3C", "\x1b[1;7C", "\x1d", "\x1b]", "\x1b["
TAB, ESCAPE = "\t", "\x1b"
PRICE = {"behind": "total = ", "texts": ["order.price(amount)", "order.cost()", "order.sum"], "confidence": 0.82}
BODY = {"behind": "def price(order):\n    ", "texts": ["cents = order.cents\n    return cents / 100"]}


class Neovim:
    """One Neovim with our plugin in its packages, as a user installs it."""

    def __init__(self, command: str, home: Path, scripted: Any, terminal: Callable[..., Any]) -> None:
        self.scripted = scripted
        self._command = command
        self._home = home
        self._terminal = terminal
        self._socket = home / "socket"
        packages = home / ".local/share/nvim/site/pack/plugins/start"
        packages.mkdir(parents=True)
        (packages / "vicinal").symlink_to(PLUGIN)

    def open(self, name: str, text: str = "", lua: str = "", **settings: Any) -> Any:
        """Start it with a file, once the server is ready; the cursor stands at the end."""
        path = self.scripted.write(name, text)
        said = json.dumps({"cmd": self.scripted.command} | settings)
        lines = [
            "vim.o.termguicolors, vim.o.swapfile = true, false",
            "vim.o.statusline = [[%f %{v:lua.require'vicinal'.statusline()}]]",
            f"vim.g.vicinal = vim.json.decode([==[{said}]==])",
            lua,
        ]
        config = self._home / ".config/nvim/init.lua"
        config.parent.mkdir(parents=True)
        config.write_text("\n".join(lines), "utf-8")
        screen = self._terminal(
            [self._command, "--listen", str(self._socket), "+normal G$", str(path)], self.scripted.shop
        )
        self.screen = screen
        return screen

    def ready(self, name: str, text: str = "", lua: str = "", **settings: Any) -> Any:
        screen = self.open(name, text, lua, **settings)
        screen.until(f"{name} Vicinal\n")
        return screen

    def value(self, expression: str) -> str:
        """Of a Vim expression."""
        ask = [self._command, "--server", str(self._socket), "--remote-expr", expression]
        return subprocess.run(ask, capture_output=True, text=True, timeout=60, check=True).stdout

    def buffer(self) -> str:
        return self.value("join(getline(1, '$'), nr2char(10))").rstrip("\n")


@pytest.fixture(params=["neovim", "neovim-0.12"])
def neovim(request: Any, editor: Any, environment: dict[str, str], scripted: Any, terminal: Any) -> Neovim:
    return Neovim(editor(request.param), Path(environment["HOME"]), scripted, terminal)


ALSO_OLD = pytest.mark.parametrize("neovim", ["neovim-0.10", "neovim", "neovim-0.12"], indirect=True)
ANY = pytest.mark.parametrize("neovim", ["neovim"], indirect=True)


@ALSO_OLD
def test_ghost_text_comes_while_one_types_and_tab_takes_it(neovim: Neovim, picture: Any) -> None:
    neovim.scripted.says(PRICE)
    screen = neovim.ready("order.py", "import shop\n")
    screen.type("ototal = ")
    screen.until("total = order.price(amount) 82%")
    assert screen.colour("order.price") != screen.colour("total = ")
    assert screen.colour("82%") not in (screen.colour("order.price"), screen.colour("total = "))
    assert neovim.buffer() == "import shop\ntotal = "
    screen.until("order.py Vicinal 82%")
    screen.type(TAB)
    screen.until(lambda: neovim.scripted.commands() == ["vicinal.accept"])
    screen.until(lambda: "82%" not in screen.text.splitlines()[1])
    assert neovim.buffer() == "import shop\ntotal = order.price(amount)"
    screen.until(lambda: [told["event"] for told in neovim.scripted.events()] == ["shown", "accepted"])
    screen.type("  # all\n" + ESCAPE + ":wq\r")
    screen.until(
        lambda: (neovim.scripted.shop / "order.py").read_text() == "import shop\ntotal = order.price(amount)  # all\n\n"
    )


@ALSO_OLD
def test_several_lines_are_shown_and_taken_by_word_and_by_line(neovim: Neovim, picture: Any) -> None:
    neovim.scripted.says(BODY)
    screen = neovim.ready("order.py", "")
    screen.type("idef price(order):\n")
    screen.until("    cents = order.cents 90%")
    screen.until("    return cents / 100")
    picture(screen, "neovim")
    screen.type(ALT_RIGHT)
    screen.until(lambda: neovim.buffer() == "def price(order):\n    cents")
    screen.type(ALT_RIGHT)
    screen.until(lambda: neovim.buffer() == "def price(order):\n    cents =")
    screen.until("    return cents / 100")
    screen.type(ALT_CTRL_RIGHT)
    screen.until(lambda: neovim.buffer() == "def price(order):\n    cents = order.cents")
    screen.type(ALT_CTRL_RIGHT)
    screen.until(lambda: neovim.buffer() == "def price(order):\n    cents = order.cents\n    return cents / 100")
    screen.until(lambda: neovim.scripted.commands() == ["vicinal.accept"])
    assert len(neovim.scripted.heard("textDocument/didPartiallyAcceptCompletion")) == 3
    screen.until(lambda: neovim.scripted.events()[-1]["event"] == "accepted")
    events = neovim.scripted.events()
    assert [event["accepted_characters"] for event in events if event["event"] == "partly"] == [5, 7, 19]
    assert [event["accepted_characters"] for event in events if event["event"] == "accepted"] == [42]


@ALSO_OLD
def test_one_can_look_at_the_alternatives(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE)
    screen = neovim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("order.price(amount)")
    screen.type(ALT_CLOSE)
    screen.until("order.cost()")
    screen.type(ALT_CLOSE)
    screen.until("order.sum")
    screen.type(ALT_CLOSE)
    screen.until("order.price(amount)")
    screen.type(ALT_OPEN)
    screen.until("order.sum")
    asked = neovim.scripted.heard("textDocument/inlineCompletion")
    assert [request["context"]["triggerKind"] for request in asked][-1] == 1
    screen.type(TAB)
    screen.until(lambda: neovim.buffer() == "total = order.sum")


def test_what_is_sent_away_is_gone(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE)
    screen = neovim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("order.price(amount) 82%")
    screen.type(CTRL_BRACKET)
    screen.until(lambda: "order.price" not in screen.text and "82%" not in screen.text.splitlines()[0])
    screen.type(TAB)  # a tab again
    screen.until(lambda: len(neovim.buffer()) > len("total = ") and neovim.buffer().rstrip() == "total =")
    screen.until(lambda: [told["event"] for told in neovim.scripted.events()] == ["shown", "rejected"])


def test_leaving_insert_mode_calls_off_what_is_asked(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE)
    (neovim.scripted.folder / "wait").touch()
    screen = neovim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until(lambda: neovim.scripted.heard("textDocument/inlineCompletion"))
    screen.type(ESCAPE)
    screen.until(lambda: neovim.scripted.heard("$/cancelRequest"))
    (neovim.scripted.folder / "wait").unlink()
    screen.type("itotal = ")  # in front of what is there
    screen.until("order.price")
    assert screen.text.count("order.price") == 1


def test_typing_on_leaves_the_rest(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE)
    screen = neovim.ready("order.py", "")
    screen.type("itotal = ")
    screen.until("order.price(amount)")
    screen.type("order.pri")
    screen.until(lambda: neovim.buffer() == "total = order.pri")
    screen.until("total = order.price(amount)")
    screen.type("x")
    screen.until(lambda: "(amount)" not in screen.text)


def test_tab_belongs_to_the_menu_while_it_is_open(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE, {"behind": "total_1", "texts": [" = order.price(amount)"]})
    menu = "function() return vim.fn.pumvisible() == 1 and '<C-n>' or '<Tab>' end"
    menu = f"vim.keymap.set('i', '<Tab>', {menu}, {{expr = true}})"
    screen = neovim.ready("order.py", "total_1\ntotal_2\n", lua=menu)
    screen.type("otot\x0e")  # Ctrl-N
    screen.until(lambda: neovim.value("pumvisible()").strip() == "1")
    screen.until("total_1 = order.price")
    screen.type(TAB)
    screen.until(lambda: neovim.buffer().endswith("\ntotal_2"))
    assert neovim.scripted.commands() == []


def test_tab_belongs_to_the_snippet_while_it_is_filled_in(neovim: Neovim) -> None:
    neovim.scripted.says({"behind": "x = f(", "texts": ["order)"]})
    lua = "vim.keymap.set('i', '<F2>', function() vim.snippet.expand('x = ${1:a}\\ny = ${2:b}$0') end)"
    lua += "\nif vim.fn.has('nvim-0.11') == 0 then vim.keymap.set({'i', 's'}, '<Tab>', function() "
    lua += (
        "if vim.snippet.active({direction = 1}) then return '<cmd>lua vim.snippet.jump(1)<cr>' end return '<Tab>' end, "
    )
    lua += "{expr = true}) end"
    screen = neovim.ready("order.py", "", lua=lua)
    screen.type("i\x1bOQ")  # F2
    screen.until("y = b")
    screen.type("f(")  # in place of the first part
    screen.until("x = f(order)")
    screen.type(TAB)
    screen.until("-- SELECT --")
    screen.type("2")
    screen.until(lambda: neovim.buffer() == "x = f(\ny = 2")
    assert neovim.scripted.commands() == []


@ANY
def test_tab_does_what_it_did_where_there_is_no_ghost_text(neovim: Neovim) -> None:
    screen = neovim.ready("order.py", "", lua="vim.keymap.set('i', '<Tab>', 'mapped before')")
    screen.type("ia" + TAB)
    screen.until(lambda: neovim.buffer() == "amapped before")


def test_signs_beyond_ascii_and_windows_line_ends(neovim: Neovim) -> None:
    newline = "\r\n"
    neovim.scripted.says({"behind": "func Größe() string {\n\t", "texts": ['😀 := "ä"\n\treturn 😀']})
    screen = neovim.ready("order.go", f"package shop{newline}func Größe() string {{{newline}")
    screen.type("o")
    screen.until('😀 := "ä" 90%')
    screen.until("return 😀")
    assert "^M" not in screen.text
    screen.type(ALT_RIGHT + ALT_CTRL_RIGHT)
    screen.until(lambda: neovim.buffer().endswith('\t😀 := "ä"'))
    told = neovim.scripted.heard("textDocument/didPartiallyAcceptCompletion")
    assert [params["acceptedLength"] for params in told] == [2, 9]
    screen.until("return 😀")
    screen.type(TAB)
    screen.until(lambda: neovim.buffer().endswith("\n\treturn 😀"))
    screen.type(ESCAPE + ":w\r")
    written = lambda: (neovim.scripted.shop / "order.go").read_bytes().decode()  # noqa: E731
    screen.until(lambda: written().endswith(f'😀 := "ä"{newline}\treturn 😀{newline}'))
    assert "\r\r" not in written()


@ALSO_OLD
def test_the_commands(neovim: Neovim, picture: Any) -> None:
    evidence = {"path": "cost.py", "start_line": 2, "end_line": 3}
    neovim.scripted.says(PRICE | {"evidence": [evidence]})
    neovim.scripted.write("cost.py", "import shop\ndef cost(order):\n    return order.cents\n")
    screen = neovim.ready("order.py", "", confidence="full")
    screen.type("itotal = ")
    screen.until("82% · base · cost.py")
    screen.type(ESCAPE + ":Vicinal explain\r")
    screen.until("**82% sure**")
    screen.until("Why this suggestion?")
    picture(screen, "neovim-explain")
    screen.type("/cost.py:2\r\r")
    screen.until("def cost(order):")
    assert neovim.value("expand('%:t') . line('.')").strip() == "cost.py2"
    screen.type(":only | Vicinal query prices\r")
    screen.until("80% price")
    assert neovim.value("getqflist({'title': 0}).title").strip() == "Vicinal: prices"
    screen.type(":ccl | Vicinal toggle\r")
    screen.until("automatic completions are off")
    screen.type(":Vicinal toggle python\r")
    screen.until("completions in python are off")
    screen.type(":Vicinal status\r")
    screen.until("3 adapters")
    screen.type("\r:Vicinal nonsense\r")
    screen.until("there is no :Vicinal nonsense")


@ALSO_OLD
def test_checkhealth(neovim: Neovim, tmp_path: Path) -> None:
    screen = neovim.ready("order.py", "")
    screen.type(":checkhealth vicinal\r")
    screen.until("The language server")
    health = neovim.buffer()
    assert "ghost text is drawn by" in health
    assert "ready" in health
    assert "ERROR" not in health
    assert "is mapped by something else" not in health


@ANY
def test_without_the_command_one_is_told_once(neovim: Neovim) -> None:
    screen = neovim.open("order.py", "", cmd=["vicinal-not-there", "lsp"])
    screen.until("the command 'vicinal-not-there' is not found")
    neovim.scripted.write("other.py", "")
    screen.type("\r:e other.py\r")
    screen.until("other.py Vicinal: vicinal-not-there is not found")
    assert neovim.value("execute('messages')").count("the command") == 1
    screen.type(":checkhealth vicinal\r")
    screen.until("uv tool install vicinal")


@ANY
def test_settings_that_cannot_be_right_are_named(neovim: Neovim) -> None:
    screen = neovim.open("order.py", "", confidence="loud", kes={}, keys={"accept": False, "next": 3})
    screen.until(lambda: screen.text.count("; ") == 2)
    said = "".join(screen.screen.display)  # it goes on from line to line
    assert "confidence must be one of off, subtle, full" in said
    assert "kes is unknown" in said
    assert "keys.next must be a string" in said


@ANY
def test_settings_may_come_by_setup(neovim: Neovim) -> None:
    neovim.scripted.says(PRICE)
    command = json.dumps(neovim.scripted.command)
    lua = f"local cmd = vim.json.decode([==[{command}]==])\n"
    lua += "require('vicinal').setup({cmd = cmd, confidence = 'off', keys = {accept = '<F2>'}})"
    screen = neovim.ready("order.py", "", lua=lua, cmd=["nothing"])
    screen.type("itotal = ")
    screen.until("order.price(amount)")
    assert "82%" not in screen.text.splitlines()[0]
    screen.type("\x1bOQ")
    screen.until(lambda: neovim.buffer() == "total = order.price(amount)")
