"""The pipeline: candidates -> select -> adapt -> generate -> score.

Owns how the rooms are joined, and nothing else: each stage is a function of its inputs, and the stages are
shared with `evaluate`. It does not know the command line, nor where settings came from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from vicinal_daemon import protocol
from vicinal_daemon.config import Settings
from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.engine import Cancelled, Engine, Generated
from vicinal_daemon.generate.post import is_looping, lines_done, trim
from vicinal_daemon.generate.prompt import Prompt, build_prompt, headed, last_tokens
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.select import Selection, counted, lexical_kernel, select, term_counts
from vicinal_daemon.select.strategies import Strategy
from vicinal_daemon.stages import OnStage, Stopwatch, silent
from vicinal_daemon.target import Target
from vicinal_daemon.tune.lora import Adapter, applied
from vicinal_daemon.tune.tuner import OnStep, Tuned, TuningSettings, tune
from vicinal_daemon.uncertainty import Confidence, confidence
from vicinal_indexer import languages
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Chunk, Region

QUERY_LINES = 16
"""How many lines before the cursor ask the question (chosen on rich and peft: benchmarks/RESULTS.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What could be learned for a target, and what was chosen.

    Attributes:
        chunks: the candidates; `selection.picks` index into them.
    """

    chunks: tuple[Chunk, ...]
    selection: Selection

    def picked(self) -> list[Chunk]:
        """The picks in order, repeats included."""
        return [self.chunks[pick] for pick in self.selection.picks]

    def snippets(self, count: int) -> list[Chunk]:
        """The first `count` distinct picks, for the prompt."""
        return [self.chunks[pick] for pick in self.selection.distinct()[:count]]


def find_candidates(index: RepositoryIndex, engine: Engine, target: Target, settings: Settings) -> list[Chunk]:
    """Chunks around the cursor, by hybrid search; never what is completed, nor what the prompt shows anyway.

    Leaving out the visible context too keeps it held out: the guard judges an adapter by it.
    """
    visible = last_tokens(target.left, settings.prompt.context_tokens, engine.codec.offsets)
    first = target.left.count("\n") + 1 - visible.count("\n")
    region = Region(target.path, first, target.last_line)
    found = index.search(query_text(target), limit=settings.index.candidates, exclude=[region])
    return [candidate.chunk for candidate in found]


def query_text(target: Target) -> str:
    """The last lines before the cursor: what the neighbourhood is asked about."""
    return "\n".join(target.left.rstrip().split("\n")[-QUERY_LINES:])


def choose(chunks: Sequence[Chunk], target: Target, settings: Settings, strategy: Strategy) -> Choice:
    """Select what is worth learning.

    As many picks are made as the weights or the prompt can use, whichever is more.
    """
    kernel = lexical_kernel([term_counts(chunk.text) for chunk in chunks], [counted(subwords(query_text(target)))])
    selection = select(
        strategy,
        kernel,
        limit=max(settings.tune.steps, settings.prompt.picks),
        noise=settings.select.noise,
        adaptive_stop=settings.select.alpha,
    )
    return Choice(tuple(chunks), selection)


def prompt_for(target: Target, snippets: Sequence[Chunk], engine: Engine, settings: Settings) -> Prompt:
    """The prompt of a target with some code from elsewhere in it."""
    return build_prompt(
        snippets,
        target.path,
        languages.detect(target.path, target.left[:200]),
        target.left,
        target.right,
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
) -> Tuned:
    """Tune on the picks, in order, guarded by the visible context of `prompt`."""
    examples = [headed(c.path, c.language, c.text) for c in choice.picked()[: settings.tune.steps]]
    return tune(engine, examples, prompt, tuning_settings(settings), on_step=on_step, cancelled=cancelled)


def tuning_settings(settings: Settings) -> TuningSettings:
    """The tuner's share of the settings."""
    tuning = settings.tune
    return TuningSettings(tuning.rank, tuning.learning_rate, tuning.max_tokens, tuning.guard, settings.seed)


def write(
    engine: Engine, prompt: Prompt, target: Target, settings: Settings, cancelled: Cancelled = lambda: False
) -> tuple[str, Generated]:
    """The text to show at the cursor, and what was generated for it."""

    def stop(text: str) -> bool:
        return lines_done(text, target.lines, mid_line=target.mid_line) or is_looping(text)

    generated = engine.generate(prompt, stop, max_tokens=settings.generate.max_tokens, cancelled=cancelled)
    return trim(generated.text, target.right, target.lines, mid_line=target.mid_line), generated


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
) -> protocol.Answer:
    """Answer one request on an index that is up to date.

    Raises:
        VicinalError: the store or the model cannot be used.
    """
    strategy = settings.select.strategy
    on_stage("candidates", 0, 0)
    with watch.stage("candidates"):
        chunks = find_candidates(index, engine, target, settings)
    with watch.stage("select"):
        choice = choose(chunks, target, settings, strategy)
    snippets = choice.snippets(settings.prompt.picks)
    prompt = prompt_for(target, snippets, engine, settings)

    on_stage("base", 0, 0)
    with watch.stage("base"):
        base_prompt = prompt_for(target, [], engine, settings)
        base = _text(*write(engine, base_prompt, target, settings, cancelled), watch.seconds)

    tuned = Tuned(None, (), {}, (0.0, 0.0))
    steps = min(settings.tune.steps, len(choice.selection.picks))
    if steps:
        engine = tunable(engine)
        on_stage("tune", 0, steps)
        tuned = adapt(
            engine,
            choice,
            prompt,
            settings,
            on_step=lambda done, total, loss: on_stage("tune", done, total),
            cancelled=cancelled,
        )
        watch.seconds["tune"], watch.seconds["guard"] = tuned.seconds

    on_stage("generate", 0, 0)
    with watch.stage("generate"), _wearing(engine, tuned.adapter):
        text, generated = write(engine, prompt, target, settings, cancelled)
    shown = [p for (start, _), p in zip(generated.spans, generated.log_probabilities, strict=True) if start < len(text)]
    return protocol.Answer(
        repository=repository,
        path=target.path,
        line=target.line,
        column=target.column,
        completion=_text(text, generated, watch.seconds, stage="generate"),
        base=base,
        present=target.hidden,
        confidence=_confidence(confidence(choice.selection, shown), choice.selection),
        adaptation=_adaptation(tuned, strategy),
        evidence=_evidence(choice, len(tuned.losses), len(snippets)),
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
            "the llama.cpp engine cannot be tuned yet", hint="use --steps 0 with it, or --engine transformers"
        )
    return engine


