"""Workspaces: real repositories, stores, threads and rival processes."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ConfigError, Withdrawn
from vicinal_daemon.protocol.state import Event, WorkspaceState
from vicinal_daemon.workspaces import Workspace, Workspaces, pause_flag, registry
from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.errors import EncoderUnusable, InputError, StoreLocked, StoreUnavailable

SECONDS = 60.0


class Clock:
    """Seconds that pass only when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Daemon:
    """What a daemon does with workspaces: it opens them, and notes what it is told."""

    def __init__(
        self, data: Path, embedder: Callable[[Settings], Embedder] = lambda settings: StaticEmbedder()
    ) -> None:
        self.data = data
        self.clock = Clock()
        self.events: list[Event] = []
        self.changed: list[Path] = []
        self.told = threading.Condition()
        self.workspaces = Workspaces(
            lambda root: config.load(root, {}, {}, data / "none.toml"),
            embedder,
            data,
            on_event=self._event,
            on_changed=self._changed,
            clock=self.clock,
            now=self.clock,
        )

    def _event(self, event: Event) -> None:
        with self.told:
            self.events.append(event)
            self.told.notify_all()

    def _changed(self, workspace: Workspace) -> None:
        with self.told:
            self.changed.append(workspace.root)
            self.told.notify_all()

    def wait(self, come: Callable[[], bool]) -> None:
        with self.told:
            assert self.told.wait_for(come, SECONDS), self.events

    def ready(self, root: Path) -> Workspace:
        workspace = self.workspaces.open(root)
        assert workspace.wait_ready(SECONDS), workspace.state()
        return workspace


@contextmanager
def running(
    data: Path, embedder: Callable[[Settings], Embedder] = lambda settings: StaticEmbedder()
) -> Iterator[Daemon]:
    daemon = Daemon(data, embedder)
    before = set(threading.enumerate())
    try:
        yield daemon
    finally:
        daemon.workspaces.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("workspace ")], before


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "repo")


def repository(folder: Path, files: int = 6) -> Path:
    for number in range(files):
        path = folder / "pkg" / f"m{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def read_{number}(file):\n    return parse(file, {number})\n")
    return folder


def finds(workspace: Workspace, word: str) -> list[str]:
    return sorted(c.chunk.path for c in workspace.index(SECONDS).search(word) if word in c.chunk.text)


def until(workspace: Workspace, come: Callable[[WorkspaceState], bool], daemon: Daemon) -> WorkspaceState:
    """Wait for a state; every change of state comes with an event."""
    daemon.wait(lambda: come(workspace.state()))
    return workspace.state()


