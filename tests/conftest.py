"""Fixtures that tests of several rooms share: small real models, repositories, daemons as real processes."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import httpx2
import hypothesis
import psutil
import pytest

from vicinal_daemon.client import Client, Connection
from vicinal_daemon.client.transport import open_http
from vicinal_daemon.models.tiny import write_tiny_gguf, write_tiny_model
from vicinal_daemon.place import Place, daemon_command

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("vicinal", deadline=None)
# A change is judged by itself: where this is set (`.ci/run`) examples are the same each time; new ones come elsewhere.
hypothesis.settings.register_profile("same-examples", deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "vicinal"))


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real causal model with two random layers and no fill-in-the-middle tokens; treat it as read-only."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_fim_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_model_dir`, with fill-in-the-middle tokens in its vocabulary."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny-fim"), fill_in_the_middle=True)


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Path:
    """The weights of `tiny_model_dir` as a GGUF file."""
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny-gguf") / "tiny.gguf", tiny_model_dir)


NAMES = ("payment", "refund", "shipment", "return", "invoice", "discount")
MODULE = '''"""Handle {name} messages."""

from shop.base import Handler, Receipt


class {title}Handler(Handler):
    """Turns a {name} message into a receipt."""

    def handle(self, message: dict[str, str]) -> Receipt:
        order = self.ledger.find_order(message["{name}_id"])
        self.audit.record("{name}", order.number, actor=message["actor"])
        return Receipt(order.number, status="{name}", amount=order.total_in_cents)
'''


def make_shop(root: Path, names: tuple[str, ...] = NAMES) -> Path:
    """A git repository of handlers that are written alike."""
    root.mkdir()
    for name in names:
        (root / f"{name}.py").write_text(MODULE.format(name=name, title=name.title()))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A git repository of handlers that are written alike."""
    return make_shop(tmp_path / "shop")


@pytest.fixture(scope="session")
def new_shop() -> Callable[..., Path]:
    """Makes such repositories: a folder, and the names of the handlers."""
    return make_shop


PATIENCE = 150.0


class LiveDaemon:
    """A real daemon process of `vicinal daemon run`, on the small model; it can be killed and started again."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.place = Place(folder / "run")
        self.environment = environment
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves."""
        with (self.folder / "stderr").open("ab") as errors:
            child = subprocess.Popen(daemon_command(), env=self.environment, cwd="/", stdout=errors, stderr=errors)
        self._child = child
        self.until(lambda: (serving := self.place.serving()) is not None and serving.pid == child.pid)

    @property
    def connection(self) -> Connection:
        """How it is reached."""
        serving = self.place.serving()
        assert serving is not None
        return Connection(serving, None if serving.address.startswith("unix:") else self.place.token())

    @property
    def process(self) -> psutil.Process:
        """The daemon's process."""
        assert self._child is not None
        return psutil.Process(self._child.pid)

    def http(self) -> httpx2.Client:
        """A client of its own; the caller closes it."""
        return open_http(self.connection, PATIENCE)

    def engine(self) -> psutil.Process:
        """The engine's process, once the model is ready."""
        with Client(self.connection) as client:
            self.until(lambda: client.status().model.state == "ready")
            pid = client.status().model.pid
        assert pid is not None
        return psutil.Process(pid)

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what another process brings about."""
        deadline, pause = time.monotonic() + PATIENCE, threading.Event()
        while not condition():
            assert self._child is None or self._child.poll() is None, (self.folder / "stderr").read_text()
            assert time.monotonic() < deadline, "waited in vain\n" + (self.folder / "stderr").read_text()
            pause.wait(0.02)

    def kill(self) -> None:
        """End it as it is."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def stop(self) -> int:
        """End it in order; its exit status."""
        assert self._child is not None
        self._child.terminate()
        status = self._child.wait(PATIENCE)
        self._child = None
        return status


