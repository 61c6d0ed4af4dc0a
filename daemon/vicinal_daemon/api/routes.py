"""The routes that answer: completions, questions, feedback; and whether all is well.

Owns paths and methods. Decides nothing.
"""

import asyncio
import os
import uuid
from math import inf
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from vicinal_daemon.answer import MAX_TOKENS, messages, read_answer
from vicinal_daemon.api.shared import OPEN_SECONDS, Count, Said, TheDaemon, indexing_told
from vicinal_daemon.api.streams import answered
from vicinal_daemon.daemon import Daemon
from vicinal_daemon.desk import document_of, folder_of, locate
from vicinal_daemon.metrics import CONTENT_TYPE
from vicinal_daemon.protocol import Answer, Findings
from vicinal_daemon.protocol.requests import (
    CancelRequest,
    CompleteRequest,
    FeedbackRequest,
    HintRequest,
    Place,
    QueryRequest,
)
from vicinal_daemon.protocol.state import DaemonState, FeedbackState
from vicinal_daemon.query import query as run_query
from vicinal_daemon.scheduler import Cancellation, Priority
from vicinal_daemon.stages import OnStage, Stopwatch
from vicinal_daemon.uncertainty.feedback import Outcome
from vicinal_daemon.worker.messages import Chat, Written
from vicinal_indexer.errors import InputError
from vicinal_indexer.languages import MAPPED
from vicinal_indexer.types import Filter

router = APIRouter()


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
        if body.alone or not body.wait_for_index:
            return await daemon.desk.complete(body, on_stage)
        root, _ = await daemon.disk.look(folder_of(body), lambda: locate(body))
        async with indexing_told(daemon, str(root), on_stage) as tell:
            return await daemon.desk.complete(body, tell)

    return await answered(request, work, lambda: daemon.desk.cancel(body.id, None))


@router.post("/v1/hint")
async def hint(body: HintRequest, daemon: TheDaemon) -> Said:
    """The cursor rests here: prepare what a completion would need."""
    return Said(said=await daemon.desk.hint(body))


@router.post("/v1/cancel")
async def cancel(body: CancelRequest, daemon: TheDaemon) -> Count:
    """Cancel a completion by its id, or what is done for a document."""
    document = None
    if body.path:
        place = Place(workspace=body.workspace, alone=body.alone, path=body.path, line=1, client=body.client)
        document = document_of(place)
    elif not body.id:
        raise InputError("neither an id nor a document is given", hint="send the id of the request, or its path")
    return Count(count=daemon.desk.cancel(body.id, document))


@router.post("/v1/query", response_model=Findings)
async def query(body: QueryRequest, request: Request, daemon: TheDaemon) -> Response:
    """Find the code that tells most about a question."""
    cancellation = Cancellation()

    async def work(on_stage: OnStage) -> Findings:
        root = await cancellation.first(daemon.disk.look(body.workspace, lambda: os.path.realpath(body.workspace)))
        async with indexing_told(daemon, root, on_stage) as tell:
            return await _query(body, daemon, cancellation, tell)

    return await answered(request, work, cancellation.withdraw)


async def _query(body: QueryRequest, daemon: Daemon, cancellation: Cancellation, on_stage: OnStage) -> Findings:
    unknown = sorted(set(body.languages) - MAPPED)
    if unknown:
        raise InputError(f"no file is ever {', '.join(unknown)}", hint="see `vicinal query --help`")
    if not body.text.strip():
        raise InputError("the question is empty", hint="ask something")
    workspace = await cancellation.first(daemon.opened(Path(body.workspace)))
    settings = await daemon.settings_of(workspace)
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
                settings,
                count=body.count,
                strategy=body.strategy,
                wanted=Filter(tuple(body.languages), tuple(body.paths)),
            )
        )
    daemon.metrics.queried()
    if body.answer and findings.findings:
        on_stage("answer", 0, 0)
        with watch.stage("answer"):
            files = await daemon.accelerator.files()
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
    """What became of an answer. It stays on this machine, and can be turned off (the setting feedback.enabled)."""
    outcome = Outcome(body.event, body.accepted_characters, body.kept_share, body.after_seconds)
    return Said(said="noted" if await daemon.notes.record(body.id, outcome) else "feedback is off")


@router.get("/v1/feedback")
async def feedback_told(daemon: TheDaemon) -> FeedbackState:
    """What became of answers, in numbers."""
    return await daemon.notes.recorded()


@router.delete("/v1/feedback")
async def erase_feedback(daemon: TheDaemon) -> Said:
    """Forget all feedback."""
    await daemon.notes.erase()
    return Said(said="erased")
