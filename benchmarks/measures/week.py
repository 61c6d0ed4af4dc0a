"""A week of work in minutes: typing, saving, switching branches, sleeping; at the weekend the daemon is started anew.

Owns what is done and what is read off the processes at quiet moments. It does not know what is too much.
"""

import itertools
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from measures.house import House, Spot, daemon, package, quiet, ready, spots
from vicinal_daemon.client import Client
from vicinal_daemon.protocol.requests import (
    CompleteRequest,
    FeedbackRequest,
    HintRequest,
    IndexRequest,
    QueryRequest,
)
from vicinal_indexer.errors import VicinalError

WORKDAYS, RESTARTS = 5, 1
"""The first days are one life of the daemon; then it is started anew so many times."""

KEYS, KEYS_PER_SECOND = 24, 12
IDLE_SECONDS = 2.5
BUDGET_MS = 250
FEWEST_SAMPLES = 8
MB = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """One quiet moment.

    Attributes:
        seconds: since the beginning of the week.
        life: of the daemon, from 0.
        keys: typed so far.
        daemon_mb, engine_mb: resident memory of the processes.
        handles, threads: of both together.
        disk_mb: of the data folder.
        latency_ms: the median of the answers since the last sample.
    """

    seconds: float
    life: int
    keys: int
    daemon_mb: float
    engine_mb: float
    handles: int
    threads: int
    disk_mb: float
    latency_ms: float


@dataclass
class Week:
    """What has been done, and what was seen."""

    samples: list[Sample] = field(default_factory=list)
    keys: int = 0
    answered: int = 0
    dropped: int = 0
    saves: int = 0
    switches: int = 0
    sleeps: int = 0
    failures: list[str] = field(default_factory=list)


def live(home: House, minutes: float, on_sample: Callable[[Sample], None] = lambda sample: None) -> Week:
    """Live the week: about so many minutes of it, and at least `FEWEST_SAMPLES` samples of the first life."""
    root = package("pygls", home.folder / "work")
    _two_branches(root)
    week, begun = Week(), time.monotonic()
    places = itertools.cycle(list(spots(root)))
    share = minutes * 60 / (WORKDAYS + RESTARTS)
    for life in range(1 + RESTARTS):
        until = begun + share * (WORKDAYS + life)
        with daemon(home) as client:
            ready(client, root)
            for turn in itertools.count():
                seen = sum(sample.life == life for sample in week.samples)
                if time.monotonic() >= until and seen >= (FEWEST_SAMPLES if life == 0 else 1):
                    break
                latencies = _session(client, next(places), week)
                _between(client, root, turn, week)
                sample = _sample(client, home, week, begun, life, latencies)
                week.samples.append(sample)
                on_sample(sample)
    return week


def _session(client: Client, spot: Spot, week: Week) -> list[float]:
    """Type what stands at a place, key by key, then save; returns the latencies in ms."""
    text = spot.right[1 : KEYS + 1] or "value = None"
    latencies: list[float] = []
    answer = None
    client.hint(HintRequest(workspace=str(spot.root), path=spot.path, line=spot.line, text=spot.left + spot.right))
    for number in range(1, len(text) + 1):
        due = time.monotonic() + 1 / KEYS_PER_SECOND
        request: CompleteRequest = spot.ask(text[:number], budget_ms=BUDGET_MS, trigger="automatic", client="soak")
        asked = time.perf_counter()
        week.keys += 1
        try:
            answer = client.complete(request)
        except VicinalError as error:
            week.dropped += 1
            week.failures.append(f"{type(error).__name__}: {error.message}")
            continue
        latencies.append((time.perf_counter() - asked) * 1e3)
        week.answered += 1
        time.sleep(max(0.0, due - time.monotonic()))
    if answer is not None:
        client.feedback(FeedbackRequest(id=answer.id, event="shown"))
        client.feedback(FeedbackRequest(id=answer.id, event=("accepted", "rejected")[week.saves % 2]))
    file = spot.root / spot.path
    # What stood there is replaced, so that the repository stays as large as it is.
    line = f"# saved {week.saves % 10}\n"
    before = file.read_text(encoding="utf-8")
    file.write_text(line + (before.partition("\n")[2] if before.startswith("# saved") else before), encoding="utf-8")
    week.saves += 1
    return latencies


def _between(client: Client, root: Path, turn: int, week: Week) -> None:
    """What is done between two spells of typing."""
    if turn % 3 == 1:
        branch = ("other", "main")[week.switches % 2]
        _git(root, "checkout", "-q", "-f", branch)
        week.switches += 1
        client.index(IndexRequest(root=str(root), action="wait"))
    if turn % 4 == 2:
        client.query(QueryRequest(workspace=str(root), text="where is a message written to the stream"))
    if turn % 5 == 3:
        time.sleep(IDLE_SECONDS)  # long enough for the warm adapter to be trained a little
        week.sleeps += 1
    quiet(client)


def _sample(client: Client, home: House, week: Week, begun: float, life: int, latencies: list[float]) -> Sample:
    serving = psutil.Process(client.connection.pid)
    family = list(_held(serving, *serving.children(recursive=True)))
    disk = sum(path.stat().st_size for path in (home.folder / "data").rglob("*") if path.is_file())
    return Sample(
        seconds=time.monotonic() - begun,
        life=life,
        keys=week.keys,
        daemon_mb=family[0][0] / MB,
        engine_mb=sum(resident for resident, _, _ in family[1:]) / MB,
        handles=sum(handles for _, handles, _ in family),
        threads=sum(threads for _, _, threads in family),
        disk_mb=disk / MB,
        latency_ms=statistics.median(latencies) if latencies else 0.0,
    )


def _held(*processes: psutil.Process) -> Iterator[tuple[int, int, int]]:
    """Bytes, handles and threads of each; one that has just ended (a `git` of the daemon's) holds nothing."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            handles = process.num_fds() if os.name == "posix" else process.num_handles()
            yield process.memory_info().rss, handles, process.num_threads()


def _two_branches(root: Path) -> None:
    """`main`, and `other`, where every fifth file has more in it."""
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", ".")
    _git(root, "commit", "-qm", "main")
    _git(root, "checkout", "-qb", "other")
    for number, file in enumerate(sorted(root.rglob("*.py"))):
        if number % 5 == 0:
            file.write_text(file.read_text(encoding="utf-8") + f"\n\ndef of_the_branch_{number}():\n    return None\n")
    _git(root, "commit", "-qam", "other")
    _git(root, "checkout", "-q", "main")


def _git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=soak", "-c", "user.email=soak@invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, stdout=subprocess.DEVNULL)