@pytest.fixture(scope="module")
def live_daemon(tiny_model_dir: Path) -> Iterator[Callable[..., LiveDaemon]]:
    """Starts real daemon processes, with more settings by keyword (`tune__steps`); none outlives the module."""
    with ExitStack() as leaving:

        def start(**more: object) -> LiveDaemon:
            folder = Path(leaving.enter_context(TemporaryDirectory(prefix="v"))).resolve()
            chosen: dict[str, object] = {
                "model__name": tiny_model_dir,
                "model__device": "cpu",
                "index__data_dir": folder / "data",
                "daemon__folder": folder / "run",
                "daemon__log_dir": folder / "log",
                "prompt__context_tokens": 128,
                "tune__max_tokens": 64,
                "tune__rank": 4,
                "tune__steps": 3,
                "generate__max_tokens": 12,
                "warm__steps": 0,
            }
            own = {f"VICINAL_{key.upper().replace('__', '_')}": str(value) for key, value in (chosen | more).items()}
            others = {key: value for key, value in os.environ.items() if not key.startswith("VICINAL_")}
            # It runs in another folder, and what is tested is what this process imports.
            paths = os.pathsep.join(str(Path(path).resolve()) for path in sys.path if path)
            environment = {**others, **own, "PYTHONPATH": paths, "XDG_CONFIG_HOME": str(folder / "config")}
            # Threads that wait for each other make a small model's step fifty times slower where others work, too.
            environment["OMP_NUM_THREADS"] = "1"
            daemon = LiveDaemon(folder, environment)
            leaving.callback(daemon.kill)
            daemon.start()
            return daemon

        yield start


class SmallHub:
    """A hub of models that holds one repository, over HTTP: the calls that a download makes.

    `held` names files of which only the first half comes, until `release`.
    """

    commit = "0123456789abcdef0123456789abcdef01234567"

    def __init__(self, repo_id: str, files: Mapping[str, bytes], held: tuple[str, ...] = ()) -> None:
        self.asked: list[str] = []
        self._repo_id, self._files, self._held = repo_id, files, held
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "SmallHub":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def release(self) -> None:
        """Send the other halves."""
        self._released.set()

    def _listing(self, path: str) -> object:
        """What the hub says of the repository; None if it is asked for something else."""
        if path in (f"/api/models/{self._repo_id}", f"/api/models/{self._repo_id}/revision/{self.commit}"):
            siblings = [{"rfilename": n, "size": len(data), "blobId": _etag(data)} for n, data in self._files.items()]
            return {"id": self._repo_id, "sha": self.commit, "siblings": siblings, "private": False}
        if path == f"/api/models/{self._repo_id}/tree/{self.commit}":
            return [
                {"type": "file", "path": n, "size": len(data), "oid": _etag(data)} for n, data in self._files.items()
            ]
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):  # who asked has gone
                    self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                path = unquote(urlsplit(self.path).path)
                name = path.removeprefix(f"/{hub._repo_id}/resolve/{hub.commit}/")
                listing = hub._listing(path)
                if listing is not None:
                    self._send(json.dumps(listing).encode(), {"Content-Type": "application/json"}, body=body)
                elif name in hub._files:
                    if body:
                        hub.asked.append(name)
                    data = hub._files[name]
                    headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": hub.commit}
                    self._send(data, headers, body=body, held=name in hub._held)
                else:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "RepoNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def _send(self, data: bytes, headers: Mapping[str, str], *, body: bool, held: bool = False) -> None:
                self.send_response(200)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if not body:
                    return
                half = len(data) // 2 if held else len(data)
                self.wfile.write(data[:half])
                if held and hub._released.wait(PATIENCE):
                    self.wfile.write(data[half:])

            def log_message(self, *args: object) -> None:
                pass

        return Handler


def _etag(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="session")
def hub() -> Callable[..., SmallHub]:
    """Makes such hubs: the repository's id, its files, and the names of those that are held back."""
    return SmallHub
