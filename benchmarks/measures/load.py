"""Many clients that type: what is answered, what is dropped, and whether memory grows."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import numpy as np
import psutil

from measures.house import PATIENCE_SECONDS, House, Sizes, Spot, daemon, one_a_file, package, ready
from measures.table import Row, Rows, milliseconds, short, slope
from vicinal_daemon.client import Connection

KEYS_PER_SECOND = 5
BUDGET_MS = 300


@dataclass
class Typist:
    """One client in one document, typing what really stands there; and what it was told."""

    name: str
    spot: Spot
    text: str
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    latest: str = ""
    late: float = 0.0
    """Seconds by which a key was at most late: whether this side could keep up."""

    async def type(self, http: httpx2.AsyncClient, keys: int) -> None:
        begun, tasks = time.perf_counter(), []
        for number in range(1, keys + 1):
            due = begun + number / KEYS_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.late = max(self.late, time.perf_counter() - due)
            tasks.append(asyncio.create_task(self._key(http, self.text[:number], last=number == keys)))
        await asyncio.gather(*tasks)

    async def _key(self, http: httpx2.AsyncClient, typed: str, *, last: bool) -> None:
        request = self.spot.ask(typed, client=self.name, budget_ms=BUDGET_MS, trigger="automatic")
        begun = time.perf_counter()
        try:
            response = await http.post("/v1/complete", content=request.model_dump_json().encode())
            told = json.loads(response.content)
        except (httpx2.HTTPError, ValueError) as error:
            outcome = repr(error)
        else:
            outcome = "answered" if response.is_success else str(told["error"]["type"])
            if response.is_success:
                self.times.append(time.perf_counter() - begun)
                self.kinds["typed ahead" if told["typed_ahead"] else told["adaptation"]["kind"]] += 1
        self.outcomes[outcome] += 1
        if last:
            self.latest = outcome


@dataclass
class Memory:
    """Resident bytes of daemon and engine, every second."""

    times: list[float] = field(default_factory=list)
    daemon: list[int] = field(default_factory=list)
    engine: list[int] = field(default_factory=list)


@contextmanager
def sampled(pid: int) -> Iterator[Memory]:
    memory, stop = Memory(), threading.Event()
    process = psutil.Process(pid)

    def run() -> None:
        while not stop.wait(1.0):
            children = 0
            for child in process.children(recursive=True):
                try:
                    children += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            memory.times.append(time.monotonic())
            memory.daemon.append(process.memory_info().rss)
            memory.engine.append(children)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


async def _type(connection: Connection, typists: list[Typist], keys: int) -> None:
    many = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
    transport = httpx2.AsyncHTTPTransport(uds=connection.socket, verify=False, trust_env=False, limits=many)
    headers = {"Content-Type": "application/json"}
    if connection.token:
        headers["Authorization"] = f"Bearer {connection.token}"
    base = "http://localhost" if connection.socket else connection.address
    async with httpx2.AsyncClient(
        transport=transport, base_url=base, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False
    ) as http:
        await asyncio.gather(*(typist.type(http, keys) for typist in typists))


def _typists(places: list[Spot], clients: int, keys: int) -> list[Typist]:
    """Each types, at its place, the code that stood there."""
    found = []
    for number in range(clients):
        spot = places[number * len(places) // clients]
        text, right = spot.right[:keys], spot.right[keys:]
        while len(text) < keys:  # the file is shorter: the user types it once more
            text += spot.left[: keys - len(text)]
        found.append(Typist(f"client {number}", Spot(spot.root, spot.path, spot.left, "\n" + right), text))
    return found


def measure(home: House, sizes: Sizes, seconds: float) -> Rows:
    root = package("rich", home.folder / "rich")
    keys = max(1, int(seconds * KEYS_PER_SECOND))
    with daemon(home) as client:
        ready(client, root)
        typists = _typists(one_a_file(root), sizes.clients, keys)
        begun = time.perf_counter()
        with sampled(client.connection.pid) as memory:
            asyncio.run(_type(client.connection, typists, keys))
        took = time.perf_counter() - begun
        restarts = client.status().model.restarts
    outcomes = sum((one.outcomes for one in typists), Counter[str]())
    kinds = sum((one.kinds for one in typists), Counter[str]())
    times = [second for one in typists for second in one.times]
    late = max(one.late for one in typists)
    others = {name: count for name, count in outcomes.items() if name not in ("answered", "superseded")}
    yield Row(
        f"load: {len(typists)} clients, {KEYS_PER_SECOND} keys/s, {seconds:g} s",
        "bounded",
        f"{outcomes.total():,} requests in {took:.0f} s: {outcomes['answered']:,} answered,"
        f" {outcomes['superseded']:,} superseded; a key was at most {late * 1e3:.0f} ms late",
    )
    yield Row("… errors but `superseded`; engine restarts", "0; 0", f"{others or 0}; {restarts}")
    answered = sum(one.latest == "answered" for one in typists)
    yield Row("… latest request of each document answered", "all", f"{answered} of {len(typists)}")
    yield Row("… answers by adaptation", "", ", ".join(f"{count:,} {name}" for name, count in kinds.most_common()))
    yield Row("… latency of the answered", "", milliseconds(times))
    for name, values in (("daemon", memory.daemon), ("engine and other children", memory.engine)):
        half = len(values) // 2
        last = np.array(values[half:] or [0]) / 1e6
        grows = slope(memory.times[half:], list(last)) * 60 if len(last) > 1 else 0.0
        yield Row(
            f"… memory of the {name}, last half",
            "no growth",
            f"{last[0]:,.0f} -> {last[-1]:,.0f} MB, {grows:+.1f} MB/min, max - min {short(float(np.ptp(last)))} MB",
        )
