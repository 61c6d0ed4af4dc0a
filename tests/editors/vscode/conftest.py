"""VS Code without a screen: code-server with our extension, in a browser that does what it is told."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from vicinal_daemon.config import load

HERE = Path(__file__).parent
PLUGINS = HERE.parents[2] / "editor-plugins"
PATIENCE = float(os.environ.get("EDITOR_PATIENCE", "120"))
GHOST = ".ghost-text-decoration, .ghost-text-decoration-preview, .ghost-text"
STATUS = '.statusbar-item[id^="vicinal.vicinal"]'
QUIET = {
    "security.workspace.trust.enabled": False,
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.wordBasedSuggestions": "off",
    "editor.minimap.enabled": False,
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "chat.disableAIFeatures": True,
    "update.mode": "none",
    "telemetry.telemetryLevel": "off",
    "extensions.ignoreRecommendations": True,
    "git.enabled": False,
    "files.autoSave": "off",
}
Json = dict[str, Any]


class Tools:
    """Where the install step has put things."""

    def __init__(self, said: str) -> None:
        places = dict(line.split("=", 1) for line in said.splitlines())
        self.node, self.npm, self.chromium = places["NODE"], places["NPM"], places["CHROMIUM"]
        self.code_server, self.driver, self.build = places["CODE_SERVER"], places["DRIVER"], Path(places["BUILD"])
        self.version = places["VERSION"]

    @property
    def environment(self) -> dict[str, str]:
        """With the Node that everything was installed with."""
        return {**os.environ, "PATH": os.pathsep.join([str(Path(self.node).parent), os.environ["PATH"]])}

    def npm_run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """In a copy of the extension's folder beside what it is built with."""
        source = PLUGINS / "vscode"
        shutil.copytree(
            source, self.build, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules", "dist", "build")
        )
        for folder in ("src", "test"):
            for copied in (self.build / folder).iterdir():
                if not (source / folder / copied.name).exists():
                    copied.unlink()
        (self.build / "build").mkdir(exist_ok=True)
        return subprocess.run(
            [self.npm, *command], cwd=self.build, env=self.environment, capture_output=True, text=True, timeout=280
        )


class Browser:
    """The driver: what it is asked it does, and what fails there fails here."""

    def __init__(self, tools: Tools) -> None:
        command = [tools.node, str(HERE / "driver.mjs"), tools.driver, tools.chromium]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, name: str, *arguments: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise TimeoutError(f"{name} {arguments}: {answer['error']}")
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


