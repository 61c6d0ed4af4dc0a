"""The trunk: a model that is cut between two layers is the same model."""

from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, GPT2Config, GPT2LMHeadModel

from vicinal_daemon.generate import trunk as trunks
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.generate.trunk import Trunk, first_to_learn, trunk_of

IDS = [5, 9, 2, 7, 7, 1, 30, 12]


@pytest.fixture(scope="module")
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu", depth=0.5)


@pytest.fixture
def trunk(engine: TransformersEngine) -> Trunk:
    assert engine.trunk is not None
    return engine.trunk


@torch.no_grad()
def test_both_parts_together_are_the_model(engine: TransformersEngine, trunk: Trunk) -> None:
    whole = engine.model(torch.tensor([IDS]), use_cache=True)
    states, cache = trunk.states(IDS), DynamicCache()
    assert torch.equal(states, trunk.heard())
    assert torch.equal(engine.model.lm_head(trunk.upper(states, cache)), whole.logits[0])
    for upper in range(trunk.first, len(cache.layers)):
        assert torch.equal(cache.layers[upper].keys, whole.past_key_values.layers[upper].keys)
        assert torch.equal(cache.layers[upper].values, whole.past_key_values.layers[upper].values)


@torch.no_grad()
def test_a_cut_model_is_whole_again(engine: TransformersEngine, trunk: Trunk) -> None:
    before = engine.model(torch.tensor([IDS])).logits
    trunk.below(IDS)
    with pytest.raises(RuntimeError):
        trunk.upper(torch.zeros(3, 5))  # of another width
    assert torch.equal(engine.model(torch.tensor([IDS])).logits, before)


def test_what_was_studied_is_remembered_within_bounds(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trunk.states([1, 2, 3])
    assert trunk.states([1, 2, 3]) is first
    monkeypatch.setattr(trunks, "BYTES_IN_MEMORY", 2 * first.nbytes)
    second, third = trunk.states([4, 5, 6]), trunk.states([7, 8, 9])
    assert trunk.states([7, 8, 9]) is third
    assert trunk.states([4, 5, 6]) is second
    again = trunk.states([1, 2, 3])
    assert again is not first
    assert torch.equal(again, first)


@pytest.mark.parametrize(("depth", "first"), [(1.0, 0), (0.5, 1), (0.01, 1)])
def test_at_least_one_layer_learns(engine: TransformersEngine, depth: float, first: int) -> None:
    assert first_to_learn(engine.model, depth) == first


def test_a_model_that_is_more_than_its_layers_has_no_trunk() -> None:
    """GPT-2 adds its positions to what it is given, so its upper part cannot be run alone."""
    with torch.random.fork_rng(devices=[]):
        model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=32, n_embd=16, n_layer=2, n_head=2)).eval()
    assert first_to_learn(model, 0.5) == 0
    assert trunk_of(model, 1) is None
