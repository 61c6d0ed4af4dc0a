"""The work bench on a small real model: units mixed in any order give what each gives alone."""

import hashlib
import random
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from transformers import AutoModelForCausalLM

from vicinal_daemon.errors import ModelDamaged, ModelError, ModelUnusable, Withdrawn
from vicinal_daemon.generate.prompt import Prompt, headed
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.generate.trunk import first_to_learn
from vicinal_daemon.target import Target
from vicinal_daemon.tune.files import read_adapter, write_adapter
from vicinal_daemon.tune.lora import Adapter, AttachedLora, attached
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.tuner import tune
from vicinal_daemon.tune.wardrobe import Wardrobe
from vicinal_daemon.worker.bench import ADAPTERS_IN_MEMORY, Bench
from vicinal_daemon.worker.messages import (
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
    Step,
    Stepped,
    Unit,
    Wear,
    Write,
    Written,
)  # fmt: skip
from vicinal_indexer.errors import StoreUnavailable

EXAMPLES = tuple(Code(f"{n}.py", "python", f"def total_{n}(items):\n    return sum(items) + {n}\n") for n in range(4))
LEFT = "def total(items):\n    return sum(items)\n\n\ndef mean(items):\n"
PROMPT = PromptShape(Target("app.py", LEFT, "", "", 5, 1, 2), (), 200, 50)
ADAPTER_TENSORS = 2 * 2 * 7  # A and B of the linear layers of two blocks


@pytest.fixture
def bench(tiny_model_dir: Path) -> Bench:
    made = Bench()
    assert isinstance(made.do(Load(tiny_model_dir, None, "tiny", "transformers", "cpu", 0.33)), Loaded)
    return made


@pytest.mark.parametrize("told", [0, 1, 2])
def test_it_computes_with_as_many_threads_as_it_is_told(tiny_model_dir: Path, told: int) -> None:
    before = torch.get_num_threads()
    try:
        Bench().do(Load(tiny_model_dir, None, "tiny", "transformers", "cpu", 0.33, threads=told))
        assert torch.get_num_threads() == (told or before)
    finally:
        torch.set_num_threads(before)


def begin(
    run: str = "run", *, rank: int = 4, seed: int = 0, learning_rate: float = 5e-3, depth: float | None = None
) -> Begin:
    return Begin(run, EXAMPLES, rank, learning_rate, 64, seed, depth=depth)


def write(key: str | None = None, file: Path | None = None) -> Write:
    return Write(PROMPT, Wear(key, file) if key else None, 2, 12)


def written(bench: Bench, unit: Unit) -> Written:
    result = bench.do(unit)
    assert isinstance(result, Written)
    return result


def judged(bench: Bench, unit: Unit) -> Judged:
    result = bench.do(unit)
    assert isinstance(result, Judged)
    return result


def learn(bench: Bench, key: str, file: Path | None = None, between: Sequence[Unit] = (), rank: int = 4) -> None:
    """A whole run, with other units between its steps."""
    begun = bench.do(begin(key, rank=rank))
    assert isinstance(begun, Begun)
    for _ in range(begun.steps):
        for unit in between:
            bench.do(unit)
        bench.do(Step(key))
    bench.do(Judge(key, key, None, file=file))
    bench.do(Drop(key))


