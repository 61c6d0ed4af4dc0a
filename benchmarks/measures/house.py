"""Daemons of the benchmark's own, in folders of their own, and repositories to ask them about.

Owns starting and stopping: whatever happens, no daemon outlives its block.
"""

import importlib.util
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicinal_daemon import config
from vicinal_daemon.client import Client, start, stop
from vicinal_daemon.config import Settings
from vicinal_daemon.protocol.requests import CompleteRequest, IndexRequest, WorkspaceRequest
from vicinal_daemon.protocol.state import DaemonState

PATIENCE_SECONDS = 1800.0
NEVER = 86_400.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    completions: int = 120
    tunings: int = 40
    writings: int = 100
    typed: int = 300
    clients: int = 20
    places: int = 3
    files: int = 10_000
    restarts: int = 3
    behind: int = 12
    adapted: int = 20


QUICK = Sizes(
    completions=8, tunings=2, writings=3, typed=10, clients=3, places=1, files=50, restarts=1, behind=2, adapted=2
)


@dataclass(frozen=True, slots=True)
class House:
    """A place for one daemon after the other: settings and folders."""

    folder: Path
    settings: Settings
    environment: Mapping[str, str]
    """What makes another process, for example `vicinal complete`, find this daemon and this index."""


@contextmanager
def house(model: str) -> Iterator[House]:
    """Temporary folders for socket, logs and index. No warm adapter is trained there."""
    with tempfile.TemporaryDirectory(prefix="vb", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        flags = {
            "model.name": model,
            "daemon.folder": str(folder / "d"),
            "daemon.log_dir": str(folder / "logs"),
            "index.data_dir": str(folder / "data"),
            "warm.idle_seconds": NEVER,
        }
        settings = config.load(flags=flags)
        environment = {f"VICINAL_{key.replace('.', '_').upper()}": str(value) for key, value in flags.items()}
        yield House(folder, settings, environment)


@contextmanager
def daemon(home: House) -> Iterator[Client]:
    """A daemon that serves, as a real process; stopped at the end."""
    connection = start(home.settings)
    try:
        with Client(connection) as client:
            yield client
    finally:
        stop(connection)


def ready(client: Client, root: Path) -> None:
    """Wait until the repository is indexed and the model loaded."""
    client.add_workspace(WorkspaceRequest(root=str(root)))
    client.index(IndexRequest(root=str(root), action="wait"))
    model = wait_for(client, lambda state: state.model.state in ("ready", "failed")).model
    if model.state == "failed":
        raise SystemExit(f"the model does not load: {model.problem.message if model.problem else model.name}")


def quiet(client: Client) -> DaemonState:
    """Wait until nothing runs and nothing waits; the state then."""
    return wait_for(client, lambda state: not (state.queue.running or state.queue.waiting or state.queue.requests))


def wait_for(client: Client, condition: Any) -> DaemonState:
    """Ask for the status until the condition holds, every 20 ms."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        state = client.status()
        if condition(state):
            return state
        time.sleep(0.02)
    raise SystemExit("the daemon did not come to what was waited for")


def package(name: str, target: Path) -> Path:
    """A copy of an installed package's files; returns the folder."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {name} is not installed; the benchmark reads its files")
    shutil.copytree(spec.submodule_search_locations[0], target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@dataclass(frozen=True, slots=True)
class Spot:
    """A cursor in a real file: what stands before it and after it."""

    root: Path
    path: str
    left: str
    right: str

    @property
    def line(self) -> int:
        return self.left.count("\n") + 1

    def ask(self, typed: str = "", **fields: Any) -> CompleteRequest:
        """A request after `typed` was typed there."""
        left = self.left + typed
        return CompleteRequest(
            workspace=str(self.root),
            path=self.path,
            text=left + self.right,
            line=left.count("\n") + 1,
            column=len(left) - left.rfind("\n"),
            **fields,
        )


def spots(root: Path, every: int = 40, first: int = 40) -> Iterator[Spot]:
    """Places at the beginning of lines of code, file by file, at least `every` lines apart."""
    for path in sorted(root.rglob("*.py")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        last = first - every
        for number, line in enumerate(lines[:-20]):
            code = line.strip()
            if number < last + every or len(code) < 12 or code.startswith(("#", '"', "'")):
                continue
            last = number
            indent = line[: len(line) - len(line.lstrip())]
            yield Spot(
                root,
                path.relative_to(root).as_posix(),
                "".join(lines[:number]) + indent,
                "\n" + "".join(lines[number + 1 :]),
            )


def one_a_file(root: Path) -> list[Spot]:
    """The first place of each file that has one."""
    found: dict[str, Spot] = {}
    for spot in spots(root):
        found.setdefault(spot.path, spot)
    return list(found.values())


def spread(places: list[Spot], count: int) -> list[Spot]:
    """So many of them, evenly; all if there are no more."""
    return places[:: max(1, len(places) // count)][:count]


def commit() -> str:
    """What is measured, in git's words."""
    here = Path(__file__).parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
