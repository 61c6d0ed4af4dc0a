"""Messages between pipes and the server: a thread of its own reads, and whole messages come to the loop.

Owns that thread. pygls would read each line of a header in a thread of a pool, which costs three changes of threads a
message. A client's socket is two pipes, too. It does not know what messages say.
"""

import asyncio
import logging
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from pygls.io_ import StdoutWriter, run_async

from vicinal_lsp.handshake import MAX_BYTES, Answered, Replayed, read_message

if TYPE_CHECKING:
    from vicinal_lsp.server import VicinalServer

log = logging.getLogger(__name__)


def serve(server: "VicinalServer", source: Replayed, sink: Answered) -> None:
    """Serve one client until it leaves or its pipe ends.

    Raises:
        SystemExit: it has left, with the code that LSP wants.
    """
    try:
        asyncio.run(_serve(server, source, sink))
    except BrokenPipeError:
        log.error("the client is gone")
    finally:
        server.shutdown()  # type: ignore[no-untyped-call]


async def _serve(server: "VicinalServer", source: Replayed, sink: Answered) -> None:
    messages = asyncio.StreamReader(limit=MAX_BYTES)
    reading = threading.Thread(
        target=_read, args=(source, messages, asyncio.get_running_loop()), name="client", daemon=True
    )
    reading.start()
    server.protocol.set_writer(StdoutWriter(cast(BinaryIO, sink)))
    await run_async(
        stop_event=threading.Event(),
        reader=_OneByOne(messages),
        protocol=server.protocol,
        logger=log,
        error_handler=server.report_server_error,
    )


class _OneByOne:
    """Gives what a message sets going its first step before the next one is read.

    A handler looks at the document in its first step: it must see the one that its client had.
    """

    def __init__(self, messages: asyncio.StreamReader) -> None:
        self._messages = messages

    async def readline(self) -> bytes:
        """As of a stream."""
        await asyncio.sleep(0)
        return await self._messages.readline()

    async def readexactly(self, n: int) -> bytes:
        """As of a stream; less at its end."""
        try:
            return await self._messages.readexactly(n)
        except asyncio.IncompleteReadError as error:
            return error.partial


def _read(source: Replayed, messages: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody reads any more
        while data := read_message(source)[0]:
            loop.call_soon_threadsafe(messages.feed_data, data)
        loop.call_soon_threadsafe(messages.feed_eof)
