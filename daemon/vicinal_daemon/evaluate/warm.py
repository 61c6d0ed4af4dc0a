"""The repository's own adapter for an evaluation: trained here, on nothing that a task hides.

Owns what it must not see. How it is chosen, trained and judged is what the daemon does when the machine is idle.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vicinal_daemon.background.choose import WarmOrder, warm_order
from vicinal_daemon.background.lesson import SAMPLE, WORN, codes, tuning_digest
from vicinal_daemon.complete import tuning_settings
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.tasks import Task
from vicinal_daemon.generate.prompt import first_tokens, headed
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.adapter_file import settings_digest
from vicinal_daemon.tune.files import read_adapter, write_adapter
from vicinal_daemon.tune.guard import Passage
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.run import TuningRun
from vicinal_daemon.tune.tuner import judge
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Region


def warm_adapter(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    index: RepositoryIndex,
    tasks: Sequence[Task],
    settings: Settings,
    folder: Path | None,
    on_step: Callable[[int, int], None],
) -> Adapter | None:
    """The warm adapter of what is indexed now, without the lines that `tasks` hide; None if its guard drops it.

    Args:
        folder: where it is kept for the next run; None keeps nothing. One that is there is the result of the same
            training, bit for bit, and is taken as it is.
    """
    order = _order(index, tasks, settings)
    studied = [[candidate.chunk.path, candidate.chunk.content_hash] for candidate in order.picks]
    key = settings_digest({"model": engine.name, "tuning": tuning_digest(settings), "studied": studied})
    file = folder / f"warm-{key}.safetensors" if folder is not None else None
    if file is not None and file.exists():
        kept = read_adapter(file)
        return kept if kept.scale > 0 else None
    texts, held_out = (
        [headed(code.path, code.language, code.text) for code in codes(part)] for part in (order.picks, order.held_out)
    )
    offsets, most = engine.codec.offsets, settings.tune.max_tokens
    warm = settings.warm
    tuning = replace(tuning_settings(settings), depth=warm.depth, learning_rate=warm.learning_rate)
    run = TuningRun(engine, wardrobe, texts, tuning)
    if not run.steps:
        return None
    try:
        while run.done < run.steps:
            on_step(run.done, run.steps)
            run.step()
        passages = [Passage(first_tokens(text, most, offsets), 0) for text in held_out]
        adapter, _ = judge(engine, wardrobe, run, passages, scales=WORN)
        if file is not None:
            write_adapter(adapter or Adapter(run.adapter().tensors, run.rank, 0.0), file, {})
    finally:
        wardrobe.dismiss(run)
    return adapter


def _order(index: RepositoryIndex, tasks: Sequence[Task], settings: Settings) -> WarmOrder:
    """What is studied, and what it is judged by: no hidden line is in any of it."""
    hidden = [Region(task.path, task.line, task.last_line) for task in tasks if not task.commit]
    sample = index.sample(SAMPLE, settings.seed)
    open_ones = [found for found in sample if not any(region.overlaps(found.chunk) for region in hidden)]
    return warm_order(open_ones, settings.warm.steps, settings.seed)
