"""What a step lowers: with little in memory it is the same loss, with the same gradients."""

import math
from pathlib import Path

import pytest
import torch

from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune import objective as objectives
from vicinal_daemon.tune.lora import AttachedLora
from vicinal_daemon.tune.wardrobe import Wardrobe

IDS = [(7 * n + n * n) % 60 + 1 for n in range(150)]
assert len(IDS) > 2 * objectives.HEAD_AT_ONCE


@pytest.fixture
def engine(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu", depth=0.5)


def learned(
    engine: TransformersEngine, lora: AttachedLora, loss_of: objectives.Objective
) -> tuple[float, dict[str, torch.Tensor], int]:
    """The loss, its gradients, and the bytes that were kept between the way there and the way back."""
    lora.fill("study", lora.fresh(seed=1, first=0))
    with torch.no_grad():
        for name, value in lora.parameters("study").items():
            value.add_(0.01 if ".lora_B." in name else 0.0)  # B begins at 0, where A has no gradient
    lora.wear("study")
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {value.untyped_storage().data_ptr() for value in engine.model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = loss_of(IDS)()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: value.grad.clone() for name, value in lora.parameters("study").items() if value.grad is not None}
    engine.model.zero_grad()
    lora.wear(None)
    return loss.item(), gradients, sum(size for place, size in kept.items() if place not in weights)


def test_what_is_computed_again_is_the_same_and_takes_less_memory(engine: TransformersEngine) -> None:
    with Wardrobe(engine) as wardrobe:
        lora = wardrobe.of_rank(4)
        loss, gradients, kept = learned(engine, lora, objectives.objective(engine, [IDS], first=0))
        engine.trunk = None  # of a model that is not known to be its layers
        own, expected, more = learned(engine, lora, objectives.objective(engine, [IDS], first=0))
    assert loss == pytest.approx(own, rel=1e-6)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-8)
    assert kept < more / 3


def test_the_model_forgets_nothing_afterwards(engine: TransformersEngine) -> None:
    objectives.objective(engine, [IDS], first=0)(IDS)()
    assert not any("forward" in vars(layer) for layer in engine.model.get_decoder().layers)


def of_part(engine: TransformersEngine, examples: list[list[int]], ids: list[int]) -> tuple[float, torch.Tensor]:
    """The loss above the trunk, and its gradient for what the head reads."""
    assert engine.trunk is not None
    outputs = engine.trunk.upper(engine.trunk.states(ids)).detach().requires_grad_()
    loss = objectives._Sampled(engine.model.get_output_embeddings().weight, examples).loss(outputs, ids)
    loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    return loss.item(), outputs.grad


def whole(engine: TransformersEngine, ids: list[int]) -> tuple[float, torch.Tensor]:
    assert engine.trunk is not None
    outputs = engine.trunk.upper(engine.trunk.states(ids)).detach().requires_grad_()
    logits = outputs[:-1] @ engine.model.get_output_embeddings().weight.T
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]))
    loss.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    return loss.item(), outputs.grad


def test_where_every_token_counts_it_is_the_whole_softmax(engine: TransformersEngine) -> None:
    loss, gradient = of_part(engine, [IDS], IDS)
    expected, exact = whole(engine, IDS)
    assert loss == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(gradient, exact, rtol=1e-4, atol=1e-7)


def test_a_sample_stands_for_the_tokens_that_are_not_counted(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the mean over what is drawn, the sum under the softmax is that of the whole vocabulary."""
    monkeypatch.setattr(objectives, "FREQUENT_TOKENS", 8)
    monkeypatch.setattr(objectives, "EVEN", 1)
    monkeypatch.setattr(objectives, "SAMPLED_TOKENS", 32)
    head = engine.model.get_output_embeddings().weight
    assert engine.trunk is not None
    with torch.no_grad():
        read = engine.trunk.upper(engine.trunk.states([1, 2]))[0]
        logits = (head @ read).double()
    found = []
    for token in range(len(head)):  # a text of two tokens draws others for each second one
        loss, _ = of_part(engine, [[1, token]], [1, token])
        assert loss == of_part(engine, [[1, token]], [1, token])[0]
        found.append(math.exp(loss + float(logits[token])) / float(logits.exp().sum()))
    assert sum(found) / len(found) == pytest.approx(1, abs=0.05)
    assert min(found) < 0.99
    assert max(found) > 1.01


def test_as_many_tokens_count_as_make_few_shapes() -> None:
    of_the_run = {5, 4100, 4101, 30_000}
    counted = objectives._counted(49_152, of_the_run)
    assert counted == sorted(set(counted))
    assert {*range(objectives.FREQUENT_TOKENS), *of_the_run} <= set(counted)
    assert len(counted) == objectives.FREQUENT_TOKENS + objectives.EVEN
    assert objectives._counted(300, {7}) == list(range(300))
