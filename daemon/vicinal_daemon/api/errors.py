"""Errors on the wire.

Owns which error has which HTTP status, and the one shape in which all are told.
"""

import asyncio
import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from vicinal_daemon.errors import (
    AccessDenied,
    Busy,
    DaemonError,
    EngineFailed,
    ModelError,
    RequestDropped,
    Superseded,
    TooLarge,
    Withdrawn,
)
from vicinal_daemon.protocol.state import Failed, Trouble
from vicinal_indexer.errors import IndexingError, InputError, StoreLocked, VicinalError, WrittenByLater

log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[VicinalError], int], ...] = (
    (TooLarge, 413),
    (InputError, 422),
    (AccessDenied, 403),
    (Superseded, 409),
    (Withdrawn, 499),
    (Busy, 503),
    (RequestDropped, 409),
    (EngineFailed, 502),
    (ModelError, 424),
    (StoreLocked, 423),
    (IndexingError, 507),
    (WrittenByLater, 507),
    (DaemonError, 503),
)
RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": Failed, "description": description}
    for status, description in (
        (400, "not a request that can be read"),
        (401, "the token is missing or wrong"),
        (403, "not for web pages or other hosts"),
        (404, "there is no such thing"),
        (409, "a newer request took its place"),
        (413, "too large"),
        (422, "the request cannot be right"),
        (423, "another process is writing the index"),
        (424, "the model cannot be had"),
        (499, "the request was cancelled"),
        (502, "the engine process failed"),
        (503, "too many requests wait"),
        (507, "the index cannot be read or written"),
    )
}


_KINDS: dict[int, str | type[VicinalError]] = {
    400: InputError,
    404: "not-found",
    405: "method-not-allowed",
    413: TooLarge,
}
"""What the framework tells of by a status."""


def status_of(error: VicinalError) -> int:
    """The HTTP status of an error."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def trouble_of(error: BaseException) -> Trouble:
    """An error as it is told. What nobody expected is logged, and told without its inside."""
    if isinstance(error, VicinalError):
        return Trouble.of(error)
    if isinstance(error, asyncio.CancelledError):
        return trouble_of(Withdrawn("the request was cancelled"))
    log.error("an error that nobody expected", exc_info=error)
    return Trouble(
        type="internal",
        message=f"internal error: {type(error).__name__}",
        hint="`vicinal daemon logs` tells more; please report it",
    )


def answer(trouble: Trouble, status: int) -> JSONResponse:
    """The response to a request that failed."""
    headers = {"Retry-After": "1"} if status == 503 else None
    return JSONResponse(Failed(error=trouble).model_dump(), status_code=status, headers=headers)


def install(app: FastAPI) -> None:
    """Have all of the app's errors told in this shape."""

    @app.exception_handler(VicinalError)
    async def expected(request: Request, error: VicinalError) -> JSONResponse:  # noqa: ARG001
        return answer(trouble_of(error), status_of(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:  # noqa: ARG001
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"the request cannot be right: {where}: {first['msg']}"
        return answer(Trouble(type="input-error", message=message[:500], hint="see /openapi.json", exit_code=2), 422)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:  # noqa: ARG001
        known = _KINDS.get(error.status_code, "http")
        if isinstance(known, str):
            trouble = Trouble(type=known, message=str(error.detail), hint="see /openapi.json")
        else:
            trouble = Trouble.of(known(str(error.detail), hint=known.remedy or "see /openapi.json"))
        response = answer(trouble, error.status_code)
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
        return answer(trouble_of(error), 500)
