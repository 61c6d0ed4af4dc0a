"""What the server adds to an answer that the daemon has at hand: asked for directly, and through it."""

import time

from measures.editor import serving
from measures.house import House, daemon, one_a_file, package, quiet, ready
from measures.table import Row, Rows, median, milliseconds, short

FULLY_MS = 600_000
"""A budget in which everything is tuned first, so that nothing goes on behind the answer."""


def measure(home: House, count: int) -> Rows:
    root = package("rich", home.folder / "rich")
    direct: list[float] = []
    through: list[float] = []
    with daemon(home) as client:
        ready(client, root)
        with serving(home, root, alternatives=0, budgetInvokedMs=FULLY_MS, hints=False) as editor:
            editor.patience = 600
            for spot in one_a_file(root):
                request = spot.ask(client="direct", budget_ms=FULLY_MS)
                uri = editor.open(root / spot.path, spot.left + spot.right)
                client.complete(request)
                editor.inline(uri, len(spot.left)).result()
                quiet(client)
                told = len(editor.told("vicinal/answer"))
                while len(direct) < count:
                    begun = time.perf_counter()
                    answer = client.complete(request)
                    between = time.perf_counter()
                    reply = editor.inline(uri, len(spot.left))
                    reply.result()
                    if not answer.typed_ahead:
                        break  # the model said nothing here
                    direct.append(between - begun)
                    through.append(editor.came[reply.number] - between)
                if any(not one["typedAhead"] for one in editor.told("vicinal/answer")[told:]):
                    direct.clear(), through.clear()  # the daemon did not have it at hand for the server
                if len(direct) >= count:
                    break
    if not direct:
        raise SystemExit("the daemon had no answer at hand; nothing was measured")
    yield Row(f"an answer at hand, asked of the daemon ({len(direct)})", "", milliseconds(direct, (50, 95)))
    yield Row("… the same through the server", "", milliseconds(through, (50, 95)))
    added = [after - before for before, after in zip(direct, through, strict=True)]
    yield Row("… difference of the medians", "", f"{short((median(through) - median(direct)) * 1e3)} ms")
    yield Row("overhead of the server, pair by pair", "p95 < 3 ms", milliseconds(added, (50, 95)))
