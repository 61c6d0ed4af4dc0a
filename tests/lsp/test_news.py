"""What the user is told of the daemon's state and events."""

import pytest

from vicinal_daemon.protocol.state import (
    DaemonState,
    Event,
    ModelState,
    QueueState,
    Trouble,
    WorkspaceState,
)
from vicinal_indexer import __version__
from vicinal_lsp import news
from vicinal_lsp.news import READY, Status

MISSING = Trouble(type="model-missing", message="tiny is not on this machine", hint="run: vicinal models pull tiny")
INDEXING = Status("progress", "indexing 40 %")


def state(
    model: dict[str, object] | None = None,
    workspaces: tuple[WorkspaceState, ...] = (),
    running: str = "",
    vicinal: str = __version__,
) -> DaemonState:
    return DaemonState(
        vicinal=vicinal, pid=1, started=0, address="unix:/s", memory_bytes=0,
        model=ModelState.model_validate({"name": "tiny", "state": "ready", "engine": "llama"} | (model or {})),
        workspaces=list(workspaces), queue=QueueState(waiting={}, running=running),
        adapters=0, adapter_bytes=0, answers=[],
    )  # fmt: skip


def workspace(word: str, **more: object) -> WorkspaceState:
    return WorkspaceState.model_validate({"root": "/r", "state": word, **more})


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (state(), READY),
        (state({"state": "unloaded"}), READY),
        (state({"state": "loading"}), Status("progress", "loading the model")),
        (
            state(workspaces=(workspace("indexing", done=1, total=4), workspace("indexing", done=3, total=6))),
            INDEXING,
        ),
        (state(workspaces=(workspace("indexing"),)), Status("progress", "indexing")),
        (state(running="speculate: step"), Status("progress", "tuning")),
        (state(running="write: write"), READY),
        (
            state(workspaces=(workspace("failed", problem=Trouble(type="store-damaged", message="no", hint="do")),)),
            Status("warning", "/r: no", "do"),
        ),
    ],
)
def test_the_state_in_one_line(said: DaemonState, expected: Status) -> None:
    assert news.status_of(said) == expected
    assert news.missing_model(said) == ""


def test_a_missing_model_is_a_warning_with_what_to_do_whatever_else_goes_on() -> None:
    said = state({"state": "failed", "problem": MISSING}, (workspace("indexing", total=9),))
    assert news.status_of(said) == Status("warning", MISSING.message, MISSING.hint)
    assert news.missing_model(said) == "tiny"
    assert news.missing_model(news.without_problem(said)) == ""
    assert news.status_of(news.without_problem(said)).level == "progress"


def test_an_engine_that_failed_is_an_error_and_one_that_recovers_a_warning() -> None:
    crashed = Trouble(type="engine-crashed", message="it died", hint="ask again")
    assert news.status_of(state({"state": "failed", "problem": crashed})).level == "error"
    assert news.status_of(state({"state": "ready", "problem": crashed})) == Status("warning", "it died", "ask again")


def test_a_daemon_of_another_version_is_to_be_restarted() -> None:
    said = news.status_of(state(vicinal="0.0.1"))
    assert said.level == "warning"
    assert "0.0.1" in said.message
    assert "vicinal.restartDaemon" in said.hint
    assert news.other_version(__version__) is None


@pytest.mark.parametrize(
    ("before", "event", "expected"),
    [
        (READY, Event(name="hello"), READY),
        (READY, Event(name="index", stage="index", done=2, total=5), INDEXING),
        (INDEXING, Event(name="index", stage="index", done=5, total=5), READY),
        (INDEXING, Event(name="index", stage="scan"), INDEXING),
        (INDEXING, Event(name="index", stage="ready"), READY),
        (READY, Event(name="tune", stage="tune", done=1, total=3), Status("progress", "tuning")),
        (Status("progress", "tuning"), Event(name="tune", stage="tune", done=3, total=3), READY),
        (READY, Event(name="answer"), READY),
        (READY, Event(name="download", done=1, total=4, detail="tiny"), Status("progress", "downloading tiny 25 %")),
    ],
)
def test_an_event_moves_the_line_on(before: Status, event: Event, expected: Status) -> None:
    assert news.after(before, event) == expected


@pytest.mark.parametrize("level", ["warning", "error"])
def test_progress_does_not_hide_what_needs_the_user(level: news.Level) -> None:
    trouble = Status(level, "tiny is not on this machine")
    assert news.after(trouble, Event(name="index", stage="index", done=2, total=5)) == trouble
    assert news.after(trouble, Event(name="tune", done=1, total=5)) == trouble
    assert news.after(trouble, Event(name="download", detail="tiny")).level == "progress"


def test_what_only_signals_a_change_is_looked_at() -> None:
    assert news.calls_for_look(Event(name="model", stage="failed"))
    assert news.calls_for_look(Event(name="index", stage="gone"))
    assert not news.calls_for_look(Event(name="index", stage="index", total=3))
