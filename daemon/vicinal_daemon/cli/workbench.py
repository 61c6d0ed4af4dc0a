"""What the commands that run the model have in common: an index that is up to date, and an engine.

Owns the order in which they are opened, so that each failure comes before the slow work behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.cli.indexes import open_index, shown_by
from vicinal_daemon.config import Settings
from vicinal_daemon.generate import opening
from vicinal_daemon.generate.engine import Engine
from vicinal_daemon.models import ModelFiles, resolve
from vicinal_daemon.stages import OnStage, Stopwatch
from vicinal_indexer.errors import InputError
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SyncReport


@dataclass(frozen=True)
class Workbench:
    """Everything open and ready."""

    root: Path
    settings: Settings
    index: RepositoryIndex
    sync: SyncReport
    engine: Engine


@contextmanager
def open_workbench(root: Path, settings: Settings, watch: Stopwatch, on_stage: OnStage) -> Iterator[Workbench]:
    """Find the model, bring the index up to date, load the model.

    Raises:
        VicinalError: any of them cannot be had; nothing of the user's was changed.
    """
    files = resolve(settings.model.name, settings.model.cache_dir)

    with open_index(root, settings) as index:
        with watch.stage("index"):
            report = index.sync(shown_by(on_stage))
        if report.chunks == 0:
            raise InputError(
                f"nothing in {root} can be indexed",
                hint="is this the right folder? `vicinal status --skipped` lists what was left out, and why",
            )
        on_stage("load", 0, 0)
        with watch.stage("load"):
            engine = open_engine(files, settings)
        yield Workbench(root, settings, index, report, engine)


def open_engine(files: ModelFiles, settings: Settings) -> Engine:
    """Load the model into the engine that the settings name.

    Raises:
        ModelError: that engine cannot run this model; nothing else is tried in its place.
    """
    model = settings.model
    return opening.open_engine(
        files.transformers_dir,
        files.gguf,
        name=files.name,
        engine=model.engine,
        device=model.device,
        depth=settings.tune.depth,
    )
