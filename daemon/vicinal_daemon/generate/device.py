"""What a model computes on, and with which numbers.

Owns the choice of the device, and the one thing that PyTorch needs to be quick with the smaller numbers. It knows no
model files.
"""

from typing import Any, Literal

import torch

from vicinal_daemon.errors import ModelUnusable

Precision = Literal["float32", "bfloat16"]
DTYPES: dict[Precision, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose_device(wanted: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; a device that is not there is an error."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, present in there.items() if present))
    if not there[wanted]:
        raise ModelUnusable(
            f"the device {wanted!r} was asked for, but torch finds none",
            hint="use --device auto, or install a build of torch for this device (see: vicinal doctor)",
        )
    return torch.device(wanted)


def dtype_name(dtype: torch.dtype) -> str:
    """As people write it.

    >>> dtype_name(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")


def quicken_head(model: Any) -> None:
    """Let the output head of a bfloat16 model read its rows as a matrix.

    The last of a text's rows are a view with the strides of all of them; PyTorch takes such a product for a batch, and
    copies the transposed weights each time, which takes longer than all layers together.
    """
    model.get_output_embeddings().register_forward_pre_hook(
        lambda _, inputs: (inputs[0].reshape(-1, inputs[0].shape[-1]).view(inputs[0].shape), *inputs[1:])
    )
