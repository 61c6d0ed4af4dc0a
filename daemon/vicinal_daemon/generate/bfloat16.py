"""What a model in bfloat16 needs to be quick on a CPU, and to stay as small as it is.

PyTorch has such products computed by oneDNN, which compiles code for each shape that it meets, and keeps it: with a
text of another length each time a process grew by a gigabyte (`benchmarks/growth.py`). So the shapes are made few here.
Owns what is changed in a loaded model for that; what the model computes stays the same but for rounding.
"""

from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

ROWS = 64
"""Products have a multiple of so many rows: four of the units' tiles."""

FEW = 8
"""Up to so many rows are made so many, but for a single one: what is written, a token or a guess of some at a time."""

ATTENTION = "sdpa_in_float32"


def is_compiled(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of such numbers on such a device are compiled for each shape."""
    return dtype == torch.bfloat16 and device.type == "cpu"


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """As PyTorch's, with rows of zeros that are taken off what comes out; of any type, but only bfloat16 gains by it.

    Rows are read as one matrix whatever their shape: of a view with the strides of a larger one PyTorch would make a
    batch, and copy the transposed weights for each of it, which takes longer than all layers together.
    """
    matrix = rows.reshape(-1, rows.shape[-1])
    count = len(matrix)
    more = -count % (ROWS if count > FEW else FEW) if count > 1 else 0
    found = functional.linear(functional.pad(matrix, (0, 0, 0, more)) if more else matrix, weight, bias)
    return found[:count].view(*rows.shape[:-1], -1)


class EvenLinear(torch.nn.Linear):
    """A layer that computes `linear`, with numbers of the type of what it reads, whatever that of its weights is."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return linear(rows, self.weight.to(rows.dtype), self.bias)


def fit_for_cpu(model: Any) -> None:
    """Let a loaded bfloat16 model multiply matrices of few shapes, and attend in float32.

    Attention has a shape for each length of a text and of what was read before it. In float32 it needs no compiled
    code, and its way back is quicker.
    """
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = EvenLinear
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)


def _attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *args: Any, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    found, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), *args, **kwargs)
    return found.to(query.dtype), weights
