"""A function typed at 5 keys/s: how long after a key its answer comes, beside what the model itself took for it."""

from collections import Counter
from dataclasses import dataclass

from measures.editor import Clocked, Function, Key, close, functions, serving, typed
from measures.house import House, daemon, package, quiet, ready
from measures.table import Row, Rows, median, milliseconds, short
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.state import RecentAnswer
from vicinal_lsp.settings import LspSettings

BUDGET_MS = 60_000
MOST_KEYS = 150
"""Of one function."""
LOOK_EVERY = 10
"""Keys; the daemon tells the stages of its last 20 answers."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that the model wrote after a key: seconds to the reply, and of them the model's own."""

    seconds: float
    model: float


def measure(home: House, most: int) -> Rows:
    root = package("rich", home.folder / "rich")
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    cached: list[float] = []
    written: list[Answered] = []
    with daemon(home) as client:
        ready(client, root)
        with serving(home, root, minConfidence=0.0, alternatives=0, budgetInvokedMs=BUDGET_MS) as editor:
            editor.patience = 600
            for function in functions(root):
                left = most - counts["keys"]
                if left <= 0:
                    break
                keys, recent = _type(editor, client, function, min(left, MOST_KEYS))
                _sort(editor, function, keys, recent, counts, kinds, cached, written)
                close(editor, function)
    yield Row(
        f"keys typed at 5/s ({counts['keys']})",
        "",
        ", ".join(f"{n} {what}" for what, n in counts.items() if what != "keys"),
    )
    yield Row("… adapters behind the answers of the model", "", ", ".join(f"{n} {k}" for k, n in kinds.items()))
    yield Row("key to answer from what was typed ahead", "", milliseconds(cached, (50, 95)))
    if not written:
        yield Row("key to answer of the model", "p50 ≤ 1.2 x the model's own", "none came before the next key")
        return
    debounce = LspSettings().debounce_ms / 1e3
    ratio = [one.seconds / one.model for one in written]
    rested = [(one.seconds - debounce) / one.model for one in written]
    yield Row(
        f"key to answer of the model ({len(written)})", "", milliseconds([one.seconds for one in written], (50, 95))
    )
    yield Row("… of it the model's own reading and writing", "", milliseconds([one.model for one in written], (50, 95)))
    yield Row("key to answer, to the model's own time", "p50 ≤ 1.2", f"p50 {short(median(ratio))}")
    yield Row(f"… without the {debounce * 1e3:.0f} ms of debounce", "", f"p50 {short(median(rested))}")


def _type(editor: Clocked, client: Client, function: Function, most: int) -> tuple[list[Key], dict[str, RecentAnswer]]:
    """The keys, and the daemon's answers by id. The adapter is ready: the place is tuned before the first key."""
    uri = editor.open(function.path, function.left + function.right)
    editor.inline(uri, len(function.left)).result()
    quiet(client)  # what was tuned behind the answer, too
    close(editor, function)
    keys: list[Key] = []
    recent: dict[str, RecentAnswer] = {}
    for key in typed(editor, function, most):
        keys.append(key)
        if len(keys) % LOOK_EVERY == 0:
            recent |= {answer.id: answer for answer in client.status().answers}
    editor.until(lambda: all(key.request in editor.came for key in keys))
    return keys, recent | {answer.id: answer for answer in client.status().answers}


def _sort(
    editor: Clocked,
    function: Function,
    keys: list[Key],
    recent: dict[str, RecentAnswer],
    counts: Counter[str],
    kinds: Counter[str],
    cached: list[float],
    written: list[Answered],
) -> None:
    uri = function.path.as_uri()
    told = {one["version"]: one for one in editor.told("vicinal/answer") if one["uri"] == uri}
    for key in keys:
        counts["keys"] += 1
        seconds = editor.came[key.request] - key.at
        answer = told.get(key.version)
        if answer is None and not editor.offered[key.request]:
            counts["superseded or not asked"] += 1
        elif answer is None or answer["typedAhead"]:
            counts["typed ahead"] += 1
            cached.append(seconds)
        else:
            counts["answered by the model"] += 1
            kinds[answer["adaptation"]["kind"]] += 1
            stages = recent[answer["id"]].seconds if answer["id"] in recent else {}
            model = stages.get("read", 0.0) + stages.get("write", 0.0)
            if model > 0:
                written.append(Answered(seconds, model))
            else:
                counts["of these without the model's times"] += 1
