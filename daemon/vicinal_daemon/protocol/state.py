"""What the daemon says of itself: workspaces, the model, the queue, adapters, recent answers; and its events.

Owns the shapes of `/v1/status`, `/v1/events` and of errors. It does not know who fills them in.
"""

from typing import Literal

from pydantic import Field

from vicinal_daemon.errors import error_type
from vicinal_daemon.protocol.answers import AdaptationKind
from vicinal_daemon.protocol.message import PROTOCOL_VERSION, Message
from vicinal_indexer.errors import VicinalError


class Trouble(Message):
    """An error as it crosses the API: what happened and what to do about it."""

    type: str = Field(description="the error's class in kebab case, for example `superseded`")
    message: str
    hint: str = ""
    exit_code: int = 1

    @classmethod
    def of(cls, error: VicinalError) -> "Trouble":
        """An expected error, as it is told."""
        return cls(type=error_type(type(error)), message=error.message, hint=error.hint, exit_code=error.exit_code)


class Failed(Message):
    """The body of every answer that is not a success."""

    error: Trouble


class ModelState(Message):
    """The engine process."""

    name: str
    state: Literal["unloaded", "loading", "ready", "failed"]
    engine: str
    device: str = ""
    precision: str = Field(default="", description="what torch computes the model with")
    pid: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    restarts: int = Field(default=0, ge=0, description="times it died and was started again")
    problem: Trouble | None = None
    seconds_per_step: float | None = Field(default=None, description="measured, of one training step")
    seconds_per_token: float | None = Field(default=None, description="measured, of one token written")


class WorkspaceState(Message):
    """One repository."""

    root: str
    state: Literal["opening", "indexing", "ready", "paused", "gone", "failed"]
    files: int = 0
    chunks: int = 0
    skipped: int = 0
    bytes_on_disk: int = 0
    done: int = Field(default=0, description="files of the running sync that are done")
    total: int = 0
    writer: bool = Field(default=False, description="whether this daemon keeps it fresh; else another vicinal does")
    idle_seconds: float = 0.0
    problem: Trouble | None = None
    warm: str = Field(default="", description="the warm adapter in words; empty if there is none")
    remembered: int = Field(default=0, ge=0, description="tokens of it that the engine remembers as they stand")


class SkippedState(Message):
    """A file or folder that is not indexed, and why."""

    path: str
    reason: str
    detail: str


class SyncState(Message):
    """What a sync did; added, replaced and dropped count files."""

    files: int
    added: int
    replaced: int
    dropped: int
    chunks: int
    skipped: list[SkippedState]
    seconds: float
    rebuilt_because: str | None


class HoldingsState(Message):
    """What an index holds; `changed` are the files that a sync would look at."""

    root: str
    store: str
    files: int
    chunks: int
    bytes_on_disk: int
    schema_version: int
    embedder: str
    skipped: list[SkippedState]
    changed: int
    held: bool


class IndexedState(WorkspaceState):
    """A repository after `POST /v1/index`: what a sync or rebuild did, and what it holds now; null for `wait`."""

    sync: SyncState | None = None
    holdings: HoldingsState | None = None


class QueueState(Message):
    """What waits for the accelerator, by priority, and what is at work."""

    waiting: dict[str, int]
    running: str = ""
    requests: int = Field(default=0, description="completions that are being answered")


class AdapterState(Message):
    """One adapter on disk."""

    key: str
    workspace: str
    kind: Literal["tuned", "warm"]
    bytes: int
    steps: int
    scale: float
    pinned: bool
    created: float = Field(description="seconds since the epoch")
    used: float
    paths: list[str]


class AdaptersState(Message):
    """All adapters."""

    adapters: list[AdapterState]
    bytes: int
    limit_bytes: int
    limit_count: int


class KindFeedback(Message):
    """What became of the answers of one kind of adaptation."""

    kind: str = Field(description="see `Adaptation.kind`")
    answers: int
    judged: int = Field(description="answers that were shown, accepted or rejected")
    accepted: int = Field(description="of these, accepted in whole or in part")
    acceptance: float | None = Field(ge=0, le=1, description="accepted / judged; null if none was judged")


class FeedbackState(Message):
    """`GET /v1/feedback`: what was noted, in numbers."""

    enabled: bool = Field(description="whether anything is noted now (the setting feedback.enabled)")
    answers: int
    events: dict[str, int] = Field(description="how often each event was told, by its name")
    kinds: list[KindFeedback]


class RecentAnswer(Message):
    """One answer, in short."""

    id: str
    at: float = Field(description="seconds since the epoch")
    workspace: str
    path: str
    line: int
    kind: AdaptationKind
    steps: int
    typed_ahead: bool
    confidence: float
    seconds: dict[str, float]


class DaemonState(Message):
    """`GET /v1/status`."""

    version: Literal[1] = PROTOCOL_VERSION
    vicinal: str
    pid: int
    started: float = Field(description="seconds since the epoch")
    address: str
    memory_bytes: int
    model: ModelState
    workspaces: list[WorkspaceState]
    queue: QueueState
    adapters: int
    adapter_bytes: int
    answers: list[RecentAnswer]
    problems: list[Trouble] = Field(
        default_factory=list, description="what goes on worse than it should; of the model and of workspaces: theirs"
    )
    counts: dict[str, int] = Field(default_factory=dict)


class Event(Message):
    """One thing that happened: `/v1/events`, and the progress of a streamed request."""

    name: str = Field(description="stage, index, tune, download, model, answer, adapter")
    workspace: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0
    detail: str = ""


class ForgottenState(Message):
    """What was forgotten of a repository."""

    root: str
    files: list[str] = Field(description="that the index held")
    adapters: int
    checkpoints: int
    answers: int = Field(description="of which something was noted")
