"""What is corrected in pygls."""

import asyncio
from typing import Any

from vicinal_lsp.server import VicinalServer

URI = "untitled:1"
OPEN = {"uri": URI, "languageId": "python", "version": 1, "text": "a"}
START = {"line": 0, "character": 0}
CHANGE = {"range": {"start": START, "end": START}, "text": "b"}


class Sink:
    """Nobody reads what is written here."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def test_nothing_is_kept_of_messages_that_are_dealt_with() -> None:
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"method": "textDocument/didOpen", "params": {"textDocument": OPEN}},
        {"method": "textDocument/didChange", "params": {"textDocument": OPEN, "contentChanges": [CHANGE]}},
        {"method": "textDocument/didSave", "params": {"textDocument": OPEN}},
        {"method": "textDocument/didClose", "params": {"textDocument": OPEN}},
        {"id": 2, "method": "textDocument/inlineCompletion",
         "params": {"textDocument": OPEN, "position": START, "context": {"triggerKind": 1}}},
        {"id": 3, "method": "shutdown", "params": None},
    ]  # fmt: skip

    async def play() -> None:
        server = VicinalServer()
        protocol = server.protocol
        protocol.set_writer(Sink())
        for message in messages:
            protocol.handle_message(protocol.structure_message({"jsonrpc": "2.0", **message}))
            kept = [future for future in protocol._request_futures.values() if isinstance(future, asyncio.Future)]
            await asyncio.gather(*kept, return_exceptions=True)
        await asyncio.sleep(0)
        assert protocol._request_futures == {}
        server.shutdown()

    asyncio.run(play())
