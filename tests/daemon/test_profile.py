"""The profile of a request: counts against torch's own, times that add up, what is said of them."""

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from vicinal_daemon.generate.decode import Logits
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.profile import probes
from vicinal_daemon.profile import rates as speeds
from vicinal_daemon.profile.chart import bars
from vicinal_daemon.profile.flops import (
    Layer,
    Linear,
    Rates,
    Work,
    attention,
    backward,
    causal_pairs,
    forward,
    product,
)
from vicinal_daemon.profile.meter import Meter, layers_of
from vicinal_daemon.profile.parts import BY_STEP, PARTS
from vicinal_daemon.profile.probes import PROBES, installed
from vicinal_daemon.profile.rates import MOST_SHAPES, ROWS, measure, shapes_of
from vicinal_daemon.profile.recorder import Recorder, Span, Trace, by_step
from vicinal_daemon.profile.report import notes_of, row_as_json, rows_of, steps_of
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.wardrobe import Wardrobe

IDS = [5, 9, 2, 7, 7, 1, 30, 12]
RATES = Rates(flops=100.0, bandwidth=10.0)


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu", depth=0.5)


def squared(layer: Layer, new: int) -> float:
    """What torch counts for attention beyond what is needed: it multiplies the whole square, and masks a half."""
    return attention(layer, new * new) - attention(layer, causal_pairs(new))


@torch.no_grad()
def test_a_reading_costs_what_torch_counts(engine: TransformersEngine) -> None:
    layers = layers_of(engine.model)
    head = engine.model.lm_head.weight
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        engine.model(torch.tensor([IDS]), use_cache=False)
    counted = sum(forward(layer, len(IDS)).flops + squared(layer, len(IDS)) for layer in layers)
    counted += product(len(IDS), head.shape[1], head.shape[0]).flops
    assert counter.get_total_flops() == counted


@pytest.mark.parametrize("depth", [0.5, 1.0])
def test_a_training_step_costs_what_torch_counts(tiny_model_dir: Path, depth: float) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu", depth=depth)
    recorder = Recorder()
    meter = Meter(engine, recorder)
    with Wardrobe(engine) as wardrobe:
        settings = TuningSettings(4, 1e-3, 64, guard=False, seed=0)
        run = TuningRun(engine, wardrobe, ["def total(items):\n    return sum(items)\n"] * 2, settings)
        new = run.next_tokens
        run.step()  # attaches the LoRA
        counter = FlopCounterMode(display=False)
        counter.flop_registry[torch.ops.aten.addmm_] = counter.flop_registry[torch.ops.aten.addmm]
        with sdpa_kernel(SDPBackend.MATH), counter, meter.counting(), recorder.span("step"):
            run.step()
    (span,) = recorder.take().spans
    learning = meter.layers[engine.first :]
    # Attention is three times its forward pass, with the backward one.
    masked = sum(3 * squared(layer, new) for layer in learning)
    assert counter.get_total_flops() == pytest.approx(span.work.flops + masked, rel=1e-12)


def test_the_layers_are_those_of_the_config(engine: TransformersEngine) -> None:
    config = engine.model.config
    layers = layers_of(engine.model)
    assert len(layers) == config.num_hidden_layers
    kept = config.num_key_value_heads * layers[0].head_size
    sizes = [config.hidden_size**2, config.hidden_size * kept, config.hidden_size * config.intermediate_size]
    assert layers[0].weights == 2 * sizes[0] + 2 * sizes[1] + 3 * sizes[2]


@given(st.integers(0, 60), st.integers(1, 60), st.integers(1, 60))
def test_reading_in_pieces_costs_as_much_arithmetic_and_more_memory(known: int, first: int, second: int) -> None:
    layer = Layer((Linear(8, 8, reads_input=True), Linear(8, 16)), heads=2, kv_heads=1, head_size=4)
    whole = forward(layer, first + second, known)
    pieces = forward(layer, first, known) + forward(layer, second, known + first)
    assert pieces.flops == whole.flops
    assert pieces.bytes > whole.bytes


