"""One request, two ways to be answered: at the end, or as it comes along.

Owns the form of streams (server-sent events: `progress` as often as there is some, then one `result` or `error`), and
what becomes of work whose asker has gone: it is called off. It does not know the work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from vicinal_daemon.api.errors import trouble_of
from vicinal_daemon.protocol.state import Event, Failed
from vicinal_daemon.stages import OnStage

Result = TypeVar("Result")
Work = Callable[[OnStage], Coroutine[None, None, BaseModel]]
CallOff = Callable[[], object]
EVENT_STREAM = "text/event-stream"


def wants_stream(request: Request) -> bool:
    """Whether the caller wants to hear of progress."""
    return EVENT_STREAM in request.headers.get("accept", "")


async def answered(request: Request, work: Work, call_off: CallOff) -> Response:
    """Do the work and answer with its result, in the way that the caller wants.

    Args:
        call_off: called if the caller goes away; the work must end soon after.
    """
    if wants_stream(request):
        return event_stream(_told(work, call_off))
    result = await while_there(request, work(lambda stage, done, total: None), call_off)
    return Response(result.model_dump_json(), media_type="application/json")


def event_stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Server-sent events as they come."""
    return StreamingResponse(events, media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"})


async def while_there(request: Request, work: Coroutine[None, None, Result], call_off: CallOff) -> Result:
    """The result of `work`, which is called off if the caller goes away."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            call_off()
        return await task
    finally:
        gone.cancel()
        if not task.done():
            call_off()
            task.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _told(work: Work, call_off: CallOff) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def tell(stage: str, done: int, total: int) -> None:
        event = Event(name="stage", stage=stage, done=done, total=total)
        loop.call_soon_threadsafe(queue.put_nowait, event)

    task = asyncio.ensure_future(work(tell))
    task.add_done_callback(lambda _: loop.call_soon(queue.put_nowait, None))
    try:
        while (event := await queue.get()) is not None:
            yield sent("progress", event)
        error = task.exception()
        yield sent("result", task.result()) if error is None else sent("error", Failed(error=trouble_of(error)))
    finally:
        if not task.done():
            call_off()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def sent(name: str, message: BaseModel) -> bytes:
    """One server-sent event."""
    return f"event: {name}\ndata: {message.model_dump_json()}\n\n".encode()
