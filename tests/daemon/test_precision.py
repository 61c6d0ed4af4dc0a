"""A model in bfloat16: close to what it is in float32, the same each time, and bit for bit itself after learning."""

from pathlib import Path

import pytest
import torch

from vicinal_daemon.generate.bfloat16 import ATTENTION, FEW, ROWS, EvenLinear
from vicinal_daemon.generate.device import choose_dtype
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.wardrobe import Wardrobe

TEXT = "def total(items):\n    return sum(item.price for item in items)\n" * 6
PROMPT = Prompt(TEXT, (0, len(TEXT)), True)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu", depth=0.5)


@pytest.fixture
def half(tiny_model_dir: Path) -> TransformersEngine:
    return TransformersEngine(tiny_model_dir, "cpu", depth=0.5, precision="bfloat16")


def weights(engine: TransformersEngine) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in engine.model.state_dict().items()}


def test_auto_goes_by_what_the_device_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert choose_dtype("auto", CPU) == torch.bfloat16
    assert choose_dtype("float32", CPU) == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("bfloat16", CPU) == torch.bfloat16
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert choose_dtype("auto", CPU) == torch.float32


def test_products_have_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    multiply, seen = torch.nn.functional.linear, set()

    def counted(rows: torch.Tensor, *others: torch.Tensor | None) -> torch.Tensor:
        seen.add(tuple(rows.shape))
        return multiply(rows, *others)

    plain = torch.nn.Linear(12, 5)
    even = EvenLinear(12, 5)
    even.load_state_dict(plain.state_dict())
    monkeypatch.setattr(torch.nn.functional, "linear", counted)
    for count in range(1, 2 * ROWS + 5):
        texts = [torch.randn(1, count + 3, 12)[:, 3:].requires_grad_() for _ in range(2)]
        texts[1].data.copy_(texts[0].data)
        for rows, layer in zip(texts, (plain, even), strict=True):
            layer(rows).square().sum().backward()
        torch.testing.assert_close(even(texts[0]), plain(texts[0]))
        torch.testing.assert_close(texts[1].grad, texts[0].grad)
    by_even = {shape[0] for shape in seen if len(shape) == 2}
    assert by_even == {1, FEW, ROWS, 2 * ROWS, 3 * ROWS}


def test_a_model_on_a_cpu_is_made_for_it(half: TransformersEngine, whole: TransformersEngine) -> None:
    assert half.model.config._attn_implementation == ATTENTION
    assert isinstance(half.model.get_output_embeddings(), EvenLinear)
    assert not any(isinstance(module, EvenLinear) for module in whole.model.modules())
    assert half.trunk is not None


def test_scores_are_close_and_take_half_the_room(whole: TransformersEngine, half: TransformersEngine) -> None:
    first, second = (engine.score(TEXT, 0).log_probabilities for engine in (whole, half))
    assert first != second
    assert sum(second) == pytest.approx(sum(first), rel=0.01)
    assert max(abs(a - b) for a, b in zip(first, second, strict=True)) < 0.3
    assert half.model.get_memory_footprint() == pytest.approx(whole.model.get_memory_footprint() / 2, rel=0.01)


@pytest.mark.parametrize("kept", [1, 3, 0])
def test_the_output_head_says_the_same_of_some_rows_as_of_all(half: TransformersEngine, kept: int) -> None:
    tokens = torch.tensor([half.codec.encode(TEXT)[0]])
    with torch.inference_mode():
        asked = half.model(tokens, logits_to_keep=kept).logits
        states = half.model.get_decoder()(tokens).last_hidden_state
    head = half.model.get_output_embeddings().weight
    assert asked.shape == (1, kept or tokens.shape[1], len(head))
    torch.testing.assert_close(asked, (states @ head.T)[:, -kept:], atol=0.02, rtol=0.02)


@pytest.mark.parametrize("depth", [0.5, 1.0])
def test_learning_follows_float32_and_leaves_the_model_as_it_was(
    whole: TransformersEngine, half: TransformersEngine, depth: float
) -> None:
    settings = TuningSettings(rank=8, learning_rate=0.01, max_tokens=64, guard=False, seed=0, depth=depth)
    before, curves = weights(half), []
    for engine in (whole, half):
        with Wardrobe(engine) as wardrobe:
            run = TuningRun(engine, wardrobe, [TEXT] * 8, settings)
            curves.append([run.step() for _ in range(run.steps)])
            learned = run.adapter()
            assert learned.is_finite
            with wardrobe.wearing(learned):
                worn = engine.score(TEXT, 0).log_probabilities
        assert sum(worn) > sum(engine.score(TEXT, 0).log_probabilities)
    assert curves[1] == pytest.approx(curves[0], rel=0.02)
    assert curves[1][-1] < 0.9 * curves[1][0]
    after = weights(half)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_same_text_is_written_each_time(half: TransformersEngine) -> None:
    texts = {half.generate(PROMPT, lambda _: False, max_tokens=12).text for _ in range(3)}
    assert len(texts) == 1


def test_what_learns_is_float32(half: TransformersEngine) -> None:
    with Wardrobe(half) as wardrobe:
        run = TuningRun(half, wardrobe, [TEXT], TuningSettings(4, 1e-3, 64, guard=False, seed=0))
        learning = wardrobe.seat(run).parameters("study").values()
        assert {value.dtype for value in learning} == {torch.float32}
    assert half.dtype == torch.bfloat16


def test_an_adapter_is_multiplied_as_its_layer_is(half: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    multiply, seen = torch.nn.functional.linear, set()

    def watched(rows: torch.Tensor, weight: torch.Tensor, *rest: torch.Tensor | None) -> torch.Tensor:
        seen.add((rows.dtype, weight.dtype, len(rows) % ROWS == 0))
        return multiply(rows, weight, *rest)

    with Wardrobe(half) as wardrobe:
        run = TuningRun(half, wardrobe, [TEXT], TuningSettings(4, 1e-3, 61, guard=False, seed=0, depth=1.0))
        monkeypatch.setattr(torch.nn.functional, "linear", watched)
        run.step()
    assert seen == {(torch.bfloat16, torch.bfloat16, True)}
