"""The product of a learning layer: what it says and passes back is what PyTorch finds for the formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vicinal_daemon.tune.product import LoraProduct

SIZES = st.integers(1, 5)


def parts(*shape: int) -> tuple[torch.Tensor, ...]:
    """x, W, its bias, A, B: (…, in), (out, in), (out), (r, in), (out, r), in doubles."""
    *leading, inputs, outputs, rank = shape
    sizes = ((*leading, inputs), (outputs, inputs), (outputs,), (rank, inputs), (outputs, rank))
    return tuple(torch.randn(size, dtype=torch.float64) for size in sizes)


@given(st.integers(0, 10**6), st.lists(SIZES, max_size=2), SIZES, SIZES, SIZES, st.floats(0.1, 3.0))
def test_it_is_the_formula(seed: int, leading: list[int], inputs: int, outputs: int, rank: int, scaling: float) -> None:
    torch.manual_seed(seed)
    x, weight, bias, a, b = parts(*leading, inputs, outputs, rank)
    found = LoraProduct.apply(x, weight, bias, a, b, scaling)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(found, x @ weight.T + bias + scaling * (x @ a.T) @ b.T)


@pytest.mark.parametrize("learns_below", [True, False])
def test_its_gradients_are_those_of_the_formula(learns_below: bool) -> None:
    torch.manual_seed(0)
    x, weight, bias, a, b = parts(2, 3, 4, 5, 2)
    x.requires_grad_(learns_below), a.requires_grad_(), b.requires_grad_()
    assert torch.autograd.gradcheck(lambda *of: LoraProduct.apply(of[0], weight, bias, *of[1:], 0.7), (x, a, b))


def test_what_learns_keeps_its_type_beside_a_layer_of_another() -> None:
    x, weight, bias, a, b = (part.float() for part in parts(70, 4, 5, 2))
    a.requires_grad_(), b.requires_grad_()
    found = LoraProduct.apply(x.bfloat16(), weight.bfloat16(), bias.bfloat16(), a, b, 1.0)  # type: ignore[no-untyped-call]
    found.float().square().sum().backward()
    assert found.dtype == torch.bfloat16
    assert found.shape == (70, 5)
    assert a.grad is not None and b.grad is not None  # noqa: PT018 - said for the reader of types
    assert a.grad.dtype == b.grad.dtype == torch.float32
