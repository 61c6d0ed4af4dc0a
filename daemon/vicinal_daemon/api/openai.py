"""The routes that OpenAI's clients know: `/v1/completions` and `/v1/models`.

Owns the translation of their shapes into ours. A client that knows nothing of us names no repository: it is inferred
from the prompt's text.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from vicinal_daemon.api.errors import trouble_of
from vicinal_daemon.api.shared import TheDaemon
from vicinal_daemon.api.streams import event_stream, while_there
from vicinal_daemon.daemon import Daemon
from vicinal_daemon.desk import Job, document_of, folder_of, locate
from vicinal_daemon.desk.infer import infer
from vicinal_daemon.protocol import Answer
from vicinal_daemon.protocol.requests import CompletionsRequest, Place
from vicinal_daemon.protocol.state import Failed
from vicinal_daemon.target import Target
from vicinal_indexer.errors import InputError
from vicinal_indexer.secrets import masked
from vicinal_indexer.types import Region

router = APIRouter()
BUDGET_SECONDS = 3.0
UNKNOWN_PATH = "untitled"


@router.get("/v1/models")
async def models(daemon: TheDaemon) -> dict[str, Any]:
    """The model that is served."""
    name = daemon.settings.model.name
    return {"object": "list", "data": [{"id": name, "object": "model", "created": 0, "owned_by": "vicinal"}]}


@router.post("/v1/completions", response_class=Response)
async def completions(body: CompletionsRequest, request: Request, daemon: TheDaemon) -> Response:
    """Continue a prompt, with what the repository that it comes from tells."""
    identity = f"cmpl-{uuid.uuid4().hex}"
    job = await _job(body, daemon)
    if body.stream:
        return event_stream(_streamed(body, daemon, job, identity))
    answer = await while_there(request, daemon.desk.write(job, identity), lambda: daemon.desk.cancel(identity, None))
    return JSONResponse(await _ended(identity, body, daemon, job, answer.completion.text, answer))


async def _job(body: CompletionsRequest, daemon: Daemon) -> Job:
    """The prompt as a document with the cursor at its end; its secrets are masked."""
    prompt, suffix = masked(_prompt(body)), masked(body.suffix or "")
    path, root = UNKNOWN_PATH, Path(body.workspace) if body.workspace is not None else None
    document: Hashable = uuid.uuid4().hex  # without a path nothing supersedes anything
    if body.path is not None:
        place = Place(workspace=body.workspace, path=body.path, line=1)
        document = ("openai", body.user, document_of(place))
        root, path = await daemon.disk.look(folder_of(place), lambda: locate(place))
    elif root is None:
        inferred, path = await asyncio.to_thread(infer, prompt, daemon.workspaces.all(), UNKNOWN_PATH)
        root = inferred.root if inferred is not None else None
    workspace = await daemon.opened(root) if root is not None else None
    settings = await daemon.settings_of(workspace)
    row = prompt.rpartition("\n")[2]
    return Job(
        document=document,
        client=body.user or "openai",
        workspace=workspace,
        target=Target(path, prompt, "", suffix, prompt.count("\n") + 1, len(row) + 1, 0),
        settings=settings,
        budget=BUDGET_SECONDS,
        lines=0,
        max_tokens=body.max_tokens or settings.generate.max_tokens,
        stops=tuple([body.stop] if isinstance(body.stop, str) else body.stop or ()),
        # Where in its file the prompt stands is not known: nothing of the file is studied.
        excluded=(Region(path, 1, sys.maxsize),),
    )


def _prompt(body: CompletionsRequest) -> str:
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt
    if len(prompts) != 1:
        raise InputError("one prompt is completed at a time", hint="send a single prompt")
    return prompts[0]


async def _streamed(body: CompletionsRequest, daemon: Daemon, job: Job, identity: str) -> AsyncIterator[bytes]:
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.ensure_future(daemon.desk.write(replace(job, on_piece=pieces.put_nowait), identity))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    told = ""
    try:
        while (text := await pieces.get()) is not None:
            if len(text) > len(told) and text.startswith(told):
                yield _event(_said(identity, body, daemon, text[len(told) :], None))
                told = text
        error = task.exception()
        if error is not None:
            yield _event(Failed(error=trouble_of(error)).model_dump())
            return
        answer = task.result()
        rest = answer.completion.text.removeprefix(told)
        yield _event(await _ended(identity, body, daemon, job, rest, answer))
        yield b"data: [DONE]\n\n"
    finally:
        if not task.done():
            daemon.desk.cancel(identity, None)
            await asyncio.gather(task, return_exceptions=True)


def _event(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


async def _ended(
    identity: str, body: CompletionsRequest, daemon: Daemon, job: Job, text: str, answer: Answer
) -> dict[str, Any]:
    """The last that is said: the rest of the text, why it ended, and what it rests on."""
    read = len(daemon.desk.offsets(await daemon.accelerator.files())(job.target.left))
    written = min(answer.completion.tokens, job.max_tokens)  # healing the prompt's last token costs some more
    return {
        **_said(identity, body, daemon, text, "stop" if answer.completion.finished else "length"),
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
        "vicinal": answer.model_dump(include={"repository", "path", "confidence", "adaptation", "evidence"}),
    }


def _said(identity: str, body: CompletionsRequest, daemon: Daemon, text: str, reason: str | None) -> dict[str, Any]:
    return {
        "id": identity,
        "object": "text_completion",
        "created": int(time.time()),
        "model": body.model or daemon.settings.model.name,
        "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": reason}],
    }
