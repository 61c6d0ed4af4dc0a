"""Fresh: what is saved is found, whatever way an editor saves it, and other processes can wait for it."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watchdog.events import FileModifiedEvent, FileMovedEvent, FileOpenedEvent

from vicinal_indexer.errors import InputError, StoreLocked, VicinalError
from vicinal_indexer.files import EVERYTHING
from vicinal_indexer.follow import Follower, Unwatched
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SyncReport
from vicinal_indexer.watch import MANY_PATHS, Signals, watching

SECONDS = 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    for number in range(6):
        path = folder / "pkg" / f"m{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"def read_{number}(file):\n    return parse(file, {number})\n")
    return folder


def taken(signals: Signals) -> frozenset[str]:
    return signals.take(SECONDS)


def test_signals_are_paths_below_the_root(tmp_path: Path) -> None:
    signals = Signals(tmp_path)
    signals.on_any_event(FileModifiedEvent(str(tmp_path / "a" / "b.py")))
    signals.on_any_event(FileMovedEvent(str(tmp_path / ".x.swp"), str(tmp_path / "x.py")))
    signals.on_any_event(FileOpenedEvent(str(tmp_path / "opened.py")))
    signals.on_any_event(FileModifiedEvent(str(tmp_path / ".git" / "index")))
    signals.on_any_event(FileModifiedEvent("/elsewhere/c.py"))
    assert taken(signals) == {"a/b.py", ".x.swp", "x.py"}
    assert signals.take(0) == frozenset()


@pytest.mark.parametrize("name", [".gitignore", "a/.vicinalignore", ".git/info/exclude", ""])
def test_changed_rules_mean_everything(tmp_path: Path, name: str) -> None:
    signals = Signals(tmp_path)
    signals.signal(str(tmp_path / "a.py"))
    signals.signal(str(tmp_path / name))
    signals.signal(str(tmp_path / "b.py"))
    assert taken(signals) == EVERYTHING


def test_a_storm_ends_with_one_more_look_at_everything(tmp_path: Path) -> None:
    """The system's queue may have been full, and what was lost then is not told."""
    signals = Signals(tmp_path)
    for number in range(MANY_PATHS + 1):
        signals.signal(str(tmp_path / f"{number}.py"))
    assert signals.take(0) == EVERYTHING
    signals.signal(str(tmp_path / "a.py"))
    assert signals.take(0) == EVERYTHING, "it is not over"
    signals.wake()
    assert signals.take(0) == EVERYTHING, "who asks hears of what was lost"
    assert signals.take(0.05) == EVERYTHING, "it is over"
    assert signals.take(0.05) == frozenset()
    signals.signal(str(tmp_path / "a.py"))
    assert signals.take(0) == {"a.py"}


@given(st.integers(1, 2 * MANY_PATHS))
def test_many_paths_are_one_scan(count: int) -> None:
    signals = Signals(Path("/r"))
    for number in range(count):
        signals.signal(f"/r/{number}.py")
    assert len(taken(signals)) == (count if count <= MANY_PATHS else 1)


@contextmanager
def following(index: RepositoryIndex) -> Iterator["Log"]:
    log = Log()
    stop = threading.Event()
    with index.holding(), watching(index.root, index.cookies) as signals:
        follower = Follower(index, signals, log.synced, log.failed, paused=log.paused.is_set, stopped=stop.is_set)
        thread = threading.Thread(target=follower.run)
        thread.start()
        try:
            log.wait_for(1)
            log.follower = follower
            yield log
        finally:
            stop.set()
            signals.wake()
            thread.join(SECONDS)


class Log:
    """What a follower reported."""

    follower: Follower

    def __init__(self) -> None:
        self.reports: list[SyncReport] = []
        self.errors: list[VicinalError] = []
        self.paused = threading.Event()
        self._more = threading.Condition()

    def synced(self, report: SyncReport) -> None:
        with self._more:
            self.reports.append(report)
            self._more.notify_all()

    def failed(self, error: VicinalError) -> None:
        with self._more:
            self.errors.append(error)
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.reports) >= count, SECONDS)


def finds(index: RepositoryIndex, word: str) -> list[str]:
    found = index.search(word)
    return sorted(c.chunk.path for c in found if word in c.chunk.text)


