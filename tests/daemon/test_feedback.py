"""What became of answers: kept across restarts, threads, kills and damage."""

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path

import pytest

from vicinal_daemon.config import FeedbackSettings
from vicinal_daemon.uncertainty import database
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Outcome
from vicinal_daemon.uncertainty.tally import tally
from vicinal_indexer.errors import InputError, StoreUnavailable, WrittenByLater

FEATURES = AnswerFeatures(
    0.5, 1.0, 0.6, 0.3, 0.64, 0.9, 0.2, 7, 31, 1, "fresh", 8, 1.0, "automatic", "python", "a model"
)


@contextmanager
def opened(file: Path) -> Iterator[FeedbackStore]:
    seconds = count(1)
    store = FeedbackStore(file, now=lambda: float(next(seconds)))
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "feedback.sqlite"


def test_what_became_of_answers_survives_a_restart(file: Path) -> None:
    with opened(file) as store:
        store.record_answer("a", FEATURES)
        store.record_answer("b", replace(FEATURES, kind="base"))
        store.record("a", Outcome("shown"))
        store.record("a", Outcome("partly", accepted_characters=12))
        store.record("a", Outcome("survived", kept_share=0.75, after_seconds=60.0))
    with opened(file) as store:
        first, second = store.told()
        assert (first.id, first.features, second.features.kind) == ("a", FEATURES, "base")
        assert first.outcomes == (Outcome("shown"), Outcome("partly", 12), Outcome("survived", None, 0.75, 60.0))
        assert second.outcomes == ()
        store.record_answer("a", replace(FEATURES, value=0.1))
        assert store.told()[0].features.value == 0.1
        assert len(store.told()[0].outcomes) == 3


def test_the_tally_counts_events_and_judges_each_answer_once(file: Path) -> None:
    with opened(file) as store:
        for name, kind, events in (
            ("a", "fresh", ("shown", "accepted", "survived", "survived")),
            ("b", "fresh", ("shown", "shown", "rejected")),
            ("c", "fresh", ()),
            ("d", "base", ("partly",)),
            ("e", "warm", ("survived",)),
        ):
            store.record_answer(name, replace(FEATURES, kind=kind))
            for event in events:
                store.record(name, Outcome(event))
        state = tally(store.told(), FeedbackSettings())
    assert (state.enabled, state.answers) == (True, 5)
    assert state.events == {"accepted": 1, "partly": 1, "rejected": 1, "shown": 3, "survived": 3}
    shares = {kind.kind: (kind.answers, kind.judged, kind.accepted, kind.acceptance) for kind in state.kinds}
    assert shares == {"base": (1, 1, 1, 1.0), "fresh": (3, 2, 1, 0.5), "warm": (1, 0, 0, None)}


def test_feedback_on_nothing_is_refused(file: Path) -> None:
    with opened(file) as store, pytest.raises(InputError, match="no answer x") as caught:
        store.record("x", Outcome("accepted"))
    assert caught.value.hint


def test_many_threads(file: Path) -> None:
    with opened(file) as store, opened(file) as other:

        def work(number: int) -> None:
            for step in range(20):
                mine = store if step % 2 else other
                mine.record_answer(f"{number}-{step}", FEATURES)
                mine.record(f"{number}-{step}", Outcome("shown"))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.told()) == 120
        assert all(len(told.outcomes) == 1 for told in other.told())


def test_erasing_leaves_nothing_behind(file: Path) -> None:
    with opened(file) as store:
        store.record_answer("find-me-in-the-bytes", replace(FEATURES, model="name-of-a-model"))
        file.with_name("feedback.sqlite.damaged-1").write_text("old")
        store.erase()
        assert store.told() == []
    assert [path.name for path in file.parent.iterdir()] == ["feedback.sqlite"]
    assert b"find-me" not in file.read_bytes()
    assert b"name-of-a-model" not in file.read_bytes()


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[4096:8192] = b"\xff" * len(data[4096:8192])
    file.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda file: file.write_bytes(b"no database" * 500),
    "flip": flip,
    "truncate": lambda file: file.write_bytes(file.read_bytes()[:5000]),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_is_set_aside(file: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(file) as store:
        for number in range(200):
            store.record_answer(str(number), FEATURES)
    DAMAGES[name](file)
    with opened(file) as store:
        assert store.told() == []
        store.record_answer("new", FEATURES)
        assert [told.id for told in store.told()] == ["new"]
    assert file.with_name("feedback.sqlite.damaged-1").exists()
    assert "begun anew" in caplog.text


def test_what_a_later_version_wrote_is_set_aside_and_comes_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(file) as store:
        store.record_answer("of the later", FEATURES, ["a.py"])
        store.record("of the later", Outcome("accepted", 3))
    before = file.read_bytes()
    monkeypatch.setattr(database, "VERSION", 1)  # the user goes back to an earlier Vicinal ...
    with opened(file) as store:
        assert store.told() == []
        store.record_answer("of the earlier", FEATURES)
    aside = file.with_name("feedback.sqlite.later-2-1")
    assert aside.stat().st_size >= len(before)
    monkeypatch.undo()  # ... and forward again
    for _ in range(2):
        with opened(file) as store:
            told = {one.id: one.outcomes for one in store.told()}
            assert told == {"of the later": (Outcome("accepted", 3),), "of the earlier": ()}
        assert not aside.exists()


def test_what_a_later_version_has_open_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(file) as store:
        store.record_answer("of the later", FEATURES)
        monkeypatch.setattr(database, "VERSION", 1)
        with pytest.raises(WrittenByLater, match="in use by a later"), opened(file):
            pass
        monkeypatch.undo()
        assert [told.id for told in store.told()] == ["of the later"]


def test_damage_while_it_is_open_costs_one_call(file: Path) -> None:
    with opened(file) as store:
        for number in range(300):
            store.record_answer(str(number), FEATURES)
        store.close()
        with opened(file) as again:
            flip(file)
            try:
                again.told()
            except StoreUnavailable:
                assert again.told() == []
            again.record_answer("new", FEATURES)
            assert "new" in {told.id for told in again.told()}


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnavailable) as caught:
        FeedbackStore(tmp_path / "data" / "feedback.sqlite")
    assert caught.value.hint


