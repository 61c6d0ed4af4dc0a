"""A trial for the eye: one hidden line, completed before and after, and its bits per byte.

Owns what `vicinal demo` measures at one place. Choosing places and scoring are `tasks` and `reading`.
"""

from dataclasses import asdict, dataclass
from typing import Any

from vicinal_daemon.complete import adapt, prompt_for
from vicinal_daemon.config import Settings
from vicinal_daemon.evaluate.reading import Reader
from vicinal_daemon.evaluate.tasks import Corpus, Task, sample_lines
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.neighbourhood import chosen, find_candidates
from vicinal_daemon.stages import OnStage
from vicinal_daemon.tune.lora import applied
from vicinal_indexer.index import RepositoryIndex

SHOWN_LINES = 6


@dataclass(frozen=True, slots=True)
class Trial:
    """What the model said about a hidden line.

    Attributes:
        before: the last lines that the model saw of the file.
        base_bits, tuned_bits: bits per byte of the truth: by the base model, which sees this file only, and by
            the whole method.
    """

    path: str
    line: int
    before: str
    truth: str
    base: str
    tuned: str
    base_bits: float
    tuned_bits: float
    steps: int
    scale: float
    studied: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def trial_tasks(index: RepositoryIndex, count: int, seed: int) -> list[Task]:
    """Places of one line each, chosen by seed."""
    return sample_lines(Corpus(dict(index.texts())), count, seed)


def run_trial(
    engine: TransformersEngine,
    index: RepositoryIndex,
    task: Task,
    settings: Settings,
    on_stage: OnStage,
    remembered: Remembered | None,
) -> Trial:
    """Complete and score one place with the base model and with the whole method.

    Args:
        remembered: the repository's tokens, see `complete.remember`.
    """
    target, reader = task.target, Reader(engine, settings)
    offsets = engine.codec.offsets
    chunks = find_candidates(index, offsets, target, settings)
    choice = chosen(index, chunks, offsets, target, settings, settings.select.strategy)
    snippets = choice.snippets(settings.prompt.picks)
    bare, full = prompt_for(target, [], engine, settings), prompt_for(target, snippets, engine, settings)
    on_stage("base", 0, 0)
    base_bits = reader.read("base", bare, task.truth).bits
    base = reader.write("base", bare, target).shown
    steps = choice.steps(settings)
    tuned = adapt(engine, choice, full, settings, on_step=lambda done, total, loss: on_stage("tune", done, steps))
    on_stage("generate", 0, 0)
    memory = remembered.at(task.path, target.left, target.right) if remembered is not None else None
    with applied(engine, tuned.adapter):
        tuned_bits = reader.read("tuned", full, task.truth, memory).bits
        answer = reader.write("tuned", full, target, memory).shown
    return Trial(
        path=task.path,
        line=task.line,
        before="\n".join(task.left.removesuffix("\n").split("\n")[-SHOWN_LINES:]),
        truth=task.truth,
        base=base.strip("\n"),
        tuned=answer.strip("\n"),
        base_bits=base_bits,
        tuned_bits=tuned_bits,
        steps=len(tuned.losses),
        scale=tuned.adapter.scale if tuned.adapter else 0.0,
        studied=tuple(f"{chunk.path}:{chunk.start_line}" for chunk in snippets),
    )
