"""What a linear layer with a LoRA computes while it learns, in as few operations as that takes.

Owns x W' + s (x A') B' and its gradients, written down instead of found by PyTorch: sums are made where the product
is, rows are padded once (`generate/bfloat16.py`), and nothing that is as large as the layer's output is kept. Of a step
LoRA's small products are a fifth (RESULTS.md). It does not know layers, slots or what is learned.
"""

from typing import Any

import torch
from torch.nn import functional

from vicinal_daemon.generate.bfloat16 import even, is_compiled


class LoraProduct(torch.autograd.Function):
    """(…, in) -> (…, out), with gradients to x, A and B; W and its bias are as they are.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021), equation 3, with s = alpha / r. A (r, in)
    and B (out, r) are multiplied in the type of x; their gradients are of their own type.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scaling: float,
    ) -> torch.Tensor:
        rows = _rows(x)
        narrow, wide = a.to(x.dtype), (b * scaling).to(x.dtype)
        inner = rows @ narrow.T
        found = functional.linear(rows, weight, bias).addmm_(inner, wide.T)
        ctx.save_for_backward(rows, inner, weight, narrow, wide)
        ctx.shape, ctx.scaling, ctx.learned = x.shape, scaling, a.dtype
        return _as_given(found, x.shape)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, inner, weight, narrow, wide = ctx.saved_tensors
        grad = _rows(grads[0])
        within = grad @ wide
        to_a = (within.T @ rows).to(ctx.learned)
        to_b = (grad.T @ inner).to(ctx.learned) * ctx.scaling
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = _as_given((grad @ weight).addmm_(within, narrow), ctx.shape)
        return to_x, None, None, to_a, to_b, None


def _rows(x: torch.Tensor) -> torch.Tensor:
    matrix = x.reshape(-1, x.shape[-1])
    return even(matrix) if is_compiled(x.dtype, x.device) else matrix


def _as_given(matrix: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Without the rows of zeros, and in the shape of what came in but for the last dimension."""
    return matrix[: shape[:-1].numel()].view(*shape[:-1], -1)
