"""A model in bfloat16: close to what it is in float32, the same each time, and bit for bit itself after learning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AttentionInterface

from vicinal_daemon.generate.bfloat16 import ATTENTION, FEW, READ_WHOLE, ROWS, EvenLinear, _later
from vicinal_daemon.generate.device import choose_dtype
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.run import TuningRun, TuningSettings
from vicinal_daemon.tune.wardrobe import Wardrobe

TEXT = "def total(items):\n    return sum(item.price for item in items)\n" * 6
PROMPT = Prompt(TEXT, (0, len(TEXT)), True)
CPU = torch.device("cpu")
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.addmm_, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


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
    apart = [abs(a - b) for a, b in zip(first, second, strict=True)]
    assert max(apart) < 0.5
    assert sum(apart) / len(apart) < 0.05
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


class Watched(TorchDispatchMode):
    """Of each product of matrices: the numbers' types, and the shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.types: set[torch.dtype] = set()
        self.shapes: set[tuple[torch.Size, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket in PRODUCTS:
            matrices = [value for value in args if isinstance(value, torch.Tensor)]
            self.types |= {value.dtype for value in matrices}
            self.shapes.add(tuple(value.shape for value in matrices))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("tokens", [ROWS - 3, ROWS + 2 * FEW])
def test_what_a_step_multiplies_is_bfloat16_and_of_few_shapes(half: TransformersEngine, tokens: int) -> None:
    """A text multiplies what one of the next multiple of `ROWS` does, but for a rest of `FEW` rows."""
    seen = []
    for length in (tokens, tokens + -tokens % ROWS):
        with Wardrobe(half) as wardrobe:
            run = TuningRun(half, wardrobe, [TEXT * 2], TuningSettings(4, 1e-3, length, guard=False, seed=0, depth=1.0))
            assert run.next_tokens == length
            with Watched() as watched:
                run.step()
        assert watched.types == {torch.bfloat16}
        seen.append(watched.shapes)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("tokens", [2, ROWS, ROWS + 1, READ_WHOLE])
def test_attention_to_what_comes_earlier_is_pytorchs_and_so_is_its_way_back(
    half: TransformersEngine, tokens: int
) -> None:
    torch.manual_seed(tokens)
    query, key, value = (torch.randn(2, heads, tokens, 16).bfloat16().requires_grad_() for heads in (6, 2, 2))
    fit = AttentionInterface()[half.model.config._attn_implementation]
    _later.cache_clear()
    with torch.inference_mode():  # what it keeps for the next text must do for learning, too
        read = fit(torch.nn.Module(), query, key, value, None, scaling=0.2)[0]
    found = fit(torch.nn.Module(), query, key, value, None, scaling=0.2)[0]
    assert torch.equal(found, read)
    aim = torch.randn_like(found)
    found.backward(aim)
    ours = [part.grad.clone() for part in (query, key, value) if part.grad is not None]
    plain = [part.detach().float().requires_grad_() for part in (query, key, value)]
    wanted = functional.scaled_dot_product_attention(*plain, is_causal=True, scale=0.2, enable_gqa=True)
    wanted = wanted.transpose(1, 2)
    wanted.backward(aim.float())
    for mine, theirs in zip((found, *ours), (wanted, *(part.grad for part in plain)), strict=True):
        assert theirs is not None
        assert (mine.float() - theirs).norm() < 0.02 * theirs.norm()
