"""What the commands that run the model have in common: an index that is up to date, and an engine.

Owns the order in which they are opened, so that each failure comes before the slow work behind it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.cli.indexes import open_index, shown_by
from vicinal_daemon.config import Settings
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.device import use_threads
from vicinal_daemon.generate.engine import Engine
from vicinal_daemon.generate.opening import LlamaFiles, open_llama
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.models import ModelFiles, resolve
from vicinal_daemon.models.layout import llama_folder
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
    """Load the model for one command: into the engine that can be tuned, unless llama.cpp is asked for by name.

    Raises:
        ModelError: that engine cannot run this model; nothing else is tried in its place.
    """
    model, folder = settings.model, files.transformers_dir
    use_threads(model.threads)
    if model.engine != "llama":
        return TransformersEngine(folder, model.device, files.name, settings.tune.depth, model.precision)
    copies = llama_folder(model.cache_dir, files.fingerprint)
    found = LlamaFiles(files.gguf, copies, model.llama_copy) if files.gguf is not None else None
    return open_llama(found, folder, files.name, Codec(folder))
