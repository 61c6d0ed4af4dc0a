"""A language server whose daemon answers at once, and says by which text, for the fuzz test: `python echo_server.py`.

The answer's `model` is a digest of the text and the place it was asked for.
"""

import asyncio
import hashlib
import os
import random
import sys
from typing import Any

from vicinal_daemon.protocol import Answer
from vicinal_daemon.protocol.answers import Adaptation, Confidence, Text
from vicinal_lsp.handshake import greet
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
        adaptation = Adaptation(kind="base", strategy="none", steps=0, losses=[], scale=0, guard=None)
        confidence = dict.fromkeys(("explained", "token_probability", "least_probability"), 0.5)
        sigmas = dict.fromkeys(("sigma_0", "sigma_n", "sigma_inf"), 1.0)
        return Answer(
            id=request.id,
            repository="",
            path=request.path,
            line=request.line,
            column=request.column,
            completion=Text(text=text, tokens=1, mean_log_probability=-1, seconds=0),
            base=None,
            present="",
            confidence=Confidence(value=0.5, curve=[1.0], **confidence, **sigmas),
            adaptation=adaptation,
            evidence=[],
            candidates=0,
            skipped_files=0,
            model=hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest(),
            device="cpu",
            seed=0,
            trigger=request.trigger,
            seconds={},
        )

    async def add_workspace(self, request: Any) -> None:
        pass

    async def feedback(self, request: Any) -> None:
        pass

    async def hint(self, request: Any) -> None:
        pass

    async def close(self) -> None:
        pass


if __name__ == "__main__":
    source, sink = greet(os.fdopen(os.dup(0), "rb"), sys.stdout.buffer)
    serve(VicinalServer(EchoSession), source, sink)  # type: ignore[arg-type]
