"""Progress on the terminal: one bar a stage, on stderr, gone when the work is done.

Owns how stages are named to people. Stdout stays free for results.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vicinal_daemon.stages import OnStage

_NAMES = {
    "wait": "waiting for the vicinal that is indexing",
    "scan": "looking at files",
    "index": "indexing files",
    "optimize": "compacting the index",
    "load": "loading the model",
    "candidates": "finding candidates",
    "base": "completing without adaptation",
    "tune": "studying the picks",
    "memory": "remembering the repository",
    "generate": "completing",
    "answer": "writing an answer",
    "places": "places",
    "map": "asking the repository about itself",
    "search": "searching for what is left",
    "forget": "forgetting",
    "bits": "letting the model read",
    "requests": "answering the request, again and again",
    "rates": "measuring this machine",
    "tasks": "choosing tasks",
    "settings": "trying settings",
    "warm": "training the repository's own adapter",
    "download": "downloading",
    "verify": "verifying",
    "unpack": "unpacking",
    "dequantise": "dequantising",
}


@contextmanager
def stages() -> Iterator[OnStage]:
    """An `OnStage` that draws; a stage that is called again moves its bar."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    ) as progress:
        bars: dict[str, TaskID] = {}
        current = ""

        def show(stage: str, done: int, total: int) -> None:
            nonlocal current
            if stage not in bars:
                bars[stage] = progress.add_task(_NAMES.get(stage, stage), total=total or None)
                if not console.is_terminal:
                    console.print(f"... {_NAMES.get(stage, stage)}")
            if current and current != stage:
                progress.stop_task(bars[current])
            current = stage
            progress.update(bars[stage], completed=done, total=total or None)

        yield show
