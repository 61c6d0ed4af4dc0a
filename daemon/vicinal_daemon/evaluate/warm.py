"""The repository's own adapter for an evaluation: trained here, on nothing that a task hides.

Owns what it must not see. How it is chosen, trained and judged is what the daemon does when the machine is idle.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vicinal_daemon.background.choose import WarmOrder, warm_order
from vicinal_daemon.background.lesson import SAMPLE, codes, training_digest
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
from vicinal_indexer.types import Candidate, Region


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
        folder: where what was learned is kept for the next run; None keeps nothing. One that is there is the result of
            the same training, bit for bit. How much of it is worn is judged each time.
    """
    order = _order(index, tasks, settings)
    studied = [[candidate.chunk.path, candidate.chunk.content_hash] for candidate in order.picks]
    key = settings_digest({"model": engine.name, "tuning": training_digest(settings), "studied": studied})
    file = folder / f"warm-{key}.safetensors" if folder is not None else None
    if file is not None and file.exists():
        learned: Adapter | None = read_adapter(file)
    else:
        learned = _trained(engine, wardrobe, order, settings, on_step)
        if learned is not None and file is not None:
            write_adapter(learned, file, {})
    if learned is None:
        return None
    held_out, most = _texts(order.held_out), settings.tune.max_tokens
    passages = [Passage(first_tokens(text, most, engine.codec.offsets), 0) for text in held_out]
    return judge(engine, wardrobe, learned, passages, most=settings.warm.scale)[0]


def _trained(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    order: WarmOrder,
    settings: Settings,
    on_step: Callable[[int, int], None],
) -> Adapter | None:
    """All of what there is to learn; None if that is nothing."""
    warm = settings.warm
    tuning = replace(tuning_settings(settings), depth=warm.depth, learning_rate=warm.learning_rate, momentum=None)
    run = TuningRun(engine, wardrobe, _texts(order.picks), tuning)
    try:
        while run.done < run.steps:
            on_step(run.done, run.steps)
            run.step()
        return run.adapter() if run.steps else None
    finally:
        wardrobe.dismiss(run)


def _texts(candidates: Sequence[Candidate]) -> list[str]:
    return [headed(code.path, code.language, code.text) for code in codes(candidates)]


def _order(index: RepositoryIndex, tasks: Sequence[Task], settings: Settings) -> WarmOrder:
    """What is studied, and what it is judged by: no hidden line is in any of it."""
    hidden = [Region(task.path, task.line, task.last_line) for task in tasks if not task.commit]
    sample = index.sample(SAMPLE, settings.seed)
    open_ones = [found for found in sample if not any(region.overlaps(found.chunk) for region in hidden)]
    return warm_order(open_ones, settings.warm.steps, settings.seed)
