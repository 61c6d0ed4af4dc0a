"""Real editors on a screen of our own, and a language server that says what it is told to.

Each editor comes by its install step in `editor-plugins/install`; where that says that it cannot be had, its tests are
skipped with the reason.
"""

import fcntl
import functools
import itertools
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pyte
import pytest
from rich.console import Console
from rich.text import Text

PLUGINS = Path(__file__).parents[2] / "editor-plugins"
NOT_TO_BE_HAD = 3
INSTALL_SECONDS = 280
PATIENCE = float(os.environ.get("EDITOR_PATIENCE", "120"))
ROWS, COLUMNS = 24, 100
SVG = """<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>.{unique_id}-matrix {{font: {char_height}px monospace; line-height: {line_height}px}} {styles}</style>
<defs>{lines}<clipPath id="{unique_id}-clip-terminal"><rect width="100%" height="100%"/></clipPath></defs>
<rect width="100%" height="100%" rx="8" fill="#292929"/>
<g transform="translate(4, 4)">{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""
Json = dict[str, Any]


class Terminal:
    """An editor in a terminal: keys go in, what would be on the screen comes out."""

    def __init__(self, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self.screen)
        self._held = b""
        self._pid, self._pipe = pty.fork()
        if self._pid == 0:  # the editor's side
            os.chdir(folder)
            os.execvpe(command[0], command, {**environment, "TERM": "xterm-256color"})  # noqa: S606
        fcntl.ioctl(self._pipe, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.screen.write_process_input = lambda data: self._send(data.encode())

    @property
    def text(self) -> str:
        """What is on the screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def type(self, keys: str) -> None:
        """Press keys; an escape sequence is one key."""
        self._send(keys.encode())

    def until(self, condition: str | Callable[[], object]) -> None:
        """Wait until a text stands on the screen, or until something is so."""
        met = (lambda: condition in self.text) if isinstance(condition, str) else condition
        deadline = time.monotonic() + PATIENCE
        while not met():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited in vain for {condition}; the screen:\n{self.text}")
            self._read(0.05)

    def colour(self, text: str) -> str:
        """Of the first place where a text stands."""
        row, line = next((row, line) for row, line in enumerate(self.screen.display) if text in line)
        colour: str = self.screen.buffer[row][line.index(text)].fg
        return colour

    def picture(self, path: Path) -> None:
        """The screen as SVG."""
        with Path(os.devnull).open("w") as nowhere:
            console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
            for row in range(ROWS):
                line = Text()
                cells = [self.screen.buffer[row][column] for column in range(COLUMNS)]
                for style, run in itertools.groupby(cells, _style):
                    line.append("".join(cell.data for cell in run), style)
                console.print(line, soft_wrap=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(console.export_svg(code_format=SVG, unique_id="screen"), "utf-8")

    def close(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGHUP)
        deadline = time.monotonic() + 10
        while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
            self._read(0.05)
            if time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
        os.close(self._pipe)

    def _send(self, data: bytes) -> None:
        os.write(self._pipe, data)

    def _read(self, seconds: float) -> None:
        if select.select([self._pipe], [], [], seconds)[0]:
            with suppress(OSError):  # the editor has closed its side
                data = self._held + os.read(self._pipe, 65536)
                # pyte shows questions to the terminal as text, and takes a keyboard's settings for colours.
                data = re.sub(
                    rb"\x1bP.*?\x1b\\|\x1b\[[><=][\d;]*[a-zA-Z]|\x1b\[(\?[\d;]*|[\d;]*:[\d:;]*)m",
                    b"",
                    data,
                    flags=re.DOTALL,
                )
                begun = re.search(rb"\x1b(P.*|\[[><=]?[\d:;]*)?\Z", data, flags=re.DOTALL)
                self._held = begun[0] if begun else b""
                self._stream.feed(data.removesuffix(self._held))


def _style(cell: pyte.screens.Char) -> str:
    """A cell's looks, as rich names them."""
    kinds = ["bold"] * cell.bold + ["reverse"] * cell.reverse + ["underline"] * cell.underscore
    return " ".join([*kinds, _colour(cell.fg), "on " + _colour(cell.bg)])


def _colour(name: str) -> str:
    if re.fullmatch("[0-9a-f]{6}", name):
        return "#" + name
    return {"brown": "yellow"}.get(name, re.sub("^bright", "bright_", name).replace("bright_brown", "bright_yellow"))


class Scripted:
    """A repository, and a language server for it that says what it is told to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shop = folder / "shop"
        self.shop.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(self.shop)], check=True)
        self.command = [sys.executable, str(Path(__file__).with_name("scripted_server.py")), str(folder)]
        self.says()

    def says(self, *entries: Json) -> None:
        """What is answered from now on: where, and which texts."""
        (self.folder / "script.json").write_text(json.dumps(entries), "utf-8")

    def write(self, name: str, text: str) -> Path:
        path = self.shop / name
        path.write_text(text, "utf-8")
        return path

    def heard(self, method: str) -> list[Json]:
        """The parameters of all messages of a method that the editor has sent so far."""
        journal, found = self.folder / "journal", []
        data = journal.read_bytes() if journal.exists() else b""
        while (end := data.find(b"\r\n\r\n")) >= 0:
            headers = dict(line.split(b":", 1) for line in data[:end].lower().split(b"\r\n"))
            body = data[end + 4 : end + 4 + int(headers[b"content-length"])]
            data = data[end + 4 + len(body) :]
            with suppress(json.JSONDecodeError):  # not all of it is there yet
                message = json.loads(body)
                found += [message.get("params", {})] if message.get("method") == method else []
        return found

    def commands(self) -> list[str]:
        """The names of the commands that the editor has sent so far."""
        return [params["command"] for params in self.heard("workspace/executeCommand")]

    def events(self) -> list[Json]:
        """What the daemon was told of answers."""
        told = self.folder / "feedback"
        return [json.loads(line) for line in told.read_text("utf-8").splitlines()] if told.exists() else []


@pytest.fixture(scope="session")
def editor() -> Callable[[str], str]:
    """Installs an editor if need be; the command that starts it."""

    @functools.cache
    def installed(name: str) -> tuple[int, str]:
        step = [str(PLUGINS / "install" / f"{name}.sh")]
        done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        return done.returncode, done.stdout.strip() if done.returncode in (0, NOT_TO_BE_HAD) else done.stderr

    def get(name: str) -> str:
        status, said = installed(name)
        if status == NOT_TO_BE_HAD:
            pytest.skip(said)
        assert status == 0, said
        return said

    return get


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    """A repository and a server for it."""
    return Scripted(tmp_path / "scripted")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """For an editor without any of the user's settings, which imports what this process does."""
    home = tmp_path / "home"
    home.mkdir()
    paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("VICINAL_", "XDG_", "LC_", "NVIM"))}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Starts editors: a command and the folder it starts in."""
    with ExitStack() as leaving:

        def start(command: list[str], folder: Path, **more: str) -> Terminal:
            started = Terminal(command, environment | more, folder)
            leaving.callback(started.close)
            return started

        yield start


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Terminal, str], None]:
    """Keeps a screen as `NAME.svg` in `$VICINAL_PICTURES`, which the READMEs show."""
    folder = Path(os.environ.get("VICINAL_PICTURES", tmp_path / "pictures"))
    return lambda terminal, name: terminal.picture(folder / f"{name}.svg")
