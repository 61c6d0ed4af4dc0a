"""What clients ask of the daemon.

Owns the requests' shapes and the limits on their fields. It does not know how they are answered.
"""

from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from vicinal_daemon.protocol.message import Message

MAX_TEXT = 1_000_000
"""Characters of a document; files with more are not completed either (`indexer.files.MAX_FILE_BYTES`)."""

Identity = Annotated[str, Field(max_length=200)]


def _absolute(path: str) -> str:
    if "\0" in path or not PurePath(path).is_absolute():
        raise ValueError("must be an absolute path")
    return path


FolderPath = Annotated[str, Field(max_length=4096), AfterValidator(_absolute)]
Scalar = bool | int | float | str


class Place(Message):
    """A cursor in a document. The daemon reads the file itself if `text` is not given."""

    workspace: FolderPath | None = Field(
        default=None, description="the repository's root; null: the one around `path`, absolute then"
    )
    alone: bool = Field(
        default=False,
        description="the document belongs to no repository: the base model answers from it alone. Then there is no "
        "workspace, `text` must be given, and `path` is only its name",
    )
    path: str = Field(min_length=1, max_length=4096, description="of the document: in the workspace, or absolute")
    text: str | None = Field(default=None, max_length=MAX_TEXT, description="the document as it is in the editor")
    line: int = Field(ge=1, le=10_000_000, description="of the cursor, from 1")
    column: int = Field(
        default=1, ge=1, le=10_000_000, description="of the cursor, in characters (code points), from 1"
    )
    client: Identity = Field(default="", description="who asks; documents of different clients are different documents")


class CompleteRequest(Place):
    """`POST /v1/complete`."""

    id: Identity = Field(default="", description="names the request for `/v1/cancel`; made up if empty")
    replace_lines: int = Field(
        default=0,
        ge=0,
        le=100,
        description="lines from the cursor on that are completed anew: the model does not see them",
    )
    lines: int | None = Field(default=None, ge=1, le=100, description="lines wanted; null: the setting generate.lines")
    budget_ms: int | None = Field(
        default=None,
        ge=1,
        le=3_600_000,
        description="how long the answer may take; what does not fit is tuned behind it. null: tune in full first",
    )
    trigger: Literal["invoked", "automatic"] = "invoked"
    alternatives: int = Field(
        default=0, ge=0, le=4, description="other completions that are wanted besides the best one, at most"
    )
    compare: bool = Field(default=False, description="also complete by the base model, for comparison")
    wait_for_index: bool = Field(default=False, description="wait until the workspace is indexed and up to date")
    settings: dict[str, Scalar] = Field(
        default_factory=dict, max_length=40, description="settings for this request; those a repository may set"
    )


class HintRequest(Place):
    """`POST /v1/hint`: the cursor has come to rest here; what a completion needs is prepared."""


class CancelRequest(Message):
    """`POST /v1/cancel`: by `id`, or whatever runs for a document, which is named as in its request."""

    id: Identity = ""
    client: Identity = ""
    workspace: FolderPath | None = None
    alone: bool = False
    path: str = Field(default="", max_length=4096)


class QueryRequest(Message):
    """`POST /v1/query`."""

    workspace: FolderPath
    text: str = Field(min_length=1, max_length=MAX_TEXT)
    count: int = Field(default=8, ge=1, le=100)
    strategy: Literal["sift", "nn"] = "sift"
    languages: list[Annotated[str, Field(max_length=50)]] = Field(default_factory=list, max_length=50)
    paths: list[Annotated[str, Field(max_length=1000)]] = Field(default_factory=list, max_length=50)
    answer: bool = Field(default=False, description="also write a short answer from the findings")
    wait_for_index: bool = False
    client: Identity = ""


class FeedbackRequest(Message):
    """`POST /v1/feedback`: what became of an answer."""

    id: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="of the answer")
    event: Literal["shown", "accepted", "partly", "rejected", "survived"]
    accepted_characters: int | None = Field(default=None, ge=0, le=MAX_TEXT)
    kept_share: float | None = Field(default=None, ge=0, le=1, description="of the accepted text, for `survived`")
    after_seconds: float | None = Field(default=None, ge=0, le=1e9)


class WorkspaceRequest(Message):
    """`POST /v1/workspaces`, and what names a workspace elsewhere."""

    root: FolderPath


class IndexRequest(WorkspaceRequest):
    """`POST /v1/index`."""

    action: Literal["sync", "rebuild", "verify", "wait"] = "sync"


class ForgetRequest(WorkspaceRequest):
    """`POST /v1/forget`."""

    paths: list[Annotated[str, Field(min_length=1, max_length=4096)]] | None = Field(
        max_length=1000,
        description="files and folders, relative to the root, with /; null: everything of the repository",
    )


class PinRequest(Message):
    """`POST /v1/adapters/{key}/pin`."""

    pinned: bool


class ModelPullRequest(Message):
    """`POST /v1/models/pull`: the one request that makes the daemon use the network."""

    name: Annotated[str, Field(min_length=1, max_length=400)]
    again: bool = Field(default=False, description="fetch it anew even if it is here")


class CompletionsRequest(Message):
    """`POST /v1/completions`, as OpenAI's clients send it; fields we have no use for are let pass."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str = Field(default="", max_length=400)
    prompt: str | list[str] = Field(max_length=MAX_TEXT)
    suffix: str | None = Field(default=None, max_length=MAX_TEXT)
    max_tokens: int | None = Field(default=None, ge=1, le=4096)
    stop: str | list[str] | None = Field(default=None, max_length=2000)
    stream: bool = False
    n: int | None = Field(default=1, ge=1, le=1)
    workspace: FolderPath | None = Field(default=None, description="ours: else it is inferred from the prompt's text")
    path: str | None = Field(default=None, max_length=4096, description="ours: of the document")
    user: str | None = Field(default=None, max_length=200)
