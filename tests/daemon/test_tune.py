"""Tuning on a small real model: it learns, the guard guards, and the base comes back bit for bit."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.guard import WATCH_EVERY, Passage, Watch, best_scale, context_loss
from vicinal_daemon.tune.lora import Adapter, Tensors, applied, attached
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.tuner import judge, tune
from vicinal_daemon.tune.wardrobe import Wardrobe

EXAMPLES = ["# a.py\ndef total(items):\n    return sum(items)\n"] * 4
CONTEXT = "# b.py\ndef total(items):\n    return sum(items)\n"
PROMPT = Prompt(CONTEXT, (7, len(CONTEXT)))


def settings(*, guard: bool = True, learning_rate: float = 5e-3, seed: int = 0) -> TuningSettings:
    return TuningSettings(rank=4, learning_rate=learning_rate, max_tokens=64, guard=guard, seed=seed)


@pytest.fixture
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu")


def fingerprint(engine: TransformersEngine) -> str:
    """Every name, shape and bit of the model, and the types of its modules."""
    digest = hashlib.sha256()
    for name, value in engine.model.state_dict().items():
        digest.update(name.encode() + value.numpy().tobytes())
    for name, module in engine.model.named_modules():
        digest.update(f"{name}:{type(module).__name__}".encode())
    return digest.hexdigest()


def loss(engine: TransformersEngine, text: str) -> float:
    return -sum(engine.score(text, 0).log_probabilities)


def test_the_base_is_bit_identical_after_tuning(engine: TransformersEngine) -> None:
    before, said = fingerprint(engine), engine.score(CONTEXT, 0)
    tuned = tune(engine, EXAMPLES, PROMPT, settings())
    assert tuned.adapter is not None
    with applied(engine, tuned.adapter):
        assert engine.score(CONTEXT, 0) != said
    assert fingerprint(engine) == before
    assert engine.score(CONTEXT, 0) == said


def test_the_base_is_bit_identical_after_an_error_in_the_middle(engine: TransformersEngine) -> None:
    before = fingerprint(engine)

    def fail(done: int, total: int, loss: float) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(engine, EXAMPLES, PROMPT, settings(), on_step=fail)
    assert fingerprint(engine) == before


def test_tuning_learns_what_it_is_shown(engine: TransformersEngine) -> None:
    before = loss(engine, EXAMPLES[0])
    tuned = tune(engine, EXAMPLES, PROMPT, settings())
    assert tuned.losses[-1] < tuned.losses[0]
    with applied(engine, tuned.adapter):
        assert loss(engine, EXAMPLES[0]) < before


def test_one_step_is_taken_on_each_example_in_order(engine: TransformersEngine) -> None:
    steps: list[tuple[int, int]] = []
    tune(engine, EXAMPLES, PROMPT, settings(), on_step=lambda done, total, loss: steps.append((done, total)))
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_an_adapter_is_a_value_and_works_again_later(engine: TransformersEngine) -> None:
    tuned = tune(engine, EXAMPLES, PROMPT, settings())
    with applied(engine, tuned.adapter):
        first = engine.score(CONTEXT, 0)
    with applied(engine, tuned.adapter):
        assert engine.score(CONTEXT, 0) == first


def test_same_seed_same_adapter(engine: TransformersEngine) -> None:
    def tensors(seed: int) -> dict[str, torch.Tensor]:
        adapter = tune(engine, EXAMPLES, PROMPT, settings(seed=seed)).adapter
        assert adapter is not None
        return dict(adapter.tensors)

    first, again, other = tensors(1), tensors(1), tensors(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_callers_random_state_is_left_alone(engine: TransformersEngine) -> None:
    state = torch.random.get_rng_state()
    tune(engine, EXAMPLES, PROMPT, settings())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_guard_drops_an_adapter_that_harms(engine: TransformersEngine) -> None:
    tuned = tune(engine, ["zzzz qqqq 0000 !!!! " * 3] * 12, PROMPT, settings(learning_rate=1.0))
    assert tuned.context_loss[0.0] == min(tuned.context_loss.values())
    assert tuned.adapter is None


def test_the_guard_keeps_an_adapter_that_helps(engine: TransformersEngine) -> None:
    tuned = tune(engine, EXAMPLES, PROMPT, settings())
    assert tuned.adapter is not None
    assert tuned.context_loss[tuned.adapter.scale] < tuned.context_loss[0.0]


def test_without_the_guard_everything_is_kept(engine: TransformersEngine) -> None:
    tuned = tune(engine, ["zzzz qqqq"] * 3, PROMPT, settings(guard=False, learning_rate=0.1))
    assert tuned.adapter is not None
    assert tuned.adapter.scale == 1.0
    assert tuned.context_loss == {}


def test_without_context_there_is_nothing_to_judge_by(engine: TransformersEngine) -> None:
    tuned = tune(engine, EXAMPLES, Prompt("# b.py\n", (7, 7)), settings())
    assert tuned.context_loss == {}
    assert best_scale({}) == 1.0
    assert tuned.adapter is not None


@pytest.mark.parametrize(
    ("watched", "worn"), [((Passage(CONTEXT, 7),), {0.7, 0.35}), ((), {0.7}), ((Passage("", 0),), {0.7})]
)
def test_no_more_is_worn_than_is_said(
    engine: TransformersEngine, watched: tuple[Passage, ...], worn: set[float]
) -> None:
    with Wardrobe(engine) as wardrobe:
        run = TuningRun(engine, wardrobe, EXAMPLES, settings())
        taken(run)
        adapter, losses = judge(engine, wardrobe, run.adapter(), watched, most=0.7)
    assert adapter is not None
    assert adapter.scale in worn
    assert set(losses) in ({0.0, 0.35, 0.7}, set())


def test_cancelling_takes_effect_before_the_next_step(engine: TransformersEngine) -> None:
    before = fingerprint(engine)
    asked = iter([False, False, True])
    tuned = tune(engine, EXAMPLES, PROMPT, settings(), cancelled=lambda: next(asked))
    assert len(tuned.losses) == 2
    assert tuned.adapter is None
    assert fingerprint(engine) == before


def test_nothing_to_learn_from_is_no_adapter(engine: TransformersEngine) -> None:
    assert tune(engine, [], PROMPT, settings()).adapter is None
    assert tune(engine, ["", "x"], PROMPT, settings()).adapter is None


def test_scale_zero_is_the_base_exactly(engine: TransformersEngine) -> None:
    adapter = tune(engine, EXAMPLES, PROMPT, settings(guard=False)).adapter
    assert adapter is not None
    base = engine.score(CONTEXT, 0)
    with attached(engine, adapter.rank, seed=0) as lora:
        lora.load(Adapter(adapter.tensors, adapter.rank, scale=0.0))
        assert engine.score(CONTEXT, 0) == base


ELSEWHERE = Passage("qwzx 0123 !!! ~~~ 9876 %%% @@@\n" * 2, 0)
"""Text that what is learned of the examples, with such a learning rate, does not help."""


def watched_run(
    engine: TransformersEngine,
    wardrobe: Wardrobe,
    watched: Passage,
    start: Adapter | None = None,
    learning_rate: float = 2.0,
) -> TuningRun:
    recipe = settings(learning_rate=learning_rate)
    return TuningRun(engine, wardrobe, EXAMPLES * 4, recipe, start=start, watched=[watched])


def taken(run: TuningRun) -> int:
    while run.done < run.steps:
        run.step()
    return run.done


def test_a_run_that_helps_where_it_is_watched_goes_on_to_its_end(engine: TransformersEngine) -> None:
    with Wardrobe(engine) as wardrobe:
        # At a rate at which each look sees much less loss than the one before, on any processor.
        assert taken(watched_run(engine, wardrobe, Passage(CONTEXT, 7), learning_rate=0.02)) == 4 * len(EXAMPLES)


def test_steps_that_do_not_help_are_taken_back_and_end_the_run(engine: TransformersEngine) -> None:
    with Wardrobe(engine) as wardrobe:
        run = watched_run(engine, wardrobe, ELSEWHERE)
        assert taken(run) == WATCH_EVERY
        # Nothing was good enough to be kept: it is where it began, which is the base.
        losses = context_loss(engine, wardrobe, run.adapter(), [ELSEWHERE])
        assert losses[1.0] == pytest.approx(losses[0.0], abs=1e-6)


def test_a_run_goes_back_to_the_adapter_that_it_began_with(engine: TransformersEngine) -> None:
    start = tune(engine, EXAMPLES, PROMPT, settings(guard=False)).adapter
    assert start is not None
    with Wardrobe(engine) as wardrobe:
        run = watched_run(engine, wardrobe, ELSEWHERE, start)
        assert taken(run) == WATCH_EVERY
        for name, value in run.adapter().tensors.items():
            torch.testing.assert_close(value, start.tensors[name], atol=1e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("seen", "kept", "looks"),
    [
        ([3.0, 2.0, 1.0], "after 2", 2),
        ([3.0, 2.0, 2.5], "after 1", 2),
        ([3.0, 3.0], None, 1),
        ([None, None, None], None, 2),
    ],
)
def test_what_was_best_is_kept(seen: list[float | None], kept: str | None, looks: int) -> None:
    scores = iter(seen)
    watch = Watch(lambda: next(scores))
    watch.start()
    done = 0
    for number in range(1, len(seen)):
        done = number
        copy: Tensors = {f"after {number}": torch.zeros(1)}
        if not watch.goes_on(lambda copy=copy: copy):
            break
    assert done == looks
    assert (next(iter(watch.kept)) if watch.kept is not None else None) == kept


def test_momentum_counts_from_the_second_step_on(engine: TransformersEngine) -> None:
    moved = {}
    for momentum in (0.0, 0.9):
        with Wardrobe(engine) as wardrobe:
            run = TuningRun(engine, wardrobe, EXAMPLES, replace(settings(), momentum=momentum))
            run.step()
            first = run.adapter().tensors
            run.step()
            moved[momentum] = (first, run.adapter().tensors)
    begun, went = zip(*moved.values(), strict=True)
    assert all(torch.equal(begun[0][name], begun[1][name]) for name in begun[0])
    assert not all(torch.equal(went[0][name], went[1][name]) for name in went[0])