@contextmanager
def _wearing(engine: Engine, adapter: Adapter | None) -> Iterator[None]:
    if adapter is None:
        yield
    else:
        with applied(tunable(engine).model, adapter):
            yield


def _text(text: str, generated: Generated, seconds: dict[str, float], stage: str = "base") -> protocol.Text:
    values = generated.log_probabilities
    return protocol.Text(
        text=text,
        tokens=len(values),
        mean_log_probability=sum(values) / len(values) if values else None,
        seconds=round(seconds.get(stage, 0.0), 4),
    )


def _confidence(score: Confidence, selection: Selection) -> protocol.Confidence:
    return protocol.Confidence(
        value=score.value,
        explained=score.explained,
        token_probability=score.token_probability,
        least_probability=score.least_probability,
        sigma_0=selection.sigma_0,
        sigma_n=selection.sigma_n,
        sigma_inf=selection.sigma_inf,
        curve=[variance**0.5 for variance in selection.variances],
    )


def _adaptation(tuned: Tuned, strategy: Strategy) -> protocol.Adaptation:
    loss = tuned.context_loss
    return protocol.Adaptation(
        kind="base" if tuned.adapter is None else "fresh",
        strategy=strategy,
        steps=len(tuned.losses),
        losses=list(tuned.losses),
        scale=tuned.adapter.scale if tuned.adapter is not None else 0.0,
        guard=protocol.Guard(base=loss[0.0], full=loss[1.0], half=loss[0.5]) if loss else None,
    )


def _evidence(choice: Choice, steps: int, in_prompt: int) -> list[protocol.Evidence]:
    shares: defaultdict[int, float] = defaultdict(float)
    for pick, share in zip(choice.selection.picks, choice.selection.shares, strict=True):
        shares[pick] += share
    trained = Counter(choice.selection.picks[:steps])
    return [
        protocol.Evidence(
            path=choice.chunks[pick].path,
            start_line=choice.chunks[pick].start_line,
            end_line=choice.chunks[pick].end_line,
            symbol=choice.chunks[pick].symbol,
            share=min(1.0, shares[pick]),
            steps=trained[pick],
            in_prompt=rank < in_prompt,
        )
        for rank, pick in enumerate(choice.selection.distinct())
    ]