@given(st.integers(1, 50), st.integers(1, 8))
def test_the_lowest_layer_that_learns_is_cheaper(new: int, rank: int) -> None:
    layer = Layer((Linear(8, 8, reads_input=True), Linear(8, 16)), heads=2, kv_heads=1, head_size=4)
    saved = backward(layer, new, rank, reaches_below=True).flops - backward(layer, new, rank, reaches_below=False).flops
    assert saved == 2 * new * (8 * 8 + rank * 8)


def clock() -> Iterator[float]:
    return map(float, itertools.count())


@given(st.recursive(st.just(()), lambda inside: st.lists(inside, max_size=3).map(tuple), max_leaves=12))
def test_each_moment_counts_once(tree: tuple[object, ...]) -> None:
    ticks = clock()
    recorder = Recorder(clock=lambda: next(ticks))

    def play(node: tuple[object, ...], depth: int) -> None:
        with recorder.span(f"part {depth}"):
            for inside in node:
                assert isinstance(inside, tuple)
                play(inside, depth + 1)

    play(tree, 0)
    passed = next(ticks) - 1
    trace = recorder.take()
    assert trace.seconds == passed
    assert recorder.take() == Trace(())


def test_a_part_that_fails_is_closed() -> None:
    recorder = Recorder()
    with pytest.raises(ValueError, match="broken"), recorder.span("outer"), recorder.span("inner"):
        raise ValueError("broken")
    assert recorder.innermost == ""
    assert [span.part for span in recorder.take().spans] == ["inner", "outer"]


def test_every_probe_is_a_part_and_is_taken_off_again() -> None:
    keys = {part.key for part in PARTS}
    assert len(keys) == len(PARTS)
    assert {part for probe in PROBES for part in (*probe.where, *probe.where.values())} <= keys
    assert set(BY_STEP) <= keys
    before = [vars(probe.owner).get(probe.name) for probe in PROBES]
    others = probes.runs.objective, probes.engines.greedy  # type: ignore[attr-defined]
    with installed(Recorder()):
        during = [vars(probe.owner).get(probe.name) for probe in PROBES]
        assert all(now is not then for now, then in zip(during, before, strict=True))
    with pytest.raises(KeyboardInterrupt), installed(Recorder()):
        raise KeyboardInterrupt
    assert [vars(probe.owner).get(probe.name) for probe in PROBES] == before
    assert (probes.runs.objective, probes.engines.greedy) == others  # type: ignore[attr-defined]


class Silent:
    """A memory that knows nothing."""

    def mix(self, context: Sequence[int], said: Logits) -> Logits:
        return said

    def guess(self, context: Sequence[int], most: int) -> list[int]:
        return []


def test_writing_is_told_apart_and_says_the_same(engine: TransformersEngine) -> None:
    text = "def total(items):\n    return sum(items)\n"
    prompt = Prompt(text, (0, len(text)))

    def written() -> str:
        return engine.generate(prompt, lambda _: False, max_tokens=6, memory=Silent()).text

    recorder = Recorder()
    meter = Meter(engine, recorder)
    alone = written()
    with meter.counting(), installed(recorder), recorder.span("writing.rest"):
        assert written() == alone
    trace = recorder.take()
    assert len(trace.of("writing.prefill")) == 1
    tokens = trace.of("writing.model")
    assert len(trace.of("writing.mix")) == 1 + len(tokens)
    # Each token of the answer reads all weights once, and a little more of the cache than the one before.
    weights = 4 * (sum(layer.weights for layer in meter.layers) + engine.model.lm_head.weight.numel())
    read = [span.work.bytes for span in tokens]
    assert all(weights < value < weights + 4 * 64 * len(text) for value in read)
    assert read == sorted(read)
    assert trace.of("writing.prefill")[0].work.flops > 3 * tokens[0].work.flops


