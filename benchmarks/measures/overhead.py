"""What the server adds to an answer that the daemon has at hand: asked for directly, and through it."""

import time

from measures.editor import serving
from measures.house import House, daemon, one_a_file, package, quiet, ready
from measures.table import Row, Rows, median, milliseconds, short
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.requests import CompleteRequest
from vicinal_lsp.scripted import Editor

BUDGET_MS = 60_000
TRIES = 5
"""At one place: an answer is at hand once nothing better is being made behind it."""


def measure(home: House, count: int) -> Rows:
    root = package("rich", home.folder / "rich")
    direct: list[float] = []
    through: list[float] = []
    with daemon(home) as client:
        ready(client, root)
        with serving(home, root, alternatives=0, maxLines=1, budgetInvokedMs=BUDGET_MS, hints=False) as editor:
            editor.patience = 600
            for spot in one_a_file(root):
                request = spot.ask(client="direct", budget_ms=BUDGET_MS, lines=1)
                uri = editor.open(root / spot.path, spot.left + spot.right)
                if not _at_hand(client, editor, request, uri, len(spot.left)):
                    continue
                for _ in range(count):
                    begun = time.perf_counter()
                    client.complete(request)
                    between = time.perf_counter()
                    reply = editor.inline(uri, len(spot.left))
                    reply.result()
                    direct.append(between - begun)
                    through.append(editor.came[reply.number] - between)
                if not all(one["typedAhead"] for one in editor.told("vicinal/answer")[-count:]):
                    raise SystemExit("the daemon did not have the answer at hand; nothing was measured")
                break
    yield Row(f"an answer at hand, asked of the daemon ({len(direct)})", "", milliseconds(direct, (50, 95)))
    yield Row("… the same through the server", "", milliseconds(through, (50, 95)))
    added = [after - before for before, after in zip(direct, through, strict=True)]
    yield Row("… difference of the medians", "", f"{short((median(through) - median(direct)) * 1e3)} ms")
    yield Row("overhead of the server, pair by pair", "p95 < 3 ms", milliseconds(added, (50, 95)))


def _at_hand(client: Client, editor: Editor, request: CompleteRequest, uri: str, offset: int) -> bool:
    """Ask both ways until the daemon has the answer at hand for both; not so where the model says nothing."""
    for _ in range(TRIES):
        answer = client.complete(request)
        editor.inline(uri, offset).result()
        if answer.typed_ahead and editor.told("vicinal/answer")[-1]["typedAhead"]:
            return True
        quiet(client)
    return False