def test_a_repository_is_indexed_and_kept_fresh(root: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        state = until(workspace, lambda state: state.state == "ready", daemon)
        assert (state.files, state.chunks, state.writer, state.problem) == (6, 6, True, None)
        assert state.bytes_on_disk > 0
        assert daemon.changed[0] == root
        daemon.wait(lambda: {"opening", "scan", "index", "ready"} <= {event.stage for event in daemon.events})
        seen = len(daemon.changed)
        (root / "pkg" / "m0.py").write_text("def fresh():\n    return parse\n")
        daemon.wait(lambda: len(daemon.changed) > seen)
        assert workspace.settle(SECONDS)
        assert finds(workspace, "fresh") == ["pkg/m0.py"]
        (root / "more.py").write_text("def more():\n    return parse\n")
        workspace.sync()
        assert workspace.state().files == 7


def test_one_repository_has_many_names_and_one_workspace(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        for name in (tmp_path / "link", root / "pkg" / "..", tmp_path / "." / "repo"):
            assert daemon.workspaces.open(name) is workspace
        assert daemon.workspaces.all() == (workspace,)
        with pytest.raises(InputError):
            daemon.workspaces.open(tmp_path / "none")
        with pytest.raises(InputError):
            daemon.workspaces.open(root / "pkg" / "m0.py")
        assert daemon.workspaces.get(tmp_path / "none") is None
        assert daemon.workspaces.remove(tmp_path / "link")
        assert not daemon.workspaces.remove(root)
        assert daemon.workspaces.all() == ()


def test_where_case_does_not_matter_one_folder_is_one_workspace(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that is not resolved stands for another spelling: another path, the same folder."""
    monkeypatch.setattr(registry, "_resolved", lambda folder: folder)
    spelled = tmp_path / "REPO"
    spelled.symlink_to(root, target_is_directory=True)
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        assert daemon.workspaces.open(spelled) is workspace
        assert daemon.workspaces.get(spelled) is workspace
        assert daemon.workspaces.all() == (workspace,)
        assert daemon.workspaces.remove(spelled)
        assert daemon.workspaces.all() == ()


def test_a_disk_that_hangs_holds_up_nobody_elsewhere(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, goes_on, ask = threading.Event(), threading.Event(), registry._identity
    slow = repository(tmp_path / "slow")

    def identity(folder: Path) -> tuple[int, int] | None:
        if folder == slow:
            hangs.set()
            goes_on.wait(SECONDS)
        return ask(folder)

    monkeypatch.setattr(registry, "_identity", identity)
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(daemon.workspaces.open, slow)
            assert hangs.wait(SECONDS)
            assert daemon.workspaces.open(root) is workspace
            assert daemon.workspaces.open(repository(tmp_path / "other")).wait_ready(SECONDS)
            assert not opening.done()
            goes_on.set()
            assert opening.result(SECONDS).wait_ready(SECONDS)


def test_two_repositories_do_not_wait_for_each_other(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(StaticEmbedder):
        in_workers = False

        def embed(self, texts):  # type: ignore[no-untyped-def]
            gate.wait(SECONDS)
            return super().embed(texts)

        def embed_words(self, texts):  # type: ignore[no-untyped-def]
            gate.wait(SECONDS)
            return super().embed_words(texts)

    with running(tmp_path / "data", lambda settings: Slow()) as daemon:
        first, second = (daemon.workspaces.open(repository(tmp_path / name)) for name in "ab")
        daemon.wait(lambda: sum(event.stage == "index" for event in daemon.events) >= 2)
        assert [first.state().state, second.state().state] == ["indexing", "indexing"]
        assert (first.state().done, first.state().total) == (0, 6)
        assert not first.wait_ready(0.05)
        assert not first.wait_ready(SECONDS, cancelled=lambda: True)
        gate.set()
        assert first.wait_ready(SECONDS)
        assert second.wait_ready(SECONDS)


def test_closing_does_not_wait_for_a_long_indexing(tmp_path: Path) -> None:
    root = repository(tmp_path / "repo", files=2_000)
    with running(tmp_path / "data") as daemon:
        daemon.workspaces.open(root)
        daemon.wait(lambda: any(event.stage == "index" for event in daemon.events))
    assert not any(event.stage == "ready" for event in daemon.events)
    with running(tmp_path / "data") as daemon:
        assert daemon.ready(root).state().files == 2_000


def test_a_repository_that_goes_away_comes_back(root: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        root.rename(tmp_path / "away")
        state = until(workspace, lambda state: state.state == "gone", daemon)
        assert state.problem is not None
        assert (state.problem.type, state.problem.exit_code) == ("input-error", 2)
        assert "no longer there" in state.problem.message
        assert not workspace.wait_ready(SECONDS)
        assert not workspace.settle(SECONDS)
        assert daemon.workspaces.open(root) is workspace
        (tmp_path / "away" / "new.py").write_text("def back():\n    return parse\n")
        (tmp_path / "away").rename(root)
        state = until(workspace, lambda state: state.state == "ready", daemon)
        assert (state.files, state.problem) == (7, None)
        assert finds(workspace, "back") == ["new.py"]


BUSY = """
import sys
from pathlib import Path
from vicinal_indexer.index import RepositoryIndex
with RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as index, index.holding():
    index.sync()
    print("ready", flush=True)
    while sys.stdin.readline():
        while index.answer_cookies() is None:
            pass
"""


def test_beside_another_writer_it_reads_and_takes_over_when_that_is_gone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vicinal_daemon.workspaces.keeper.READER_SECONDS", 0.2)
    command = [sys.executable, "-c", BUSY, str(root), str(tmp_path / "data")]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy,
        running(tmp_path / "data") as daemon,
    ):
        assert busy.stdout is not None
        assert busy.stdin is not None
        assert busy.stdout.readline() == b"ready\n"
        busy.stdin.write(b"answer\n")
        busy.stdin.flush()
        workspace = daemon.ready(root)
        state = until(workspace, lambda state: state.state == "ready", daemon)
        assert (state.files, state.writer) == (6, False)
        with pytest.raises(StoreLocked):
            workspace.rebuild()
        seen = len(daemon.changed)
        (root / "new.py").write_text("def written():\n    return parse\n")
        busy.stdin.write(b"answer\n")
        busy.stdin.flush()
        assert workspace.settle(SECONDS)
        daemon.wait(lambda: len(daemon.changed) > seen)
        assert finds(workspace, "written") == ["new.py"]
        busy.kill()
        (root / "late.py").write_text("def late():\n    return parse\n")
        daemon.wait(lambda: workspace.state().writer and workspace.state().files == 8)


def test_while_paused_nothing_is_indexed_unless_asked_for(root: Path, tmp_path: Path) -> None:
    flag = pause_flag(tmp_path / "data")
    flag.parent.mkdir()
    flag.touch()
    with running(tmp_path / "data") as daemon:
        workspace = daemon.workspaces.open(root)
        workspace.index(SECONDS)
        assert not workspace.wait_ready(SECONDS)
        assert workspace.state().state == "paused"
        assert workspace.sync().added == 6
        flag.unlink()
        assert workspace.wait_ready(SECONDS)
        assert workspace.state().state == "ready"


def test_rebuilding(root: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        report = workspace.rebuild()
        assert (report.added, report.rebuilt_because) == (6, "it was asked for")
        assert len(finds(workspace, "parse")) == 6
        with pytest.raises(Withdrawn):
            workspace.rebuild(cancelled=lambda: True)
        assert len(finds(workspace, "parse")) < 6
        assert workspace.settle(SECONDS)
        assert len(finds(workspace, "parse")) == 6


def test_a_store_that_cannot_be_had_is_said_and_tried_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vicinal_daemon.workspaces.keeper.RETRY_SECONDS", 0.1)
    data = tmp_path / "data"
    data.mkdir()
    (data / "stores").write_text("in the way")
    with running(data) as daemon:
        workspace = daemon.workspaces.open(root)
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            workspace.index(SECONDS)
        state = workspace.state()
        assert state.state == "failed"
        assert state.problem is not None
        assert (state.problem.type, bool(state.problem.hint)) == ("store-unavailable", True)
        (data / "stores").unlink()
        state = until(workspace, lambda state: state.state == "ready", daemon)
        assert (state.files, state.problem) == (6, None)


def test_a_full_disk_while_following_is_said_and_got_over(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vicinal_indexer import follow
    from vicinal_indexer.index import RepositoryIndex

    monkeypatch.setattr(follow, "RETRY_SECONDS", 0.1)
    sync, full = RepositoryIndex.sync, threading.Event()

    def fails(self, progress=lambda now: None, *, scope=frozenset({""})):  # type: ignore[no-untyped-def]
        if full.is_set():
            raise StoreUnavailable("no space left on device", hint="free some")
        return sync(self, progress, scope=scope)

    monkeypatch.setattr(RepositoryIndex, "sync", fails)
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        full.set()
        (root / "new.py").write_text("def late():\n    return parse\n")
        state = until(workspace, lambda state: state.problem is not None, daemon)
        assert state.problem is not None
        assert state.problem.type == "store-unavailable"
        full.clear()
        daemon.wait(lambda: workspace.state().files == 7)
        assert workspace.settle(SECONDS)
        assert workspace.state().problem is None


def test_an_embedder_that_is_not_there_is_said(root: Path, tmp_path: Path) -> None:
    def embedder(settings: Settings) -> Embedder:
        raise EncoderUnusable("no such encoder")

    with running(tmp_path / "data", embedder) as daemon:
        workspace = daemon.workspaces.open(root)
        with pytest.raises(EncoderUnusable):
            workspace.index(SECONDS)


def test_where_the_system_cannot_watch_it_says_so_and_scans(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watchdog.observers.api import BaseObserver

    def cannot(self: BaseObserver) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(BaseObserver, "start", cannot)
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        problem = workspace.state().problem
        assert problem is not None
        assert problem.type == "not-watched"
        (root / "new.py").write_text("def unseen():\n    return parse\n")
        assert workspace.settle(SECONDS)
        assert finds(workspace, "unseen") == ["new.py"]


def test_settings_are_those_of_the_repository_now(root: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        assert workspace.settings.tune.steps == 8
        (root / ".vicinal.toml").write_text("[tune]\nsteps = 3\n")
        assert workspace.settings.tune.steps == 3
        (root / ".vicinal.toml").write_text("[tune]\nsteps = 'many'\n")
        with pytest.raises(ConfigError):
            _ = workspace.settings
        daemon.workspaces.remove(root)
        with pytest.raises(ConfigError):
            daemon.workspaces.open(root)


def test_what_is_not_used_is_closed_and_comes_back_when_it_is(root: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as daemon:
        workspace = daemon.ready(root)
        daemon.clock.now += 239 * 60
        assert workspace.state().idle_seconds == 239 * 60
        assert daemon.workspaces.tend() == []
        daemon.clock.now += 2 * 60
        assert daemon.workspaces.tend() == [root]
        assert daemon.workspaces.all() == ()
        with pytest.raises(Withdrawn):
            Workspace.sync(workspace)
        again = daemon.ready(root)
        assert again is not workspace
        assert again.state().idle_seconds == 0


def test_a_restarted_daemon_opens_what_was_open(tmp_path: Path) -> None:
    data = tmp_path / "data"
    roots = [repository(tmp_path / name, files=1) for name in ("old", "recent", "vanished", "removed")]
    old, recent, vanished, removed = roots
    with running(data) as daemon:
        daemon.workspaces.open(old)
        daemon.clock.now += 80_000
        for each in (recent, vanished, removed):
            daemon.workspaces.open(each)
        daemon.workspaces.remove(removed)
    vanished.rename(tmp_path / "elsewhere")
    with running(data) as daemon:
        daemon.clock.now += 100_000
        remembered = daemon.workspaces.remembered()
        assert set(remembered) == {recent, vanished}
        assert {root: daemon.workspaces.reopen(root) is not None for root in remembered} == {
            recent: True,
            vanished: False,
        }
    (data / "workspaces.json").write_text("[garbage")
    with running(data) as daemon:
        assert daemon.workspaces.remembered() == []
        daemon.workspaces.open(old)
    assert list(json.loads((data / "workspaces.json").read_text())) == [str(old)]


def test_a_status_waits_for_nothing(root: Path, tmp_path: Path) -> None:
    """Whoever asks for states gets them while the index is being opened, locked and written."""
    entered, gate = threading.Event(), threading.Event()

    def embedder(settings: Settings) -> Embedder:
        entered.set()
        gate.wait(SECONDS)
        return StaticEmbedder()

    with running(tmp_path / "data", embedder) as daemon:
        workspace = daemon.workspaces.open(root)
        assert entered.wait(SECONDS)
        assert [each.state().state for each in daemon.workspaces.all()] == ["opening"]
        with pytest.raises(StoreUnavailable, match="still being opened"):
            workspace.index(0.05)
        with pytest.raises(Withdrawn):
            workspace.index(SECONDS, cancelled=lambda: True)
        gate.set()
        assert workspace.wait_ready(SECONDS)


def test_nothing_heavy_is_imported_before_a_repository_is_opened() -> None:
    code = (
        "import sys, vicinal_daemon.workspaces;"
        "print([name for name in ('lancedb', 'torch', 'watchdog', 'pyarrow') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
