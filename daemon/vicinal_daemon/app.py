"""The composition root: settings in, the daemon's web application out.

Owns how the rooms are put together into one application. It decides nothing else.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from vicinal_daemon.api import errors, keeping, openai, routes
from vicinal_daemon.api.guard import Guard
from vicinal_daemon.config import Settings
from vicinal_daemon.daemon import Daemon
from vicinal_daemon.lifecycle.ending import Ending
from vicinal_daemon.place import Place
from vicinal_indexer import __version__

MAX_BODY_BYTES = 10_000_000


def create_app(settings: Settings, place: Place) -> FastAPI:
    """The application. Its lifespan opens everything and closes it again."""

    def address() -> str:
        serving = place.serving()
        return serving.address if serving is not None else ""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        daemon = app.state.daemon = Daemon(settings, address)
        leaving = asyncio.ensure_future(_leave_in_time(app.state.ending, daemon))
        await daemon.open()
        try:
            yield
        finally:
            leaving.cancel()
            await daemon.close()

    async def _leave_in_time(ending: Ending, daemon: Daemon) -> None:
        """The server waits for requests before the lifespan ends: those without an end of their own end here."""
        await ending.begun()
        daemon.begin_to_close()

    app = FastAPI(
        title="Vicinal",
        version=__version__,
        description="Completions and evidence from a small local model that studies your repository.",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        responses=errors.RESPONSES,
    )
    errors.install(app)
    app.include_router(routes.router)
    app.include_router(keeping.router)
    app.include_router(openai.router)
    app.add_middleware(Guard, max_body_bytes=MAX_BODY_BYTES)
    return app
