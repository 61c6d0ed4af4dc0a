"""A language server whose daemon says what a file tells it to: `python scripted_server.py FOLDER`.

`FOLDER/script.json` lists what is answered where: `{"behind": how the text before the cursor ends, "texts": [...]}`
and, if wanted, `confidence` and `evidence`. While there is a file `FOLDER/wait` nothing is answered. What the editor
sends goes to `FOLDER/journal`, as it came; what became of answers to `FOLDER/feedback`. The rest is the real server.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from vicinal_daemon.errors import RequestDropped
from vicinal_daemon.protocol import Answer
from vicinal_daemon.protocol.answers import Evidence, Finding, Findings
from vicinal_daemon.protocol.state import DaemonState, ModelState, QueueState
from vicinal_indexer import __version__
from vicinal_lsp.__main__ import standard
from vicinal_lsp.handshake import greet
from vicinal_lsp.news import READY
from vicinal_lsp.scripted import answer_to
from vicinal_lsp.server import VicinalServer
from vicinal_lsp.stdio import serve

FOLDER = Path(sys.argv[1])


class Noted:
    """A source that writes down what is read from it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._journal = (FOLDER / "journal").open("ab", buffering=0)

    def readline(self) -> bytes:
        return self._note(self._source.readline())

    def read(self, size: int) -> bytes:
        return self._note(self._source.read(size))

    def _note(self, data: bytes) -> bytes:
        self._journal.write(data)
        return data


class ScriptedSession:
    """As `Session`, without a daemon."""

    def __init__(self, on_status: Any, *more: Any, **others: Any) -> None:
        self._on_status = on_status
        self._repository = ""

    def begin(self) -> None:
        self._on_status(READY)

    async def complete(self, request: Any) -> Answer:
        left = "\n".join([*request.text.split("\n")[: request.line - 1], self._line(request)]).replace("\r", "")
        for entry in json.loads((FOLDER / "script.json").read_text("utf-8")):
            if left.endswith(entry["behind"]):
                while (FOLDER / "wait").exists():
                    await asyncio.sleep(0.02)
                texts = entry["texts"] if request.trigger == "invoked" else entry["texts"][:1]
                answer = answer_to(request, *texts)
                confidence = answer.confidence.model_copy(update={"value": entry.get("confidence", 0.9)})
                evidence = [
                    Evidence(share=0.7, steps=2, in_prompt=True, symbol="", **piece)
                    for piece in entry.get("evidence", [])
                ]
                more = {"confidence": confidence, "evidence": evidence, "repository": self._repository}
                return answer.model_copy(update=more)
        raise RequestDropped("nothing is written for this place")

    def _line(self, request: Any) -> str:
        line: str = request.text.split("\n")[request.line - 1]
        return line[: request.column - 1] if request.column is not None else line

    async def query(self, request: Any) -> Findings:
        found = Finding.model_validate(
            {"path": "order.py", "start_line": 1, "end_line": 2, "language": "python", "symbol": "price", "share": 0.8}
            | {"header": "", "text": "def price", "similarity": 0.5}
        )
        sigmas = {"sigma_0": 1.0, "sigma_n": 0.5, "sigma_inf": 0.4, "explained": 0.75, "coverable": 0.84}
        return Findings.model_validate(
            {"repository": self._repository, "question": request.text, "parts": [], "strategy": "sift"}
            | {"findings": [found], "candidates": 1, "thin": False, "unknown_words": [], "answer": None, **sigmas}
        )

    async def status(self) -> DaemonState:
        model = ModelState(name="scripted", state="ready", engine="none")
        queue = QueueState.model_construct(running="", waiting=0)
        state = {"vicinal": __version__, "pid": 1, "started": 0.0, "address": "", "memory_bytes": 0}
        return DaemonState.model_construct(
            **state, model=model, workspaces=[], queue=queue, adapters=3, adapter_bytes=0, answers=[]
        )

    async def add_workspace(self, request: Any) -> None:
        self._repository = request.root

    async def feedback(self, request: Any) -> None:
        with (FOLDER / "feedback").open("a", encoding="utf-8") as told:
            told.write(request.model_dump_json() + "\n")

    async def hint(self, request: Any) -> None:
        pass

    async def close(self) -> None:
        pass


if __name__ == "__main__":
    source, sink = standard()
    replayed, answered = greet(Noted(source), sink)  # type: ignore[arg-type]
    serve(VicinalServer(ScriptedSession), replayed, answered)  # type: ignore[arg-type]
