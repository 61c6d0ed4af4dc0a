"""The work bench: one engine, the adapters at hand, the runs that wait; units in, results out.

Owns what the engine process has in memory. Synchronous, on one thread. It does not know about processes, nor why a unit
is asked for.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Unpack

from vicinal_daemon.errors import ModelUnusable, Withdrawn
from vicinal_daemon.generate.device import dtype_name, use_threads
from vicinal_daemon.generate.engine import Cancelled, Generated, How, Recall, StopRule
from vicinal_daemon.generate.opening import LlamaFiles, engine_for, open_llama
from vicinal_daemon.generate.post import Ending, certain, is_looping
from vicinal_daemon.generate.prompt import Prompt, first_tokens, headed, prompt_at
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.memory import Gate
from vicinal_daemon.tune.files import read_adapter, write_adapter
from vicinal_daemon.tune.guard import Passage
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.tuner import bare_context_of, context_of, judge
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.worker.messages import (
    Alternative,
    Begin,
    Begun,
    Chat,
    Code,
    Done,
    Drop,
    Forget,
    Judge,
    Judged,
    Load,
    Loaded,
    PromptShape,
    Remember,
    Result,
    Step,
    Stepped,
    Unit,
    Wear,
    Write,
    Written,
)  # fmt: skip
from vicinal_daemon.worker.remembering import Remembering
from vicinal_daemon.worker.writers import LlamaWriter, TorchWriter, Worn, Writer

ADAPTERS_IN_MEMORY = 4

OnPiece = Callable[[str], None]


@dataclass(slots=True, eq=False)
class _Tuning:
    """A run, and how long the examples are cut."""

    run: TuningRun
    max_tokens: int


class Bench:
    """Does units, one at a time.

    Args:
        gate: how far the token-level memory is believed; None: as it comes with Vicinal.
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self._gate = gate
        self._engine: TransformersEngine | None = None
        self._writer: Writer | None = None
        self._remembering: Remembering | None = None
        self._wardrobe: Wardrobe | None = None
        self._adapters: OrderedDict[str, Worn] = OrderedDict()
        self._tunings: dict[str, _Tuning] = {}
        self._named = 0

    def do(self, unit: Unit, *, cancelled: Cancelled = lambda: False, on_piece: OnPiece = lambda text: None) -> Result:
        """Do one unit.

        Args:
            cancelled: asked before each token, each 256 tokens of a prompt, each forward pass of the guard, each step
                and each layer of it, there and back. `Write` and `Chat` then return what there is; the others raise
                `Withdrawn`.
            on_piece: is given the text so far, where the unit streams.

        Raises:
            VicinalError: the unit cannot be done; the bench is as it was before it.
        """
        match unit:
            case Load():
                return self._load(unit)
            case Write():
                return self._write(unit, cancelled, on_piece)
            case Chat():
                return self._chat(unit, cancelled)
            case Begin():
                return self._begin(unit, cancelled)
            case Step():
                return self._step(unit, cancelled)
            case Judge():
                return self._judge(unit, cancelled)
            case Drop():
                tuning = self._tunings.pop(unit.run, None)
                if tuning is not None and self._wardrobe is not None:
                    self._wardrobe.dismiss(tuning.run)
            case Forget():
                for key in unit.keys:
                    self._forget(key)
            case Remember():
                return self._memories().change(unit)
        return Done()

    def _load(self, unit: Load) -> Loaded:
        started = time.perf_counter()
        use_threads(unit.threads)
        engine = TransformersEngine(unit.transformers_dir, unit.device, unit.name, unit.depth, unit.precision)
        wardrobe = Wardrobe(engine)
        writes = engine_for(unit.engine, unit.gguf, unit.device)
        writer: Writer = TorchWriter(engine, wardrobe)
        if writes == "llama":
            files = LlamaFiles(unit.gguf, unit.copies, unit.copy) if unit.gguf and unit.copies else None
            writer = LlamaWriter(open_llama(files, unit.transformers_dir, unit.name, engine.codec))
        self._engine, self._wardrobe, self._writer = engine, wardrobe, writer
        self._remembering = Remembering(engine.codec, self._gate)
        return Loaded(engine.device_name, dtype_name(engine.dtype), writes, time.perf_counter() - started)

    def _write(self, unit: Write, cancelled: Cancelled, on_piece: OnPiece) -> Written:
        target = unit.prompt.target
        ending = Ending(unit.lines, target.mid_line, unit.stops)

        def stop(text: str) -> bool:
            if unit.streams:
                on_piece(certain(text, unit.stops))
            return ending.met(text)

        prompt, memory = self._prompt(unit.prompt), self._memories().of(unit)
        started = time.perf_counter()
        generated = self._generate(
            unit.wear, prompt, stop, max_tokens=unit.max_tokens, cancelled=cancelled, memory=memory
        )
        text = ending.shown(generated.text, target.right)
        written = _written(text, generated, time.perf_counter() - started)
        return replace(written, alternatives=self._alternatives(unit, prompt, memory, ending, text, cancelled))

    def _alternatives(
        self, unit: Write, prompt: Prompt, memory: Recall | None, ending: Ending, best: str, cancelled: Cancelled
    ) -> tuple[Alternative, ...]:
        """Other texts than `best`. The prompt has been read: each costs only its own tokens."""
        found: dict[str, Alternative] = {}
        for rank in range(1, unit.alternatives + 1):
            started = time.perf_counter()
            generated = self._generate(
                unit.wear, prompt, ending.met, max_tokens=unit.max_tokens, cancelled=cancelled, rank=rank, memory=memory
            )
            if cancelled():
                break  # half a text is no alternative
            text = ending.shown(generated.text, unit.prompt.target.right)
            if text and text != best and text not in found:
                seconds = time.perf_counter() - started
                shown = generated.shown(text)
                found[text] = Alternative(text, shown, generated.tokens, seconds, generated.finished)
        return tuple(sorted(found.values(), key=lambda other: fmean(other.log_probabilities), reverse=True))

    def _chat(self, unit: Chat, cancelled: Cancelled) -> Written:
        text = self._loaded().codec.chat(unit.system, unit.user)
        prompt = Prompt(text, (0, len(text)), heals=False)
        started = time.perf_counter()
        generated = self._generate(None, prompt, is_looping, max_tokens=unit.max_tokens, cancelled=cancelled)
        return _written(generated.text, generated, time.perf_counter() - started)

    def _generate(self, wear: Wear | None, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        self._loaded()
        assert self._writer is not None  # noqa: S101 - comes with the engine
        kept = self._find(wear) if wear is not None else None
        # An adapter that counts nothing is the base, and shares its caches.
        worn = kept if kept is not None and kept.adapter.scale > 0 else None
        return self._writer.write(worn, prompt, stop, **how)

    def _begin(self, unit: Begin, cancelled: Cancelled) -> Begun:
        engine, wardrobe = self._tunable()
        _check(cancelled)
        settings = TuningSettings(
            unit.rank,
            unit.learning_rate,
            unit.max_tokens,
            guard=True,
            seed=unit.seed,
            depth=unit.depth,
            momentum=unit.momentum,
        )
        run = TuningRun(
            engine,
            wardrobe,
            [_text_of(code) for code in unit.examples],
            settings,
            start=self._find(unit.start).adapter if unit.start is not None else None,
            done=unit.done,
            watched=[bare_context_of(self._prompt(unit.watched))] if unit.watched is not None else (),
        )
        self.do(Drop(unit.run))
        self._tunings[unit.run] = _Tuning(run, unit.max_tokens)
        return Begun(run.steps)

    def _step(self, unit: Step, cancelled: Cancelled) -> Stepped:
        run = self._tuning(unit.run).run
        _check(cancelled)
        started, tokens = time.perf_counter(), run.next_tokens
        loss = run.step(lambda: _check(cancelled))
        return Stepped(run.done, run.steps, loss, tokens, time.perf_counter() - started)

    def _judge(self, unit: Judge, cancelled: Cancelled) -> Judged:
        engine, wardrobe = self._tunable()
        tuning = self._tuning(unit.run)
        started = time.perf_counter()
        learned, passages = tuning.run.adapter(), self._passages(unit, tuning.max_tokens)
        adapter, losses = judge(engine, wardrobe, learned, passages, lambda: _check(cancelled), unit.most)
        _check(cancelled)
        self._forget(unit.key)
        size = 0
        if adapter is not None:
            size = adapter.bytes
            if unit.file is not None:
                told = {**dict(unit.metadata), "scale": repr(adapter.scale)}
                size = write_adapter(adapter, unit.file, told)
            self._keep(unit.key, adapter)
        return Judged(
            tuple(sorted(losses.items())),
            adapter.scale if adapter is not None else 0.0,
            size,
            time.perf_counter() - started,
        )

    def _passages(self, unit: Judge, max_tokens: int) -> list[Passage]:
        if unit.prompt is not None:
            return [context_of(self._prompt(unit.prompt))]
        offsets = self._loaded().codec.offsets
        return [Passage(first_tokens(_text_of(code), max_tokens, offsets), 0) for code in unit.held_out]

    def _prompt(self, shape: PromptShape) -> Prompt:
        codec = self._loaded().codec
        return prompt_at(
            shape.target.path,
            shape.target.left,
            shape.target.right,
            shape.snippets,
            context_tokens=shape.context_tokens,
            snippet_tokens=shape.pick_tokens,
            offsets=codec.offsets,
            fill_in_the_middle=codec.fill_in_the_middle,
        )

    def _find(self, wear: Wear) -> Worn:
        kept = self._adapters.get(wear.key)
        if kept is not None:
            self._adapters.move_to_end(wear.key)
            return kept
        if wear.file is None:
            raise ModelUnusable(f"the adapter {wear.key} is not in memory any more", hint="it is learned anew")
        return self._keep(wear.key, read_adapter(wear.file))

    def _keep(self, key: str, adapter: Adapter) -> Worn:
        self._named += 1
        kept = self._adapters[key] = Worn(adapter, f"adapter {self._named}")
        self._adapters.move_to_end(key)
        while len(self._adapters) > ADAPTERS_IN_MEMORY:
            self._forget(next(iter(self._adapters)))
        return kept

    def _forget(self, key: str) -> None:
        kept = self._adapters.pop(key, None)
        if kept is not None and self._writer is not None:
            self._writer.forget(kept.under)

    def _tuning(self, run: str) -> _Tuning:
        self._tunable()
        if run not in self._tunings:
            raise ModelUnusable(f"there is no tuning run {run!r}", hint="begin it anew; the engine may have restarted")
        return self._tunings[run]

    def _loaded(self) -> TransformersEngine:
        if self._engine is None:
            raise ModelUnusable("no model is loaded", hint="send `Load` first")
        return self._engine

    def _memories(self) -> Remembering:
        self._loaded()
        assert self._remembering is not None  # noqa: S101 - comes and goes with the engine
        return self._remembering

    def _tunable(self) -> tuple[TransformersEngine, Wardrobe]:
        engine = self._loaded()
        assert self._wardrobe is not None  # noqa: S101 - comes with the engine
        return engine, self._wardrobe


def _check(cancelled: Cancelled) -> None:
    if cancelled():
        raise Withdrawn("the unit was cancelled")


def _text_of(code: Code) -> str:
    return headed(code.path, code.language, code.text)


def _written(text: str, generated: Generated, seconds: float) -> Written:
    return Written(
        text=text,
        log_probabilities=generated.shown(text),
        tokens=generated.tokens,
        prompt_tokens=generated.prompt_tokens,
        read_tokens=generated.read_tokens,
        read_seconds=generated.read_seconds,
        write_seconds=max(0.0, seconds - generated.read_seconds),
        finished=generated.finished,
        first_entropy=generated.first_entropy,
        least_token=generated.least_sure(text),
    )
