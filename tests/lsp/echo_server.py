"""A language server whose daemon answers at once, and says by which text, for the fuzz test: `python echo_server.py`.

With an argument it listens on a loopback port.

The answer's `model` is a digest of the text and the place it was asked for.
"""

import asyncio
import hashlib
import random
import sys
from typing import Any

from vicinal_daemon.protocol import Answer
from vicinal_lsp.__main__ import accepted, standard
from vicinal_lsp.handshake import greet
from vicinal_lsp.scripted import answer_to
from vicinal_lsp.server import VicinalServer
from vicinal_lsp.stdio import serve

TEXTS = ("value", "x)", "f(a, b)\n    return b", "\n    pass\n\n", "", ")", "a\n", "  y = 😋", "end\r\nmore()")


class EchoSession:
    """As `Session`, without a daemon."""

    def __init__(self, *told: Any, **more: Any) -> None:
        self._random = random.Random(7)  # noqa: S311 - the same texts every time

    def begin(self) -> None:
        pass

    async def complete(self, request: Any) -> Answer:
        for _ in range(self._random.randrange(4)):  # other messages come in between
            await asyncio.sleep(0)
        said = f"{request.line}:{request.column}\n{request.text}"
        text = self._random.choice(TEXTS)
        digest = hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()
        return answer_to(request, text).model_copy(update={"model": digest})

    async def add_workspace(self, request: Any) -> None:
        pass

    async def feedback(self, request: Any) -> None:
        pass

    async def hint(self, request: Any) -> None:
        pass

    async def close(self) -> None:
        pass


if __name__ == "__main__":
    source, sink = greet(*(accepted("127.0.0.1", 0) if sys.argv[1:] else standard()))
    serve(VicinalServer(EchoSession), source, sink)  # type: ignore[arg-type]
