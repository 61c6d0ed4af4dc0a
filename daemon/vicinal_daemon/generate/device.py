"""What a model computes on, with which numbers and how many threads.

Owns these choices. It knows no model files.
"""

from collections.abc import Mapping
from typing import Literal

import torch

from vicinal_daemon.errors import ModelUnusable

Precision = Literal["auto", "float32", "bfloat16"]


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


def choose_dtype(wanted: Precision, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where the device has units that multiply matrices of it, else float32.

    By what the device says of itself, not by a measurement: the same machine must always give the same answer. Without
    such units bfloat16 can be orders of magnitude slower.
    """
    if wanted == "auto":
        return torch.bfloat16 if _has_units(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[wanted]


def use_threads(count: int) -> None:
    """Let this process compute with so many threads from now on; 0 leaves it to torch, which takes all processors."""
    if count:
        torch.set_num_threads(count)


def _has_units(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Of CPUs Intel's AMX is the kind that was tried; an older torch cannot be asked.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("amx_bf16"))


def dtype_name(dtype: torch.dtype) -> str:
    """As people write it.

    >>> dtype_name(torch.bfloat16)
    'bfloat16'
    """
    return str(dtype).removeprefix("torch.")
