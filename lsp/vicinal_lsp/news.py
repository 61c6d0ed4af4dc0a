"""What the daemon says of itself, as one line for the user.

Owns the words and what outranks what. Pure: it asks nobody, and does not know how the user is told.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from vicinal_indexer import __version__

if TYPE_CHECKING:
    from vicinal_daemon.protocol.state import DaemonState, Event, WorkspaceState
    from vicinal_indexer.errors import VicinalError

Level = Literal["normal", "progress", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Status:
    """What the user sees: how things are, and what to do if they are not well."""

    level: Level
    message: str
    hint: str = ""


READY: Final = Status("normal", "ready")
CONNECTING: Final = Status("progress", "connecting to the daemon")
RESTARTING: Final = Status("progress", "restarting the daemon")
LOST: Final = Status("warning", "the daemon is not running", "the next completion starts it")
NOT_UNDERSTOOD: Final = Status("warning", "what the daemon says is not understood", "run vicinal.restartDaemon")
_TUNING: Final = Status("progress", "tuning")
_MISSING: Final = "model-missing"


def status_of(state: "DaemonState") -> Status:
    """Everything the daemon said, in one line: what needs the user first, then what it works on."""
    if other := other_version(state.vicinal):
        return other
    problem = state.model.problem
    if problem is not None:
        failed = state.model.state == "failed" and problem.type != _MISSING
        return Status("error" if failed else "warning", problem.message, problem.hint)
    if state.model.state == "loading":
        return Status("progress", "loading the model")
    indexed = [workspace for workspace in state.workspaces if workspace.state == "indexing"]
    if indexed:
        return _indexing(sum(one.done for one in indexed), sum(one.total for one in indexed))
    if state.queue.running.endswith(": step"):
        return _TUNING
    failing = (trouble for workspace in state.workspaces if (trouble := _trouble(workspace)))
    return next(failing, READY)


def after(status: Status, event: "Event") -> Status:
    """The status once this has happened. What needs the user stays until the daemon is asked again (`calls_for_look`).

    A download is shown all the same: it is what the missing model needs. What came has yet
    to be checked and put in its place: the daemon says when it is.
    """
    if event.name == "download":
        return _percent(f"downloading {event.detail}", event.done, event.total)
    if status.level in ("warning", "error"):
        return status
    if event.name == "index" and event.stage == "index":
        return _step(event, _indexing(event.done, event.total))
    if event.name == "index" and event.stage in ("ready", "changed"):
        return READY
    if event.name == "tune":
        return _step(event, _TUNING)
    return status


def calls_for_look(event: "Event") -> bool:
    """Whether the event tells only that something changed, so that the daemon has to be asked what."""
    return event.name == "model" or (event.name == "index" and event.stage in ("failed", "gone"))


def missing_model(state: "DaemonState") -> str:
    """The name of the daemon's model if it is not on this machine, else an empty text."""
    problem = state.model.problem
    return state.model.name if problem is not None and problem.type == _MISSING else ""


def without_problem(state: "DaemonState") -> "DaemonState":
    """The same, of a daemon whose model was fetched since: it looks for it again when it needs it."""
    model = state.model.model_copy(update={"problem": None, "state": "unloaded"})
    return state.model_copy(update={"model": model})


def other_version(theirs: str) -> Status | None:
    """What to say of a daemon of this version; None if it is ours."""
    if theirs == __version__:
        return None
    return Status(
        "warning",
        f"the daemon is Vicinal {theirs}, this language server is {__version__}",
        "run the command vicinal.restartDaemon, so that both are of one version",
    )


def failure(error: "VicinalError") -> Status:
    """A daemon that cannot be had, in its own words."""
    return Status("error", error.message, error.hint)


def _step(event: "Event", status: Status) -> Status:
    return READY if event.done >= event.total > 0 else status


def _indexing(done: int, total: int) -> Status:
    return _percent("indexing", done, total)


def _percent(words: str, done: int, total: int) -> Status:
    return Status("progress", f"{words} {100 * min(done, total) // total} %" if total > 0 else words)


def _trouble(workspace: "WorkspaceState") -> Status | None:
    if workspace.state != "failed" or workspace.problem is None:
        return None
    return Status("warning", f"{workspace.root}: {workspace.problem.message}", workspace.problem.hint)