def assert_equal(one: Adapter, other: Adapter) -> None:
    assert (one.rank, one.scale, one.tensors.keys()) == (other.rank, other.scale, other.tensors.keys())
    assert all(torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def test_writes_between_the_steps_of_a_run_change_nothing_in_it(bench: Bench, tmp_path: Path) -> None:
    learn(bench, "other", tmp_path / "other")
    learn(bench, "alone", tmp_path / "alone")
    mixed = [write("other"), write(), Judge("mixed", "half", None), write("half"), Chat("a", "b", 4)]
    learn(bench, "mixed", tmp_path / "mixed", mixed)
    assert_equal(read_adapter(tmp_path / "mixed"), read_adapter(tmp_path / "alone"))


def test_two_runs_step_by_step_in_turn_are_two_runs(bench: Bench, tmp_path: Path) -> None:
    learn(bench, "alone", tmp_path / "alone")
    learn(bench, "alone of 8", tmp_path / "alone of 8", rank=8)
    runs = [begin("first"), begin("second", rank=8), begin("third", seed=1)]
    for run in runs:
        bench.do(run)
    for _ in EXAMPLES:
        for run in runs:
            bench.do(Step(run.run))
    for run in runs:
        bench.do(Judge(run.run, run.run, None, file=tmp_path / run.run))
    assert_equal(read_adapter(tmp_path / "first"), read_adapter(tmp_path / "alone"))
    assert_equal(read_adapter(tmp_path / "second"), read_adapter(tmp_path / "alone of 8"))
    third, first = read_adapter(tmp_path / "third"), read_adapter(tmp_path / "first")
    assert any(not torch.equal(third.tensors[name], first.tensors[name]) for name in first.tensors)


def test_unit_by_unit_is_what_the_tuner_does_at_once(bench: Bench, tiny_model_dir: Path, tmp_path: Path) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu")
    bench.do(begin())
    steps = [bench.do(Step("run")) for _ in EXAMPLES]
    found = judged(bench, Judge("run", "key", PROMPT, file=tmp_path / "adapter"))
    texts = [headed(code.path, code.language, code.text) for code in EXAMPLES]
    head = "# app.py\n"
    prompt = Prompt(head + LEFT, (len(head), len(head) + len(LEFT)))
    tuned = tune(engine, texts, prompt, TuningSettings(4, 5e-3, 64, guard=True, seed=0))
    assert [step.loss for step in steps if isinstance(step, Stepped)] == list(tuned.losses)
    assert dict(found.context_loss) == tuned.context_loss
    assert tuned.adapter is not None
    assert_equal(read_adapter(tmp_path / "adapter"), tuned.adapter)


@pytest.mark.parametrize(("depth", "own"), [(1.0, None), (0.5, None), (0.5, 1.0), (1.0, 0.5)])
def test_a_run_is_adam_with_a_falling_rate_on_pefts_own_start(
    tiny_model_dir: Path, depth: float, own: float | None
) -> None:
    """The definition, written out with peft's and torch's own parts; with a trunk it is the same, with less work."""
    engine = TransformersEngine(tiny_model_dir, "cpu", depth=depth)
    assert (engine.trunk is None) == (depth == 1.0)
    texts = [code.text for code in EXAMPLES]
    with Wardrobe(engine) as wardrobe:
        run = TuningRun(engine, wardrobe, texts, TuningSettings(4, 5e-3, 64, guard=False, seed=7, depth=own))
        losses = [run.step() for _ in texts]
        learned = wardrobe.seat(run).tensors("study")

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32).eval()
    torch.manual_seed(7)
    first = first_to_learn(model, own or depth)
    layers = f"model.layers.{first}." if first else ""
    linear = [n for n, m in model.model.named_modules(prefix="model") if isinstance(m, torch.nn.Linear) and layers in n]
    config = LoraConfig(r=4, lora_alpha=4, lora_dropout=0.0, target_modules=linear, task_type="CAUSAL_LM")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by an old name
        wrapped = get_peft_model(model, config).eval()
    optimizer = torch.optim.Adam([p for p in wrapped.parameters() if p.requires_grad], lr=5e-3)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1.0 / len(texts), len(texts))
    for text, loss in zip(texts, losses, strict=True):
        ids = torch.tensor([engine.codec.encode(text)[0][:64]])
        expected = wrapped(ids, labels=ids, use_cache=False).loss
        assert loss == pytest.approx(expected.item(), abs=1e-6)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        decay.step()
    state = get_peft_model_state_dict(wrapped)
    assert learned.keys() == state.keys()
    assert len(learned) == ADAPTER_TENSORS * (2 - first) // 2
    for name, value in state.items():
        torch.testing.assert_close(learned[name], value, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_the_base_is_bit_identical_after_a_storm(tiny_model_dir: Path, tmp_path: Path) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu")
    tokens = torch.tensor([engine.codec.encode(LEFT)[0]])
    logits = engine.model(tokens).logits.detach().clone()
    weights = {name: value.clone() for name, value in engine.model.state_dict().items()}
    bench = Bench()
    bench.do(Load(tiny_model_dir, None, "tiny", "transformers", "cpu", 0.33))
    base = written(bench, write())

    draw = random.Random(1)  # noqa: S311 - a seed, not a secret
    units: list[Unit] = [
        begin("a"), begin("b", rank=8), begin("c", learning_rate=10.0),
        *(Step(run) for run in "abc" for _ in range(3)), *(Judge(run, run, PROMPT) for run in "abc"),
        write("a"), write("b"), write("c"), write(), Drop("b"), Forget(("a", "c")), Chat("be short", "hello", 3),
        Judge("a", "a", None, held_out=EXAMPLES[:1], file=tmp_path / "a"), write("a", tmp_path / "a"),
    ]  # fmt: skip
    done = 0
    for _ in range(150):
        try:
            bench.do(draw.choice(units))
            done += 1
        except ModelError:
            pass  # a run or an adapter that is not there: part of the storm
    assert done > 50

    assert replace(written(bench, write()), read_tokens=0, read_seconds=0, write_seconds=0) == replace(
        base, read_tokens=0, read_seconds=0, write_seconds=0, log_probabilities=pytest.approx(base.log_probabilities)
    )
    model = bench._engine.model  # type: ignore[union-attr]
    assert torch.equal(model(tokens).logits, logits)
    state = {n.replace(".base_layer", ""): v for n, v in model.state_dict().items() if "lora_" not in n}
    assert state.keys() == weights.keys()
    assert all(torch.equal(state[name], weights[name]) for name in weights)


def test_with_nothing_worn_an_attached_model_is_the_bare_one(tiny_model_dir: Path) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu")
    tokens = torch.tensor([engine.codec.encode(LEFT)[0]])
    bare = engine.model(tokens).logits
    kinds = hashlib.sha256(repr(engine.model).encode()).digest()
    with attached(engine, 4, seed=0) as lora:
        noise = {name: torch.randn_like(value) for name, value in lora.tensors("serve").items()}
        lora.load(Adapter(noise, 4))
        lora.fill("study", noise)
        assert not torch.equal(engine.model(tokens).logits, bare)
        lora.wear(None)
        assert torch.equal(engine.model(tokens).logits, bare)
    assert torch.equal(engine.model(tokens).logits, bare)
    assert hashlib.sha256(repr(engine.model).encode()).digest() == kinds


def test_an_adapter_read_from_disk_is_the_one_just_made(bench: Bench, tmp_path: Path) -> None:
    learn(bench, "key", tmp_path / "new" / "key.safetensors")
    made = written(bench, write("key"))
    assert made.log_probabilities != written(bench, write()).log_probabilities
    bench.do(Forget(("key",)))
    again = written(bench, write("key", tmp_path / "new" / "key.safetensors"))
    # What the base has read is lent, or not: that adds the same numbers up in another order.
    assert again.text == made.text
    assert again.log_probabilities == pytest.approx(made.log_probabilities, abs=1e-4)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["key.safetensors"]


def test_an_adapter_that_is_learned_anew_under_its_name_is_the_new_one(bench: Bench) -> None:
    bench.do(begin(learning_rate=0.05))
    bench.do(Step("run"))
    bench.do(Judge("run", "key", None))
    first = written(bench, write("key"))
    for _ in EXAMPLES[1:]:
        bench.do(Step("run"))
    bench.do(Judge("run", "key", None))
    second = written(bench, write("key"))
    assert second.read_tokens == second.prompt_tokens
    assert second.log_probabilities != first.log_probabilities


def test_only_the_last_adapters_are_in_memory(bench: Bench) -> None:
    bench.do(begin())
    bench.do(Step("run"))
    keys = [f"key {n}" for n in range(ADAPTERS_IN_MEMORY + 1)]
    for key in keys:
        bench.do(Judge("run", key, None))
    for key in keys[1:]:
        bench.do(write(key))
    with pytest.raises(ModelUnusable, match="not in memory"):
        bench.do(write(keys[0]))


def test_a_damaged_adapter_says_so_whatever_bit_it_is(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "adapter"
    learn(bench, "key", file)
    data = file.read_bytes()
    draw = random.Random(0)  # noqa: S311 - a seed, not a secret
    header = 8 + int.from_bytes(data[:8], "little")
    for place in [*draw.sample(range(header), 60), *draw.sample(range(header, len(data)), 60)]:
        changed = bytearray(data)
        changed[place] ^= 1 << draw.randrange(8)
        file.write_bytes(changed)
        with pytest.raises(ModelDamaged):
            read_adapter(file)
    for length in (0, 7, header // 2, header, len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ModelDamaged):
            bench.do(write("from disk", file))
    file.unlink()
    with pytest.raises(ModelDamaged, match="gone"):
        bench.do(write("from disk", file))
    assert written(bench, write()).text == written(bench, write()).text


def test_an_adapter_of_another_model_is_refused_and_the_base_goes_on(bench: Bench, tmp_path: Path) -> None:
    base = written(bench, write())
    half = {"lora_A.weight": torch.zeros(4, 9, dtype=torch.float16)}
    write_adapter(Adapter({f"x.{n}": v for n, v in half.items()}, 4), tmp_path / "other", {"model": "another"})
    with pytest.raises(ModelDamaged, match="does not fit"):
        bench.do(write("other", tmp_path / "other"))
    assert written(bench, write()).text == base.text


def test_an_adapter_that_cannot_be_written_is_a_typed_error(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    bench.do(begin())
    bench.do(Step("run"))
    with pytest.raises(StoreUnavailable):
        bench.do(Judge("run", "key", None, file=tmp_path / "file" / "adapter"))
    assert bench.do(Step("run"))


def test_a_run_goes_on_from_a_checkpoint(bench: Bench, tmp_path: Path) -> None:
    bench.do(begin("first"))
    bench.do(Step("first"))
    bench.do(Step("first"))
    bench.do(Judge("first", "checkpoint", None, file=tmp_path / "checkpoint"))
    bench.do(Forget(("checkpoint",)))
    again = replace(begin("again"), start=Wear("checkpoint", tmp_path / "checkpoint"), done=2)
    assert bench.do(again) == Begun(4)
    stepped, straight = bench.do(Step("again")), bench.do(Step("first"))
    assert isinstance(stepped, Stepped)
    assert isinstance(straight, Stepped)
    assert (stepped.done, stepped.steps) == (3, 4)
    assert stepped.loss == pytest.approx(straight.loss, abs=2e-3)  # float16
    with pytest.raises(ModelUnusable, match="rank"):
        bench.do(replace(again, rank=8))


def test_half_an_adapter_is_a_start_of_half_its_effect(tiny_model_dir: Path) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu")
    with Wardrobe(engine) as wardrobe:
        run = TuningRun(engine, wardrobe, [LEFT] * 3, TuningSettings(4, 0.01, 64, guard=False, seed=0))
        run.step()
        half = replace(run.adapter(), scale=0.5)
        with wardrobe.wearing(half):
            worn = engine.score(LEFT, 0).log_probabilities
        start = TuningRun(engine, wardrobe, [LEFT], TuningSettings(4, 0.01, 64, guard=False, seed=0), start=half)
        assert start.step() == pytest.approx(-sum(worn) / len(worn), abs=1e-5)


def test_an_adapter_of_no_numbers_is_dropped(bench: Bench) -> None:
    bench.do(begin(learning_rate=1e30))
    for _ in EXAMPLES:
        bench.do(Step("run"))
    assert judged(bench, Judge("run", "key", PROMPT)).scale == 0
    with pytest.raises(ModelUnusable):
        bench.do(write("key"))


def test_the_guard_reads_held_out_code_where_there_is_no_prompt(bench: Bench) -> None:
    bench.do(begin())
    for _ in EXAMPLES:
        bench.do(Step("run"))
    found = judged(bench, Judge("run", "key", None, held_out=EXAMPLES))
    losses = dict(found.context_loss)
    assert losses[1.0] < losses[0.0]
    assert found.scale > 0
    assert found.bytes > 0


class After:
    """Cancelled from question number `count` on."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self) -> bool:
        self.count -= 1
        return self.count < 0


@pytest.mark.parametrize("tokens", [0, 1, 5])
def test_a_write_ends_within_one_token_and_shows_what_it_has(bench: Bench, tokens: int) -> None:
    pieces: list[str] = []
    unit = Write(PROMPT, None, 0, 40, streams=True)
    result = bench.do(unit, cancelled=After(tokens), on_piece=pieces.append)
    assert isinstance(result, Written)
    assert (result.tokens, result.finished) == (tokens, False)


@pytest.mark.parametrize("depth", [None, 1.0])
def test_a_step_is_taken_whole_or_not_at_all(bench: Bench, depth: float | None, tmp_path: Path) -> None:
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    bench.do(begin("whole", depth=depth))
    for _ in EXAMPLES:
        bench.do(Step("whole"))
    bench.do(Judge("whole", "whole", None, file=whole))
    bench.do(begin(depth=depth))
    for step in range(1, len(EXAMPLES) + 1):
        asked = 0
        # Ended before it, below the cut, in the layers that learn, on the way back: each time a little later.
        while True:
            try:
                stepped = bench.do(Step("run"), cancelled=After(asked))
                break
            except Withdrawn:
                asked += 1
        assert isinstance(stepped, Stepped)
        assert stepped.done == step
        assert asked > 2
    bench.do(Judge("run", "pieces", None, file=pieces))
    assert_equal(read_adapter(whole), read_adapter(pieces))


def test_what_is_not_begun_is_withdrawn(bench: Bench) -> None:
    bench.do(begin())
    bench.do(Step("run"))
    with pytest.raises(Withdrawn):
        bench.do(Judge("run", "key", PROMPT), cancelled=After(2))
    with pytest.raises(Withdrawn):
        bench.do(begin("new"), cancelled=After(0))
    assert bench.do(Step("run"))


def test_stop_texts_end_the_answer_before_them(bench: Bench) -> None:
    free = written(bench, Write(PROMPT, None, 0, 30))
    middle = free.text[len(free.text) // 2 :][:3]
    pieces: list[str] = []
    result = bench.do(Write(PROMPT, None, 0, 30, stops=("never said", middle), streams=True), on_piece=pieces.append)
    assert isinstance(result, Written)
    assert result.text == free.text[: free.text.find(middle)].rstrip()
    assert result.finished
    assert all(middle not in piece for piece in pieces)


@pytest.mark.parametrize("key", [None, "key"])
def test_alternatives_differ_and_the_prompt_is_read_once(bench: Bench, key: str | None) -> None:
    if key is not None:
        learn(bench, key)
    alone = written(bench, write(key))
    pieces: list[str] = []
    result = bench.do(replace(write(key), alternatives=3, streams=True), on_piece=pieces.append)
    assert isinstance(result, Written)
    texts = [result.text, *(other.text for other in result.alternatives)]
    assert result.text == alone.text
    assert len(texts) == len(set(texts)) == 4
    assert all(texts)
    assert all(len(other.log_probabilities) <= other.tokens for other in result.alternatives)
    assert all(text.strip() in result.text for text in map(str.strip, pieces))  # alternatives do not stream
    again = written(bench, write(key))
    assert (again.text, again.read_tokens) == (alone.text, 1)


def test_a_write_that_is_cancelled_has_no_half_alternatives(bench: Bench) -> None:
    unit = replace(write(), lines=0, max_tokens=5, alternatives=4)
    asked = 0

    def later() -> bool:
        nonlocal asked
        asked += 1
        return asked > limit

    limit = 10**6
    whole = bench.do(unit, cancelled=later)
    assert isinstance(whole, Written)
    limit, asked = asked // 2, 0
    half = bench.do(unit, cancelled=later)
    assert isinstance(half, Written)
    assert half.text == whole.text
    assert 0 < len(half.alternatives) < len(whole.alternatives)
    assert {other.text for other in half.alternatives} < {other.text for other in whole.alternatives}


def test_what_is_unknown_is_a_typed_error(bench: Bench) -> None:
    for unit in (Step("none"), Judge("none", "key", None), write("none")):
        with pytest.raises(ModelUnusable):
            bench.do(unit)
    assert bench.do(Drop("none")) == Done()
    assert bench.do(Forget(("none",))) == Done()
    with pytest.raises(ModelUnusable, match="no model"):
        Bench().do(write())


def test_all_steps_taken_is_all(bench: Bench) -> None:
    assert bench.do(replace(begin(), examples=())) == Begun(0)
    with pytest.raises(ModelUnusable, match="have been taken"):
        bench.do(Step("run"))


def test_a_rank_of_another_attachment_does_not_fit(tiny_model_dir: Path) -> None:
    engine = TransformersEngine(tiny_model_dir, "cpu")
    lora = AttachedLora(engine.model, 4)
    with pytest.raises(ModelDamaged):
        lora.fill("serve", {name: value[:2] for name, value in lora.tensors("serve").items()})
    lora.detach()


@pytest.mark.llama
def test_what_torch_has_learned_llama_writes(tiny_model_dir: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    """The same units, with either as the writer: the same adapter is learned, and the same text is written with it."""
    pytest.importorskip("llama_cpp")
    both = {}
    for engine in ("transformers", "llama"):
        bench = Bench()
        load = Load(tiny_model_dir, tiny_gguf, "tiny", engine, "cpu", 0.33, copies=tmp_path / "copies")
        assert bench.do(load) == Loaded("cpu", "float32", engine, seconds=pytest.approx(0, abs=1e3))
        learn(bench, "key", tmp_path / engine)
        bench.do(Forget(("key",)))
        with pytest.raises(ModelUnusable):
            bench.do(write("key"))
        worn = write("key", tmp_path / engine)
        both[engine] = [written(bench, unit) for unit in (write(), worn, write(), replace(worn, alternatives=2))]
    assert_equal(read_adapter(tmp_path / "llama"), read_adapter(tmp_path / "transformers"))
    for one, other in zip(both["llama"], both["transformers"], strict=True):
        assert one.text == other.text
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=0.02)
        assert [each.text for each in one.alternatives] == [each.text for each in other.alternatives]
    first, tuned, again, _ = both["llama"]
    assert (first.read_tokens, again.read_tokens) == (first.prompt_tokens, 1)
    assert first.log_probabilities == pytest.approx(again.log_probabilities, abs=1e-3)
    assert tuned.log_probabilities != pytest.approx(first.log_probabilities, abs=1e-3)
