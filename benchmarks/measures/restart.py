"""How soon a daemon serves again that has a large repository open."""

import shutil
import sysconfig
import threading
import time
from pathlib import Path

from corpus import copy_corpus

from measures.house import House, Sizes, daemon, quiet, ready, wait_for
from measures.table import Row, Rows, median, short
from vicinal_daemon.client import Client, find, start, stop
from vicinal_daemon.protocol.requests import QueryRequest

QUESTION = "where is the configuration read from a file, and how are wrong values reported?"


def again(home: House, root: Path) -> dict[str, float]:
    """Start a daemon; seconds from there to each thing that it can do."""
    begun = time.perf_counter()
    connection = start(home.settings)
    took = {"healthz": time.perf_counter() - begun}
    try:
        with Client(connection) as client:
            failures: list[BaseException] = []

            def ask() -> None:
                try:
                    client.query(QueryRequest(workspace=str(root), text=QUESTION))
                    took["query"] = time.perf_counter() - begun
                except BaseException as error:  # noqa: BLE001 - raised again below
                    failures.append(error)

            thread = threading.Thread(target=ask)
            thread.start()
            waited = {
                "workspace": lambda state: any(w.root == str(root) and w.state == "ready" for w in state.workspaces),
                "model": lambda state: state.model.state == "ready",
            }
            while waited:
                state = wait_for(client, lambda state: any(holds(state) for holds in waited.values()))
                for name in [name for name, holds in waited.items() if holds(state)]:
                    took[name] = time.perf_counter() - begun
                    del waited[name]
            thread.join()
            if failures:
                raise failures[0]
            quiet(client)
    finally:
        if find(home.settings):
            stop(connection)
    return took


def measure(home: House, sizes: Sizes, corpus: Path | None) -> Rows:
    root = corpus.resolve() if corpus else home.folder / "corpus"
    if corpus is None:
        copy_corpus(Path(sysconfig.get_path("purelib")), root, sizes.files)
    with daemon(home) as client:
        begun = time.perf_counter()
        ready(client, root)
        indexed = time.perf_counter() - begun
        state = next(w for w in client.status().workspaces if w.root == str(root))
    found = [again(home, root) for _ in range(sizes.restarts)]
    if corpus is None:
        shutil.rmtree(root)
    yield Row(f"first index of {state.files:,} files, {state.chunks:,} chunks, by the daemon", "", f"{indexed:.0f} s")
    for name, words, goal in (
        ("healthz", "restart -> /healthz answers", "2 s"),
        ("query", "… -> first query answered, no scan waited for", ""),
        ("workspace", "… -> workspace scanned and ready", ""),
        ("model", "… -> model ready", ""),
    ):
        times = [one[name] for one in found]
        yield Row(f"{words} (median of {len(times)})", goal, f"{median(times):.2f} s, at most {short(max(times))} s")
