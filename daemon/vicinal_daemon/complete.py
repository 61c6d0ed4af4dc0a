"""The pipeline: candidates -> select -> adapt -> generate -> score.

Owns how the rooms are joined, and nothing else: each stage is a function of its inputs, and the stages are
shared with `evaluate`. It does not know the command line, nor where settings came from.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vicinal_daemon import protocol
from vicinal_daemon.assemble import Learned, adaptation_of, confidence_of, evidence_of, text_of
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.engine import Cancelled, Engine, Generated, Recall
from vicinal_daemon.generate.post import Ending
from vicinal_daemon.generate.prompt import Prompt, headed, prompt_at
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.neighbourhood import Choice, chosen, clues_at, find_candidates
from vicinal_daemon.stages import OnStage, Stopwatch, silent
from vicinal_daemon.target import Target
from vicinal_daemon.tune.lora import Adapter, applied
from vicinal_daemon.tune.run import TuningSettings
from vicinal_daemon.tune.tuner import OnStep, Tuned, tune
from vicinal_daemon.uncertainty import Belief
from vicinal_daemon.worth import default_forecast, wanted
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import Chunk


def prompt_for(target: Target, snippets: Sequence[Chunk], engine: Engine, settings: Settings) -> Prompt:
    """The prompt of a target with some code from elsewhere in it."""
    return prompt_at(
        target.path,
        target.left,
        target.right,
        snippets,
        context_tokens=settings.prompt.context_tokens,
        snippet_tokens=settings.prompt.pick_tokens,
        offsets=engine.codec.offsets,
        fill_in_the_middle=engine.codec.fill_in_the_middle,
    )


def adapt(
    engine: TransformersEngine,
    choice: Choice,
    prompt: Prompt,
    settings: Settings,
    *,
    on_step: OnStep = lambda done, total, loss: None,
    cancelled: Cancelled = lambda: False,
    start: Adapter | None = None,
) -> Tuned:
    """Tune on the picks, in order, from the base or from `start`; guarded by the visible context of `prompt`."""
    examples = examples_of(choice, settings)
    return tune(engine, examples, prompt, tuning_settings(settings), on_step=on_step, cancelled=cancelled, start=start)


def examples_of(choice: Choice, settings: Settings) -> list[str]:
    """What is worth a step each, as it is studied, in order."""
    return [headed(c.path, c.language, c.text) for c in choice.picked()[: choice.steps(settings)]]


def tuning_settings(settings: Settings) -> TuningSettings:
    """The tuner's share of the settings."""
    tuning = settings.tune
    return TuningSettings(
        tuning.rank, tuning.learning_rate, tuning.max_tokens, tuning.guard, settings.seed, momentum=tuning.momentum
    )


def remember(index: RepositoryIndex, engine: Engine, settings: Settings) -> Remembered | None:
    """The repository's tokens; None where no memory is wanted."""
    if not settings.memory.enabled:
        return None
    remembered = Remembered(engine.codec)
    remembered.update(dict(index.sources()))
    return remembered


def write(
    engine: Engine,
    prompt: Prompt,
    target: Target,
    settings: Settings,
    cancelled: Cancelled = lambda: False,
    memory: Recall | None = None,
) -> tuple[str, Generated]:
    """The text to show at the cursor, and what was generated for it."""
    ending = Ending(target.lines, target.mid_line)
    most = settings.generate.max_tokens
    generated = engine.generate(prompt, ending.met, max_tokens=most, cancelled=cancelled, memory=memory)
    return ending.shown(generated.text, target.right), generated


def complete(
    target: Target,
    index: RepositoryIndex,
    engine: Engine,
    settings: Settings,
    *,
    repository: str,
    skipped_files: int,
    watch: Stopwatch,
    on_stage: OnStage = silent,
    cancelled: Cancelled = lambda: False,
    compare: bool = True,
    belief: Belief,
) -> protocol.Answer:
    """Answer one request on an index that is up to date; with `compare` the base model completes too.

    Args:
        belief: how sure this repository's answers are.

    Raises:
        VicinalError: the store or the model cannot be used.
    """
    strategy = settings.select.strategy
    on_stage("candidates", 0, 0)
    with watch.stage("candidates"):
        chunks = find_candidates(index, engine.codec.offsets, target, settings)
    with watch.stage("select"):
        choice = chosen(index, chunks, engine.codec.offsets, target, settings, strategy)
    steps = choice.steps(settings)
    # What a step costs on this machine is not known yet: only what is expected to do harm is left out.
    aim = wanted(default_forecast(), clues_at(choice, target), steps, price=0.0, step_seconds=0.0, prompt_seconds=0.0)
    snippets = choice.snippets(settings.prompt.picks) if aim.prompt else []
    prompt = prompt_for(target, snippets, engine, settings)

    base = None
    if compare:
        on_stage("base", 0, 0)
        with watch.stage("base"):
            base_text, written = write(engine, prompt_for(target, [], engine, settings), target, settings, cancelled)
        base = _text(base_text, written, watch.seconds["base"])

    tuned = Tuned(None, (), {}, (0.0, 0.0))
    if aim.steps:
        engine = tunable(engine)
        on_stage("tune", 0, aim.steps)
        tuned = adapt(
            engine,
            choice,
            prompt,
            settings,
            on_step=lambda done, total, loss: on_stage("tune", done, total),
            cancelled=cancelled,
        )
        watch.seconds["tune"], watch.seconds["guard"] = tuned.seconds

    on_stage("memory", 0, 0)
    with watch.stage("memory"):
        remembered = remember(index, engine, settings)
    on_stage("generate", 0, 0)
    with watch.stage("generate"), _wearing(engine, tuned.adapter):
        memory = remembered.at(target.path, target.left, target.right) if remembered is not None else None
        text, generated = write(engine, prompt, target, settings, cancelled, memory)
    scale = tuned.adapter.scale if tuned.adapter is not None else 0.0
    learned = Learned(len(tuned.losses), tuned.losses, tuned.context_loss, scale)
    return protocol.Answer(
        repository=repository,
        path=target.path,
        line=target.line,
        column=target.column,
        completion=_text(text, generated, watch.seconds["generate"]),
        base=base,
        present=target.hidden,
        confidence=confidence_of(
            belief,
            choice,
            text,
            generated.shown(text),
            first_entropy=generated.first_entropy,
            least_token=generated.least_sure(text),
        ),
        adaptation=adaptation_of("fresh", strategy, learned, aim=aim if chunks else None),
        evidence=evidence_of(choice, len(tuned.losses), len(snippets)),
        candidates=len(chunks),
        skipped_files=skipped_files,
        model=engine.name,
        device=engine.device_name,
        seed=settings.seed,
        seconds={name: round(value, 4) for name, value in watch.seconds.items()},
    )


def tunable(engine: Engine) -> TransformersEngine:
    """The engine as one that can be tuned.

    Raises:
        ModelUnusable: it cannot; nothing else is used in its place.
    """
    if not isinstance(engine, TransformersEngine):
        raise ModelUnusable(
            "in one command llama.cpp writes without tuning; the daemon does both",
            hint="start it with `vicinal daemon start`, or use --steps 0, or --engine transformers",
        )
    return engine


@contextmanager
def _wearing(engine: Engine, adapter: Adapter | None) -> Iterator[None]:
    if adapter is None:
        yield
    else:
        with applied(tunable(engine), adapter):
            yield


def _text(text: str, generated: Generated, seconds: float) -> protocol.Text:
    shown = generated.shown(text)
    return text_of(text, shown, generated.tokens, seconds, finished=generated.finished)
