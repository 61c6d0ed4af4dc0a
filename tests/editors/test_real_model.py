"""Each terminal editor with the real thing: `vicinal lsp`, a daemon, the embedded model, a small repository."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.editor, pytest.mark.model]

PLUGINS = Path(__file__).parents[2] / "editor-plugins"
COMMAND = [sys.executable, "-m", "vicinal_daemon.cli", "lsp"]
SETTINGS = {"minConfidence": 0, "budgetAutomaticMs": 60000}
TEXT = "class ReturnHandler(Handler):\n    def handle(self, message):\n        order = self.ledger.find_"


def neovim(command: str, home: Path, path: Path) -> list[str]:
    settings = json.dumps({"cmd": COMMAND, "settings": SETTINGS})
    init = home / "init.lua"
    lines = [
        f"vim.opt.runtimepath:prepend('{PLUGINS / 'neovim'}')",
        f"vim.g.vicinal = vim.json.decode([==[{settings}]==])",
        "vim.o.statusline = [[%f %{v:lua.require'vicinal'.statusline()}]]",
    ]
    init.write_text("\n".join(lines))
    return [command, "-u", str(init), "+normal G$", "+startinsert!", str(path)]


def vim(command: str, home: Path, path: Path) -> list[str]:
    settings = json.dumps({"cmd": COMMAND, "settings": SETTINGS})
    vimrc = home / "vimrc"
    vimrc.write_text(
        f"set nocompatible laststatus=2\nset rtp+={PLUGINS / 'vim'}\nlet g:vicinal = json_decode('{settings}')\n"
        "set statusline=%f\\ %{vicinal#Statusline()}|\n"
    )
    return [command, "-u", str(vimrc), "+normal G$", "+startinsert!", str(path)]


def emacs(command: str, home: Path, path: Path) -> list[str]:
    init = home / ".emacs.d" / "init.el"
    init.parent.mkdir()
    (init.parent / "early-init.el").write_text("(setq native-comp-deferred-compilation nil)")
    words = " ".join(f'"{word}"' for word in COMMAND)
    init.write_text(
        f'(add-to-list \'load-path "{PLUGINS / "emacs"}")\n'
        f"(require 'vicinal) (setq vicinal-command '({words}) eglot-connect-timeout 120)\n"
        "(setq vicinal-settings '(:minConfidence 0 :budgetAutomaticMs 60000)) (vicinal-use-for 'python-mode)\n"
        "(add-hook 'python-mode-hook #'eglot-ensure)\n"
        "(add-hook 'window-setup-hook (lambda () (goto-char (point-max))))\n"
    )
    return [command, "-nw", str(path)]


@pytest.fixture(scope="module")
def daemon(live_daemon: Callable[..., Any]) -> Any:
    """One daemon for all editors, with the model that users get."""
    return live_daemon(model__name="smollm2-135m", tune__steps=1, tune__max_tokens=128)


@pytest.fixture(scope="module")
def shop(new_shop: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return new_shop(tmp_path_factory.mktemp("real") / "shop")


@pytest.mark.parametrize(
    ("name", "started"), [("neovim", neovim), ("neovim-0.12", neovim), ("vim", vim), ("emacs", emacs)]
)
def test_the_model_completes_and_says_how_sure_it_is(
    name: str, started: Any, editor: Any, daemon: Any, shop: Path, terminal: Any, environment: Any, picture: Any
) -> None:
    command = editor(name)
    home = Path(environment["HOME"])
    path = shop / f"{name.replace('.', '_')}_return.py"
    path.write_text(TEXT)
    kept = {key: value for key, value in daemon.environment.items() if key.startswith(("VICINAL_", "PYTHONPATH"))}
    screen = terminal(started(command, home, path), shop, **kept, XDG_CONFIG_HOME=daemon.environment["XDG_CONFIG_HOME"])
    screen.until("Vicinal")
    screen.until(lambda: "connecting" not in screen.text and "loading" not in screen.text)
    screen.type("order(")
    screen.until("message[")  # what all its neighbours do
    screen.until("%")
    picture(screen, f"{name}-real")
    screen.type("\t" + ("\x18\x13" if name == "emacs" else "\x1b:w\r"))
    screen.until(lambda: "find_order(message[" in path.read_text())
