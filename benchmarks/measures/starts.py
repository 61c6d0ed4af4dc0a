"""How long an editor waits for the server's first word, beside what Python and pygls alone take."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from measures.editor import Clocked
from measures.house import House
from measures.table import Row, Rows, milliseconds

OTHERS = {"python -c pass": "pass", "python -c 'import pygls.lsp.server'": "import pygls.lsp.server"}


def measure(home: House, count: int) -> Rows:
    first: list[float] = []
    second: list[float] = []

    def server() -> None:
        begun = time.perf_counter()
        with Clocked(home) as editor:
            ask = {"processId": None, "rootUri": None, "capabilities": {}}
            greeting = editor.request("initialize", ask)
            greeting.result()
            farewell = editor.request("shutdown", None)
            farewell.result()
            editor.notify("exit", None)
            editor.process.wait(60)
            first.append(editor.came[greeting.number] - begun)
            second.append(editor.came[farewell.number] - begun)

    others: dict[str, list[float]] = {name: [] for name in OTHERS}
    todo: list[Callable[[], None]] = [server, *(_python(code, others[name]) for name, code in OTHERS.items())]
    for number in range(count + 1):  # the first round fills the disk's cache and is not counted
        for each in todo:
            each()
        if number == 0:
            for times in (first, second, *others.values()):
                times.clear()
    yield Row(f"server start to `initialize` answered ({count})", "< 300 ms", milliseconds(first, (50, 95)))
    yield Row("… to the next request answered", "", milliseconds(second, (50, 95)))
    for name, times in others.items():
        yield Row(f"… beside it `{name}`", "", milliseconds(times, (50, 95)))


def _python(code: str, times: list[float]) -> Callable[[], None]:
    def run() -> None:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
        times.append(time.perf_counter() - begun)

    return run
