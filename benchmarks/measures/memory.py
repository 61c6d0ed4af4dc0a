"""The memory of the server while somebody types, minute after minute."""

import itertools
import time

import psutil

from measures.editor import close, functions, serving, typed
from measures.house import House, daemon, package, ready
from measures.table import Row, Rows, short, slope

MB = 1e6
MOST_KEYS = 300
SETTLED = 0.2
"""The share of the time after which growth is looked at: what is loaded when first needed is there by then."""


def measure(home: House, minutes: float) -> Rows:
    root = package("rich", home.folder / "rich")
    times: list[float] = []
    sizes: list[float] = []
    keys = 0
    with daemon(home) as client:
        ready(client, root)
        with serving(home, root, minConfidence=0) as editor:  # what is shown is kept, so all is shown
            process = psutil.Process(editor.process.pid)
            begun = time.perf_counter()
            until = begun + minutes * 60
            for function in itertools.cycle(functions(root)):
                for _ in typed(editor, function, MOST_KEYS):
                    times.append(time.perf_counter() - begun)
                    sizes.append(process.memory_info().rss / MB)
                    keys += 1
                    if time.perf_counter() >= until:
                        break
                close(editor, function)
                if time.perf_counter() >= until:
                    break
    later = [(at / 3600, size) for at, size in zip(times, sizes, strict=True) if at >= SETTLED * times[-1]]
    growth = slope([at for at, _ in later], [size for _, size in later])
    what = f"memory of the server (RSS), {minutes:g} minutes, {keys} keys"
    told = f"start {short(sizes[0])} MB, end {short(sizes[-1])} MB, peak {short(max(sizes))} MB"
    yield Row(what, "< 80 MB after an hour", told)
    yield Row("… growth after the first fifth of it", "", f"{short(growth)} MB an hour")