def test_every_way_to_save_is_seen(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RepositoryIndex.open(root, data) as owner, RepositoryIndex.open(root, data) as reader, following(owner) as log:
        assert log.reports[0].added == 6

        (root / "pkg" / "m0.py").write_text("def inplace():\n    return 1\n")
        reader.sync()
        assert finds(reader, "inplace") == ["pkg/m0.py"]

        temporary = root / "pkg" / ".m1.py.tmp"
        temporary.write_text("def renamed():\n    return 1\n")
        temporary.rename(root / "pkg" / "m1.py")
        reader.sync()
        assert finds(reader, "renamed") == ["pkg/m1.py"]

        (root / "pkg" / "m2.py").unlink()
        (root / "new" / "deep").mkdir(parents=True)
        (root / "new" / "deep" / "n.py").write_text("def created():\n    return 1\n")
        (root / "pkg" / "m3.py").rename(root / "moved.py")
        reader.sync()
        assert finds(reader, "created") == ["new/deep/n.py"]
        assert finds(reader, "parse") == ["moved.py", "pkg/m4.py", "pkg/m5.py"]

        (root / "new").rename(root / "other")
        (root / ".gitignore").write_text("moved.py\n")
        reader.sync()
        assert finds(reader, "created") == ["other/deep/n.py"]
        assert finds(reader, "parse") == ["pkg/m4.py", "pkg/m5.py"]
        assert not list(owner.cookies.iterdir())


def test_a_save_is_indexed_without_being_asked(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as owner, following(owner) as log:
        (root / "pkg" / "m0.py").write_text("def unasked():\n    return 1\n")
        log.wait_for(2)
        assert (log.reports[-1].replaced, log.reports[-1].files) == (1, 6)
        assert finds(owner, "unasked") == ["pkg/m0.py"]


def test_who_waits_until_it_is_settled_finds_what_was_signalled(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as owner, following(owner) as log:
        for number in range(20):
            (root / "pkg" / "m0.py").write_text(f"def time_{'x' * (number + 1)}():\n    return 1\n")
            log.follower.source.signal(str(root / "pkg" / "m0.py"))  # type: ignore[attr-defined]
            assert log.follower.settle(SECONDS)
            assert finds(owner, f"time_{'x' * (number + 1)}") == ["pkg/m0.py"]
        log.paused.set()
        (root / "pkg" / "m0.py").write_text("def while_paused():\n    return 1\n")
        assert not log.follower.settle(0.2)
        assert not log.follower.settle(SECONDS, cancelled=lambda: True)
        log.paused.clear()
        assert log.follower.settle(SECONDS)
    assert not log.follower.settle(SECONDS)  # it has ended


def test_where_nothing_can_be_watched_a_scan_has_to_do(root: Path, tmp_path: Path) -> None:
    log, stop = Log(), threading.Event()
    with RepositoryIndex.open(root, tmp_path / "data") as index, index.holding():
        follower = Follower(index, Unwatched(), log.synced, log.failed, lambda: False, stop.is_set)
        thread = threading.Thread(target=follower.run)
        thread.start()
        try:
            assert follower.settle(SECONDS)
            (root / "pkg" / "m0.py").write_text("def unwatched():\n    return 1\n")
            assert follower.settle(SECONDS)
            assert finds(index, "unwatched") == ["pkg/m0.py"]
        finally:
            stop.set()
            follower.source.wake()
            thread.join(SECONDS)


class Patient(Unwatched):
    """A source that says nothing by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.asleep = threading.Event()

    def take(self, timeout: float) -> frozenset[str]:
        if timeout:
            self.asleep.set()
        taken = super().take(SECONDS if timeout else 0)
        self.asleep.clear()
        return taken


def test_who_asks_a_waiting_follower_is_answered_in_that_turn(root: Path, tmp_path: Path) -> None:
    log, stop, source = Log(), threading.Event(), Patient()
    with RepositoryIndex.open(root, tmp_path / "data") as index, index.holding():
        follower = Follower(index, source, log.synced, log.failed, lambda: False, stop.is_set)
        thread = threading.Thread(target=follower.run)
        thread.start()
        try:
            for name in ("first", "second"):
                assert source.asleep.wait(SECONDS)
                (root / "pkg" / "m0.py").write_text(f"def {name}_time():\n    return 1\n")
                assert follower.settle(SECONDS / 2)
                assert finds(index, f"{name}_time") == ["pkg/m0.py"]
        finally:
            stop.set()
            source.wake()
            thread.join(SECONDS)


def test_pausing_loses_nothing(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as owner, following(owner) as log:
        log.paused.set()
        (root / "pkg" / "m0.py").write_text("def while_paused():\n    return 1\n")
        assert finds(owner, "while_paused") == []
        log.paused.clear()
        log.wait_for(2)
        assert finds(owner, "while_paused") == ["pkg/m0.py"]


class Silence:
    """A source that removes the root instead of signalling."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def take(self, timeout: float) -> frozenset[str]:
        self._root.rename(self._root.with_name("away"))
        return frozenset()

    def wake(self) -> None:
        pass


def test_a_root_that_goes_away_keeps_its_index(root: Path, tmp_path: Path) -> None:
    with RepositoryIndex.open(root, tmp_path / "data") as index, index.holding():
        log = Log()
        follower = Follower(index, Silence(root), log.synced, log.failed, lambda: False, lambda: False)
        with pytest.raises(InputError, match="no longer there"):
            follower.run()
        (root.with_name("away")).rename(root)
        report = index.sync()
        assert (report.files, report.added, report.dropped) == (6, 0, 0)


def test_a_reader_makes_no_store(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RepositoryIndex.open(root, data) as writer, RepositoryIndex.open(root, data) as reader, writer.holding():
        shutil.rmtree(writer.folder)
        with pytest.raises(StoreLocked):
            reader.search("parse file")
        assert not writer.folder.exists()
        assert writer.sync().added == 6
        assert len(reader.search("parse file")) == 6


BUSY = """
import sys
from pathlib import Path
from vicinal_indexer.index import RepositoryIndex
with RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as index, index.holding():
    index.sync()
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_others_read_while_one_writes_and_take_over_when_it_is_gone(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    command = [sys.executable, "-c", BUSY, str(root), str(data)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == b"ready\n"
        with RepositoryIndex.open(root, data) as reader:
            assert len(reader.search("parse file")) == 6
            assert reader.status().held
            with pytest.raises(StoreLocked), reader.holding():
                pass
            (root / "new.py").write_text("def late():\n    return parse\n")
            busy.kill()
            report = reader.sync()  # nobody answers the cookie, if there is time for one, but the lock comes free
            assert report.added == 1
            assert not reader.status().held
            assert not list(reader.cookies.glob("*"))