def test_the_rates_are_those_of_the_models_shapes(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speeds, "READ_BYTES", 2**20)
    shapes = shapes_of(layers_of(engine.model))
    assert 0 < len(shapes) <= MOST_SHAPES
    assert all(rows == ROWS for rows, _, _ in shapes)
    rates = measure(shapes, torch.device("cpu"), torch.float32, lambda: None)
    assert [shape for shape, _ in rates.shapes] == shapes
    assert min(rate for _, rate in rates.shapes) <= rates.flops <= max(rate for _, rate in rates.shapes)
    assert rates.bandwidth > 0


def trace(*spans: tuple[str, float, Work]) -> Trace:
    return Trace(tuple(Span(part, seconds, work) for part, seconds, work in spans))


FIRST = trace(("writing.prefill", 8.0, Work(200.0, 10.0)), ("candidates.dense", 2.0, Work()))
LATER = (
    trace(("writing.prefill", 3.0, Work(200.0, 10.0)), ("writing.model", 4.0, Work(10.0, 30.0))),
    trace(("writing.prefill", 5.0, Work(200.0, 10.0)), ("writing.model", 6.0, Work(10.0, 30.0))),
    trace(("writing.prefill", 4.0, Work(200.0, 10.0)), ("writing.model", 5.0, Work(10.0, 30.0))),
)


def test_rows_are_medians_against_the_floor() -> None:
    dense, prefill, model = rows_of(FIRST, LATER, None, RATES)
    assert (dense.first, dense.later, dense.times, dense.floor, dense.ratio) == (2.0, 0.0, 0, None, None)
    assert (prefill.first, prefill.later, prefill.floor, prefill.bound, prefill.ratio) == (8, 4, 2, "arithmetic", 2)
    assert (model.later, model.floor, model.bound) == (5.0, 3.0, "memory")
    assert prefill.share + model.share == pytest.approx(1.0)
    assert json.loads(json.dumps(row_as_json(prefill)))["ratio"] == 2


def test_without_later_requests_the_first_one_is_told() -> None:
    prefill = rows_of(FIRST, (), None, RATES)[-1]
    assert (prefill.first, prefill.later, prefill.share) == (8.0, 8.0, 0.8)


def test_the_worst_parts_have_a_sentence_that_says_what_dominates() -> None:
    operators = (("mm", 1.0), ("add", 0.5), ("_scaled_dot_product_attention", 0.1))
    heard = Trace((Span("writing.prefill", 9.0, Work(), operators),))
    (tokens,) = [row for row in rows_of(FIRST, LATER, heard, RATES) if row.key == "writing.model"]
    assert tokens.kinds == ()
    first, second = notes_of(rows_of(FIRST, LATER, heard, RATES))
    assert "writing, model, a token: 5 s, 56% of a request" in second + first
    (prefill,) = [note for note in (first, second) if "read the prompt" in note]
    assert "2.0 times its floor, which is arithmetic" in prefill
    assert "It is 60% work outside torch's operators, 25% matrix products, 12% other operators of torch." in prefill


def test_steps_are_told_one_by_one() -> None:
    spans = [("tuning.trunk", 1.0), ("tuning.step", 0.5), ("tuning.backward", 2.0), ("tuning.step", 0.25)]
    told = Trace(tuple(Span(part, seconds) for part, seconds in spans))
    assert by_step(told, "tuning.step")[1] == {"tuning.backward": 2.0, "tuning.step": 0.25}
    first, second = steps_of([told])
    assert (first.total, second.total) == (1.5, 2.25)
    assert dict(second.seconds)["tuning.trunk"] == 0.0
    assert steps_of([]) == []


def test_bars_are_of_one_scale_and_show_the_floor() -> None:
    model, prefill, legend = bars(rows_of(FIRST, LATER, None, RATES), width=10).splitlines()
    assert model.endswith("|######==== 5 s")
    assert prefill.endswith("|####==== 4 s")
    assert "above that" in legend
    assert bars([]) == ""