class Code:
    """VS Code in a browser window: keys go in, what stands on the screen comes out."""

    def __init__(self, address: str, user_data: Path, browser: Browser, shots: Path) -> None:
        self._address = address
        self._user_data = user_data
        self._browser = browser
        self._shots = shots
        self.ask = browser.ask

    def settings(self, **settings: object) -> None:
        """The user's settings from now on, beside those that keep it quiet; `vicinal__command` is `vicinal.command`."""
        chosen = {key.replace("__", "."): value for key, value in settings.items()}
        for place in ("User", "Machine"):  # a browser's VS Code takes what is of the machine from the latter
            file = self._user_data / place / "settings.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(QUIET | chosen))

    def open(self, folder: Path, *files: str) -> None:
        """Open a folder and files in it; the last one has the cursor, at its end."""
        self.ask("goto", f"{self._address}/?folder={folder}")
        self.until("() => document.querySelector('.monaco-workbench .statusbar-item')")
        for file in files:
            self.show(file)

    def show(self, file: str) -> None:
        """Open a file of the folder, with the cursor at its end."""
        self.pick("Control+p", file)
        self.until("name => document.querySelector(`.tab.active[data-resource-name='${name}']`)", file)
        self.until("() => document.querySelector('.monaco-editor.focused')")
        self.ask("press", "Control+End")

    def pick(self, key: str, text: str) -> None:
        """Open a list of VS Code's, narrow it, and take the first entry, which may be there only a little later."""
        deadline = time.monotonic() + PATIENCE
        listed = (
            "text => (document.querySelector('.quick-input-list .monaco-list-row')?.textContent ?? '').includes(text)"
        )
        while True:
            self.press("Escape")
            self.press("Escape")
            self.press(key)
            self.until("() => document.querySelector('.quick-input-widget:not([style*=\"display: none\"]) input')")
            self.ask("type", text, 0)
            try:
                self.ask("until", listed, text, 5000)
                break
            except TimeoutError:
                assert time.monotonic() < deadline, self.shot("waited-in-vain")
        self.press("Enter")

    def fresh(self, folder: Path, name: str, text: str) -> Path:
        """Open a new file with this text in the open folder, once the extension is ready."""
        file = folder / name
        file.write_text(text)
        self.show(name)
        self.until_status("Vicinal")
        return file

    def command(self, title: str) -> None:
        """Run a command by its title."""
        self.pick("F1", title)

    def type(self, text: str) -> None:
        self.ask("type", text, 15)

    def press(self, key: str) -> None:
        self.ask("press", key)

    def until(self, expression: str, argument: object = None) -> None:
        """Wait until a function of the page is true."""
        try:
            self.ask("until", expression, argument, PATIENCE * 1000)
        except TimeoutError:
            self.shot("waited-in-vain")
            raise

    def until_text(self, selector: str, text: str) -> None:
        """Wait until something that matches has a text in it."""
        # VS Code writes spaces in code as no-break spaces.
        self.until(
            "([selector, text]) => [...document.querySelectorAll(selector)]"
            ".some(one => one.textContent.replaceAll('\\u00a0', ' ').includes(text))",
            [selector, text],
        )

    def until_ghost(self, text: str) -> None:
        """Wait until the grey text has this in it; it comes in pieces, one for each colour."""
        self.until(
            "([selector, text]) => [...document.querySelectorAll(selector)].map(one => one.textContent).join('')"
            ".replaceAll('\\u00a0', ' ').includes(text)",
            [GHOST, text],
        )

    def until_no_ghost(self) -> None:
        self.until("selector => !document.querySelector(selector)", GHOST)

    def until_status(self, text: str) -> None:
        """Wait until the item in the status bar says exactly this."""
        self.until(
            "([selector, text]) => "
            "document.querySelector(selector)?.textContent.replaceAll('\\u00a0', ' ').trim() === text",
            [STATUS, text],
        )

    def until_tooltip(self, text: str) -> None:
        """Wait until the item in the status bar says this when the mouse is over it."""
        deadline, said = time.monotonic() + PATIENCE, [""]
        while not any(text in one for one in said):
            assert time.monotonic() < deadline, (text, said)
            self.ask("hover", ".monaco-editor .view-lines")
            self.ask("hover", STATUS)
            self.until("() => document.querySelector('.monaco-hover .hover-contents')?.textContent")
            said = self.ask("texts", ".monaco-hover .hover-contents")
        self.ask("hover", ".monaco-editor .view-lines")

    def until_line(self, text: str) -> None:
        """Wait until a line of the editor is this, white space at its ends aside; ghost text counts as there."""
        self.until(
            "text => [...document.querySelectorAll('.monaco-editor .view-line')]"
            ".some(one => one.textContent.replaceAll('\\u00a0', ' ').trim() === text)",
            text,
        )

    def marks(self) -> list[str]:
        """What stands behind lines as a mark."""
        marks: list[str] = self.ask(
            "evaluate",
            "() => [...document.querySelectorAll('.monaco-editor .view-line span')]"
            ".map(one => getComputedStyle(one, '::after').content).filter(one => /[○◐●]/.test(one))"
            ".map(one => one.replaceAll('\"', ''))",
        )
        return marks

    def until_mark(self, mark: str) -> None:
        """Wait until exactly this mark stands there; an empty text for none."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.marks()) != ([mark] if mark else []):
            assert time.monotonic() < deadline, (found, mark)
            threading.Event().wait(0.1)

    def saved(self, file: Path) -> str:
        """The file once the editor has saved it."""
        self.press("Control+s")
        self.until("() => !document.querySelector('.tab.active.dirty')")
        return file.read_text()

    def shot(self, name: str, clip: Json | None = None) -> Path:
        """Keep a screenshot."""
        self._shots.mkdir(parents=True, exist_ok=True)
        path = self._shots / f"{name}.png"
        self.ask("screenshot", str(path), clip)
        return path


@pytest.fixture(scope="session")
def tools(editor: Callable[[str], str]) -> Tools:
    """Node, code-server, Chromium."""
    return Tools(editor("vscode"))


@pytest.fixture(scope="session")
def vsix(tools: Tools) -> Path:
    """The extension, packed by its one command."""
    done = tools.npm_run("run", "package")
    assert done.returncode == 0, done.stdout + done.stderr
    return tools.build / "build" / "vicinal.vsix"


@pytest.fixture(scope="module")
def code(tools: Tools, vsix: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Code]:
    """VS Code with the extension; one browser window for the module. Its home has nothing of the user's."""
    shots = Path(os.environ.get("VICINAL_PICTURES", tmp_path_factory.mktemp("pictures")))
    with ExitStack() as leaving:
        home = Path(leaving.enter_context(TemporaryDirectory(prefix="code", ignore_cleanup_errors=True))).resolve()
        user_data, extensions = home / "data", home / "extensions"
        paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
        kept = {key: value for key, value in tools.environment.items() if not key.startswith(("VICINAL_", "XDG_"))}
        folders = kept["PATH"].split(os.pathsep)
        kept["PATH"] = os.pathsep.join(folder for folder in folders if not (Path(folder) / "vicinal").exists())
        environment = {**kept, "HOME": str(home), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        server = [tools.node, tools.code_server, "--user-data-dir", str(user_data), "--extensions-dir", str(extensions)]
        done = subprocess.run(
            [*server, "--install-extension", str(vsix)], env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        quiet = ["--auth", "none", "--disable-telemetry", "--disable-update-check", "--disable-workspace-trust"]
        log = leaving.enter_context((home / "log").open("wb"))
        process = subprocess.Popen(
            [*server, *quiet, "--disable-getting-started-override", "--bind-addr", f"127.0.0.1:{port}"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        leaving.callback(_end, process)
        browser = Browser(tools)
        leaving.callback(browser.close)
        _until_listening(port, process)
        yield Code(f"http://127.0.0.1:{port}", user_data, browser, shots)


def _until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, "code-server has ended"
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started: extension hosts, language servers."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Scripted:
    """A repository, and a command `vicinal` whose language server says what it is told to."""

    def __init__(self, folder: Path, shop: Path) -> None:
        self.shop = shop
        self.script = folder / "script.json"
        self.command = folder / "vicinal"
        self.command.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "scripted_server.py"} {self.script} "$@"\n')
        self.command.chmod(0o755)
        self.says()

    def says(self, *rules: Json) -> None:
        """From now on."""
        self.script.write_text(json.dumps({"rules": rules}))

    def events(self) -> list[Json]:
        """What the daemon was told of answers."""
        told = self.script.with_suffix(".told")
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []

    def until_event(self, event: str, **more: object) -> None:
        """Wait until the daemon was told this last of its kind."""
        deadline = time.monotonic() + PATIENCE
        while not (found := [one for one in self.events() if one["event"] == event]) or found[-1] != found[-1] | more:
            assert time.monotonic() < deadline, self.events()
            threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, new_shop: Callable[..., Path]) -> Scripted:
    """A repository and a server for it."""
    folder = tmp_path_factory.mktemp("scripted")
    return Scripted(folder, new_shop(folder / "shop"))


@pytest.fixture
def real_vicinal(tmp_path: Path) -> Iterator[Path]:
    """The real command with the user's models, and a daemon of its own, which ends with the test."""
    with TemporaryDirectory(prefix="v") as folder:  # short: a socket's path has a limit
        chosen = {
            "VICINAL_MODEL_CACHE_DIR": str(load(environ={}).model.cache_dir),
            "VICINAL_DAEMON_FOLDER": f"{folder}/run",
            "VICINAL_DAEMON_LOG_DIR": f"{folder}/logs",
            "VICINAL_INDEX_DATA_DIR": str(tmp_path / "data"),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
        }
        command = tmp_path / "vicinal"
        lines = [f"export {key}={shlex.quote(value)}" for key, value in chosen.items()]
        lines.append(f'exec {shlex.quote(sys.executable)} -m vicinal_daemon.cli "$@"')
        command.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        command.chmod(0o755)
        yield command
        paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("VICINAL_")}
        environment = {**kept, "PYTHONPATH": paths}
        subprocess.run([str(command), "daemon", "stop"], env=environment, capture_output=True, timeout=120, check=False)
