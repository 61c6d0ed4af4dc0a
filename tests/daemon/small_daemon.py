"""A daemon with the least of an app: what the tests of life and client start as a real process.

`python small_daemon.py` serves by the settings in the environment. `SMALL_DAEMON` makes it misbehave.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.lifecycle import run as lifecycle
from vicinal_daemon.lifecycle.place import Place
from vicinal_daemon.protocol.state import DaemonState, Event, ModelState, QueueState, WorkspaceState
from vicinal_indexer.errors import VicinalError

MANNERS = os.environ.get("SMALL_DAEMON", "")
FINDINGS = {
    "repository": "/r", "question": "q", "parts": ["q"], "strategy": "sift", "findings": [], "candidates": 0,
    "sigma_0": 1, "sigma_n": 1, "sigma_inf": 1, "explained": 0, "coverable": 0, "thin": True, "unknown_words": [],
    "answer": None,
}  # fmt: skip


def create_app(settings: Settings, place: Place) -> FastAPI:
    if MANNERS == "fails at once":
        raise RuntimeError("no app today")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if MANNERS == "fails to start":
            raise RuntimeError("no model today")
        yield
        while MANNERS == "never ends":
            time.sleep(0.1)  # not even the event loop goes on
        (place.folder / "ended-in-order").touch()

    app = FastAPI(lifespan=lifespan)

    @app.get("/healthz")
    async def health() -> dict[str, object]:
        if MANNERS == "deaf":
            await asyncio.sleep(3600)
        return {"status": "ok", "pid": os.getpid()}

    @app.get("/v1/status")
    async def status() -> DaemonState:
        return DaemonState(
            vicinal="0", pid=os.getpid(), started=time.time() - 61, address="here", memory_bytes=5_000_000,
            model=ModelState(name="tiny", state="ready", engine="transformers", device="cpu", precision="float32"),
            workspaces=[WorkspaceState(root="/r", state="ready", files=3, chunks=9)],
            queue=QueueState(waiting={}), adapters=0, adapter_bytes=0, answers=[],
        )  # fmt: skip

    @app.post("/v1/shutdown")
    async def shutdown(request: Request) -> dict[str, str]:
        if MANNERS != "stubborn":
            request.app.state.ending.ask("a client asked")
        return {}

    @app.post("/v1/query")
    async def query(request: Request) -> Response:
        asked = (await request.json())["text"]
        if asked == "html":
            return PlainTextResponse("<html>", status_code=502)
        if asked == "odd":
            return JSONResponse({"version": 99})
        if "event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(stream(asked), media_type="text/event-stream")
        if asked.startswith("fail "):
            return JSONResponse({"error": failure(asked)}, status_code=400)
        return JSONResponse(FINDINGS)

    async def stream(asked: str) -> AsyncIterator[str]:
        for done in (1, 2):
            event = Event(name="stage", stage="index", done=done, total=2)
            yield f"event: progress\ndata: {event.model_dump_json()}\n\n"
        yield ": keeps the connection\n\nevent: unheard-of\ndata: {}\n\n"
        if asked == "wait":
            await asyncio.sleep(3600)
        if asked.startswith("fail "):
            yield f"event: error\ndata: {json.dumps({'error': failure(asked)})}\n\n"
        elif asked != "stop short":
            yield f"event: result\ndata: {json.dumps(FINDINGS)}\n\n"

    def failure(asked: str) -> dict[str, object]:
        return {"type": asked.removeprefix("fail "), "message": "it failed", "hint": "do this", "exit_code": 3}

    @app.get("/v1/events")
    async def events(request: Request) -> StreamingResponse:
        async def forever() -> AsyncIterator[str]:
            yield f"event: progress\ndata: {Event(name='log', detail='here').model_dump_json()}\n\n"
            await request.app.state.ending.begun()

        return StreamingResponse(forever(), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    if MANNERS == "never ends":
        lifecycle.END_SECONDS = 0.5
    try:
        lifecycle.serve(create_app, config.load())
    except VicinalError as error:
        sys.stderr.write(f"error: {error.message}\n")
        sys.exit(error.exit_code)