def test_a_clock_that_is_set_back_does_not_change_the_order(file: Path) -> None:
    times = iter((2e9, 1e9, 1e9, 3e9))
    with closing(FeedbackStore(file, now=lambda: next(times))) as store:
        for name in "dcba":
            store.record_answer(name, FEATURES)
        assert [told.id for told in store.told()] == ["d", "c", "b", "a"]


def test_old_answers_give_way(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(file) as store:
        for name in "abc":
            store.record_answer(name, FEATURES)
            store.record(name, Outcome("shown"))
    monkeypatch.setattr(database, "KEPT", 2)
    with opened(file) as store:
        assert [told.id for told in store.told()] == ["b", "c"]
        assert all(told.outcomes for told in store.told())


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_feedback as t
store = t.FeedbackStore(Path(sys.argv[1]))
for number in range(10**6):
    store.record_answer(f"{sys.argv[3]}-{number}", t.FEATURES)
    store.record(f"{sys.argv[3]}-{number}", t.Outcome("shown"))
    if number == 50:
        print("begun", flush=True)
"""


def test_killed_at_any_moment_it_opens_with_what_was_noted(file: Path) -> None:
    for turn in range(3):
        command = [sys.executable, "-c", KILLED, str(file), str(Path(__file__).parent), str(turn)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"begun\n"
            writer.kill()
        with opened(file) as store:
            assert sum(told.outcomes == (Outcome("shown"),) for told in store.told()) >= 50 * (turn + 1)
    assert not list(file.parent.glob("*.damaged-*"))


def test_what_an_older_version_wrote_is_brought_up_to_date(file: Path) -> None:
    """Version 1 knew no repositories, and fewer features."""
    file.parent.mkdir(parents=True)
    with sqlite3.connect(file) as old:
        old.executescript(
            "CREATE TABLE answers (id TEXT PRIMARY KEY, at REAL NOT NULL, features TEXT NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE outcomes (answer TEXT NOT NULL REFERENCES answers (id) ON DELETE CASCADE, at REAL NOT NULL,"
            " event TEXT NOT NULL, accepted_characters INTEGER, kept_share REAL, after_seconds REAL);"
            "PRAGMA user_version = 1;"
        )
        newer = {"shown_tokens", "first_entropy", "similarity", "change", "repository"}
        known = {name: value for name, value in asdict(FEATURES).items() if name not in newer}
        old.execute("INSERT INTO answers VALUES ('old', 1.0, ?)", (json.dumps(known),))
        old.execute("INSERT INTO outcomes VALUES ('old', 2.0, 'accepted', 5, NULL, NULL)")
    old.close()
    for _ in range(2):
        with opened(file) as store:
            (told,) = store.told()
            assert (told.features, told.outcomes) == (FEATURES, (Outcome("accepted", 5),))
            assert store.repository_of("old") == ""
    assert not list(file.parent.glob("*.damaged-*"))


def test_a_repository_is_told_its_last_judged_answers_only(file: Path) -> None:
    with opened(file) as store:
        for number in range(6):
            store.record_answer(str(number), replace(FEATURES, repository="a" if number % 2 else "b"))
        for number in (0, 1, 3):
            store.record(str(number), Outcome("accepted"))
        assert [one.id for one in store.told_of("a", 10)] == ["1", "3"]
        assert [one.id for one in store.told_of("a", 1)] == ["3"]
        assert store.told_of("a", 1)[0].outcomes == (Outcome("accepted"),)
        assert store.repository_of("0") == "b"
        assert store.told_of("", 10) == []
