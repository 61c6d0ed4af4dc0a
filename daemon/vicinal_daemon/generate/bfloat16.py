"""What a model in bfloat16 needs to be quick on a CPU, and to stay as small as it is.

PyTorch has such products computed by oneDNN, which compiles code for each shape that it meets, and keeps it: with a
text of another length each time a process grew by a gigabyte (`benchmarks/growth.py`). So the shapes are made few here.
Owns what is changed in a loaded model for that; what the model computes stays the same but for rounding.
"""

from functools import lru_cache
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

ATTENTION = "vicinal_cpu"

READ_WHOLE = 512
"""Tokens of a text up to which all of its attention weights are in memory at once: 4.5 MiB a layer of nine heads."""


def is_compiled(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether products of such numbers on such a device are compiled for each shape."""
    return dtype == torch.bfloat16 and device.type == "cpu"


def linear(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """As PyTorch's, with rows of zeros that are taken off what comes out; of any type, but only bfloat16 gains by it.

    Rows are read as one matrix whatever their shape: of a view with the strides of a larger one PyTorch would make a
    batch, and copy the transposed weights for each of it, which takes longer than all layers together.
    """
    matrix = rows.reshape(-1, rows.shape[-1])
    return functional.linear(even(matrix), weight, bias)[: len(matrix)].view(*rows.shape[:-1], -1)


def even(matrix: torch.Tensor) -> torch.Tensor:
    """(n, d) with rows of zeros below, until there are as many as other matrices have too."""
    count = len(matrix)
    more = -count % (ROWS if count > FEW else FEW) if count > 1 else 0
    return functional.pad(matrix, (0, 0, 0, more)) if more else matrix


class EvenLinear(torch.nn.Linear):
    """A layer that computes `linear`, with numbers of the type of what it reads, whatever that of its weights is."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return linear(rows, self.weight.to(rows.dtype), self.bias)


def fit_for_cpu(model: Any) -> None:
    """Let a loaded bfloat16 model multiply matrices of few shapes, those of its attention included."""
    for module in model.modules():
        if type(module) is torch.nn.Linear:
            module.__class__ = EvenLinear
    if model.config._attn_implementation == "sdpa":
        AttentionInterface.register(ATTENTION, _attend)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """A text that is read from its beginning by products, which are three times quicker on the way there and back
    than PyTorch's kernel. What is read behind something else has a shape of its own for each length of both: that is
    done in float32, which needs no compiled code.
    """
    from_the_start = attention_mask is None and getattr(module, "is_causal", True) and query.shape[-2] == key.shape[-2]
    if from_the_start and 1 < query.shape[-2] <= READ_WHOLE and query.shape[-1] == value.shape[-1]:
        return _attend_to_earlier(query, key, value, kwargs.get("scaling")), None
    found, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), attention_mask, **kwargs)
    return found.to(query.dtype), weights


def _attend_to_earlier(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Each token to itself and those before it: (b, h, n, d) to (b, g, n, d), g dividing h -> (b, n, h, d)."""
    batch, heads, tokens, size = query.shape
    more = -tokens % ROWS
    if more:  # behind the others, so that these do not see them
        query, key, value = (functional.pad(part, (0, 0, 0, more)) for part in (query, key, value))
    padded, groups = tokens + more, key.shape[1]
    each = heads // groups
    asked = (query * (size**-0.5 if scaling is None else scaling)).reshape(batch * groups, each * padded, size)
    keys, values = (part.reshape(batch * groups, padded, size) for part in (key, value))
    later = _later(padded, each).to(asked.dtype).expand(batch * groups, -1, -1)
    weights = torch.baddbmm(later, asked, keys.transpose(1, 2)).softmax(-1)
    found = torch.bmm(weights, values).view(batch, heads, padded, size)
    return found[:, :, :tokens].transpose(1, 2).contiguous()


@lru_cache(maxsize=READ_WHOLE // ROWS)
def _later(tokens: int, times: int) -> torch.Tensor:
    """(times * n, n): 0 up to the diagonal of each square, minus infinity behind it."""
    return torch.full((tokens, tokens), -torch.inf, dtype=torch.bfloat16).triu(1).repeat(times, 1)
