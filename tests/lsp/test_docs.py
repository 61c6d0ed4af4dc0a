"""`docs/lsp.md` says what the server does: its exchanges are replayed with the real server, its tables compared."""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vicinal_daemon.client import Client, stop
from vicinal_daemon.protocol.requests import IndexRequest, WorkspaceRequest
from vicinal_lsp.handshake import COMMAND_NAMES
from vicinal_lsp.scripted import Editor, Json, Reply
from vicinal_lsp.server import VicinalServer
from vicinal_lsp.settings import settings_rows

pytestmark = pytest.mark.slow  # several daemons of its own

PAGE = Path(__file__).parents[2] / "docs/lsp.md"
SHOP = "/home/you/shop"
BLOCK = re.compile(r"^```json (client|server)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"<[\w ]+>\Z")
WITHOUT_MODEL = "A model that is not there"
SENT = ("didChangeStatus", "vicinal/answer", "$/progress", "window/workDoneProgress/create", "window/showMessage")
ASKED = ("window/showMessageRequest", "window/showDocument", "workspace/applyEdit", "workspace/configuration")


@dataclass(frozen=True, slots=True)
class Said:
    """One message on the page."""

    side: str
    message: Json


@dataclass(slots=True)
class Exchange:
    """A session on the page: what follows an `initialize`."""

    title: str
    said: list[Said] = field(default_factory=list)


def exchanges(page: str) -> list[Exchange]:
    """The sessions of the page, each named after its heading."""
    found: list[Exchange] = []
    for block in BLOCK.finditer(page):
        message = json.loads(block[2])
        if message.get("method") == "initialize":
            found.append(Exchange(re.findall(r"^#+ (.*)$", page[: block.start()], re.MULTILINE)[-1]))
        found[-1].said.append(Said(block[1], message))
    return found


SESSIONS = exchanges(PAGE.read_text(encoding="utf-8"))


class Player:
    """Plays the client's part of an exchange, and holds what the server says against the page."""

    def __init__(self, editor: Editor, root: Path) -> None:
        self.editor = editor
        self.root = root
        self.names: dict[str, Any] = {}
        self.replies: dict[int, Reply] = {}
        self.seen: list[Json] = []

    def play(self, exchange: Exchange) -> None:
        said = [Said(one.side, self._here(one.message)) for one in exchange.said]
        for position, one in enumerate(said):
            if one.side == "server" and "method" in one.message and "id" in one.message:
                answers = (other.message for other in said[position:] if other.side == "client")
                answer = next(each for each in answers if each.get("id") == one.message["id"])
                self._will_answer(one.message["method"], answer["result"])
        for one in said:
            (self._send if one.side == "client" else self._expect)(one.message)

    def _will_answer(self, method: str, result: Any) -> None:
        self.editor.answers[method] = lambda message: result

    def _send(self, written: Json) -> None:
        message = self._named(written)
        if "method" not in message:
            return  # the editor has said it as soon as it was asked
        if "id" in message:
            reply = self.editor.request(message["method"], message.get("params"))
            assert reply.number == message["id"], "requests on the page are numbered from 1 in each session"
            self.replies[reply.number] = reply
        else:
            self.editor.notify(message["method"], message.get("params"))

    def _expect(self, written: Json) -> None:
        if "method" not in written:
            reply = self.replies[written["id"]]
            self.editor.until(lambda: reply.message is not None)
            message = {key: value for key, value in (reply.message or {}).items() if key != "jsonrpc"}
            problem = self._difference(written, message)
            assert not problem, f"{problem}\n{json.dumps(message, indent=2, ensure_ascii=False)}"
            return
        found: list[Json] = []

        def came() -> bool:
            for message in (*self.editor.heard, *self.editor.asked):
                is_new = message["method"] == written["method"] and all(message is not one for one in self.seen)
                if is_new and not self._difference(written["params"], message["params"]):
                    self.seen.append(message)
                    found.append(message)
                    return True
            return False

        try:
            self.editor.until(came)
        except TimeoutError as error:
            others = [m for m in (*self.editor.heard, *self.editor.asked) if m["method"] == written["method"]]
            told = "\n".join(json.dumps(other, ensure_ascii=False) for other in others)
            raise AssertionError(f"not said: {json.dumps(written, ensure_ascii=False)}\nbut:\n{told}") from error

    def _difference(self, written: Any, real: Any) -> str:
        """Where what the server said is not what is written; "" if it is. Names are kept if all of it is."""
        names = dict(self.names)
        problem = different(written, real, names)
        if not problem:
            self.names = names
        return problem

    def _named(self, written: Any) -> Any:
        if isinstance(written, dict):
            return {key: self._named(value) for key, value in written.items()}
        if isinstance(written, list):
            return [self._named(value) for value in written]
        return self.names.get(written, written) if isinstance(written, str) else written

    def _here(self, message: Json) -> Json:
        """The message about this machine's folder."""
        text = json.dumps(message)
        text = text.replace(f"file://{SHOP}", self.root.as_uri()).replace(SHOP, json.dumps(str(self.root))[1:-1])
        here: Json = json.loads(text)
        return here


def different(written: Any, real: Any, names: dict[str, Any], where: str = "") -> str:
    """Where two values differ: keys, types, whole numbers and words are fixed, but for the page's signs."""
    problem = ""
    if isinstance(written, str) and PLACE.match(written):
        same = names.setdefault(written, real) == real
        problem = "" if same else f"{where}: {written} was {names[written]!r}, now {real!r}"
    elif isinstance(written, str) and written.startswith("…"):
        problem = "" if isinstance(real, str) or written == "…" else f"{where}: {real!r} is no text"
    elif isinstance(written, dict) and isinstance(real, dict):
        keys = set(written) - {"…"}
        if missing := keys - set(real):
            problem = f"{where}: {sorted(missing)} missing"
        elif (more := set(real) - keys) and "…" not in written:
            problem = f"{where}: {sorted(more)} not on the page"
        else:
            problem = next(filter(None, (different(written[k], real[k], names, f"{where}.{k}") for k in keys)), "")
    elif isinstance(written, list) and isinstance(real, list):
        fixed = written[:-1] if written[-1:] == ["…"] else written
        if len(real) < len(fixed) or (len(real) > len(fixed) and fixed is written):
            problem = f"{where}: {len(real)} values"
        else:
            pairs = enumerate(zip(fixed, real, strict=False))
            problem = next(filter(None, (different(w, r, names, f"{where}[{n}]") for n, (w, r) in pairs)), "")
    elif isinstance(written, float) and isinstance(real, float | int) and not isinstance(real, bool):
        problem = ""
    elif type(written) is not type(real) or written != real:
        problem = f"{where}: {written!r} on the page, {real!r} said"
    return problem


@dataclass(frozen=True, slots=True)
class Stage:
    """Where exchanges are played: a repository that a daemon has indexed."""

    root: Path
    environment: Mapping[str, str]
    without_model: Mapping[str, str]


@pytest.fixture(scope="module")
def stage(
    live_daemon: Callable[..., Any], new_shop: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    root = new_shop(tmp_path_factory.mktemp("page") / "shop")
    daemon = live_daemon()
    bare = live_daemon(model__name="smollm2-135m", model__cache_dir=tmp_path_factory.mktemp("no-models"))
    with Client(daemon.connection) as client:
        client.add_workspace(WorkspaceRequest(root=str(root)))
        client.index(IndexRequest(root=str(root), action="wait"))
    daemon.engine()
    yield Stage(root, daemon.environment, bare.environment)
    stop(daemon.connection)  # it may be one that a command has started


@pytest.mark.parametrize("exchange", SESSIONS, ids=lambda exchange: exchange.title)
def test_the_server_says_what_the_page_says(exchange: Exchange, stage: Stage, tmp_path: Path) -> None:
    environment = stage.without_model if exchange.title == WITHOUT_MODEL else stage.environment
    with Editor([sys.executable, "-m", "vicinal_lsp"], environment, tmp_path / "errors") as editor:
        editor.patience = 30
        Player(editor, stage.root).play(exchange)
        if exchange.said[-1].message.get("method") == "exit":
            assert editor.process.wait(30) == 0
        else:
            editor.quit()


def test_every_method_and_command_is_in_an_exchange() -> None:
    server = VicinalServer()
    features = server.protocol.fm
    known = {*features.features, *features.builtin_features, *SENT, *ASKED, "textDocument/completion"}
    messages = [one.message for exchange in SESSIONS for one in exchange.said]
    shown = {message["method"] for message in messages if "method" in message}
    assert sorted(known - shown - {"$/setTrace"}) == []
    executed = {m["params"]["command"] for m in messages if m.get("method") == "workspace/executeCommand"}
    assert sorted(set(COMMAND_NAMES) - executed) == []


def test_the_settings_are_those_of_the_server() -> None:
    rows = [f"| `{row.key}` | {row.type} | `{row.default}` | {row.meaning} |" for row in settings_rows()]
    table = "\n".join(["| key | type | default | meaning |", "|---|---|---|---|", *rows])
    assert table in PAGE.read_text(encoding="utf-8")


def test_every_code_block_is_json_or_an_editors_own() -> None:
    kinds = set(re.findall(r"^```(\w.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert kinds <= {"json client", "json server", "json", "lua", "toml", "elisp", "sh"}
