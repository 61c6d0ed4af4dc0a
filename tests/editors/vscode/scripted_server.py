"""A language server whose daemon says what a script says: `python scripted_server.py SCRIPT lsp ...`.

The script is JSON: `rules`, a list. The first whose `after` is what stands before the cursor answers: its `texts`, and
what else it has of `confidence`, `evidence` (path, line, end, symbol, share), `reasons`; or its `status` is told.
It is read anew at each request. What the client tells of its offers is appended to SCRIPT.told, a line of JSON each.
"""

import json
import sys
from pathlib import Path
from typing import Any

from vicinal_daemon.protocol.answers import Adaptation, Answer, Evidence, Reason
from vicinal_lsp.__main__ import standard
from vicinal_lsp.handshake import greet
from vicinal_lsp.news import READY, Status
from vicinal_lsp.scripted import answer_to
from vicinal_lsp.server import VicinalServer
from vicinal_lsp.stdio import serve

SCRIPT = Path(sys.argv[1])
Json = dict[str, Any]


class ScriptedSession:
    """As `Session`, without a daemon."""

    def __init__(self, on_status: Any, *told: Any, **more: Any) -> None:
        self._on_status = on_status

    def begin(self) -> None:
        self._on_status(READY)

    async def complete(self, request: Any) -> Answer:
        lines = request.text.split("\n")
        before = "\n".join([*lines[: request.line - 1], lines[request.line - 1][: request.column - 1]])
        rules = json.loads(SCRIPT.read_text())["rules"]
        rule: Json = next((rule for rule in rules if before.endswith(rule["after"])), {})
        if "status" in rule:
            self._on_status(Status(*rule["status"]))
        answer = answer_to(request, *rule.get("texts", ("",)))
        sure = rule.get("confidence", 0.62)
        reasons = [Reason(kind="unlearned", text=text) for text in rule.get("reasons", ())]
        evidence = [
            Evidence(path=path, start_line=line, end_line=end, symbol=symbol, share=share, steps=2, in_prompt=True)
            for path, line, end, symbol, share in rule.get("evidence", ())
        ]
        return answer.model_copy(
            update={
                "repository": str(request.workspace or ""),
                "confidence": answer.confidence.model_copy(update={"value": sure, "reasons": reasons}),
                "adaptation": Adaptation(
                    kind="fresh", strategy="sift", steps=8, losses=[1.0] * 8, scale=1.0, guard=None
                ),
                "evidence": evidence,
                "model": "scripted",
            }
        )

    async def add_workspace(self, request: Any) -> None:
        pass

    async def feedback(self, request: Any) -> None:
        with SCRIPT.with_suffix(".told").open("a") as told:
            told.write(request.model_dump_json() + "\n")

    async def hint(self, request: Any) -> None:
        pass

    async def cancel(self, identity: str) -> None:
        pass

    async def close(self) -> None:
        pass


if __name__ == "__main__":
    source, sink = greet(*standard())
    serve(VicinalServer(ScriptedSession), source, sink)  # type: ignore[arg-type]
