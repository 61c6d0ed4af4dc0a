"""What this machine can do: the rate of matrix products, and how fast memory is read.

Owns the measuring, some tenths of a second of each. It knows no model: it is given shapes.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from vicinal_daemon.generate.device import dtype_name
from vicinal_daemon.profile.flops import Layer, Rates

ROWS = 256
"""Tokens that a product is measured with: about a training step's, or a piece of a prompt."""

READ_BYTES = 256 * 2**20
"""More than processors' caches hold."""

REPEATS = 5
MOST_SHAPES = 4


def shapes_of(layers: Sequence[Layer]) -> list[tuple[int, int, int]]:
    """(rows, inputs, outputs) of the largest different weight matrices of a model, at most `MOST_SHAPES`."""
    found = {(ROWS, linear.inputs, linear.outputs) for layer in layers for linear in layer.linears}
    return sorted(found, key=lambda shape: (-shape[1] * shape[2], shape))[:MOST_SHAPES]


@torch.no_grad()
def measure(
    shapes: Sequence[tuple[int, int, int]], device: torch.device, dtype: torch.dtype, wait: Callable[[], None]
) -> Rates:
    """The rates of a device; without shapes those of square matrices.

    Args:
        wait: until the device is done.
    """
    found = [(shape, _products(shape, device, dtype, wait)) for shape in shapes or [(ROWS, 1024, 1024)]]
    return Rates(median(rate for _, rate in found), _reading(device, wait), tuple(found), dtype_name(dtype))


def _products(shape: tuple[int, int, int], device: torch.device, dtype: torch.dtype, wait: Callable[[], None]) -> float:
    rows, inputs, outputs = shape
    flops = 2.0 * rows * inputs * outputs
    left = torch.rand(rows, inputs, device=device, dtype=dtype)
    weight = torch.rand(outputs, inputs, device=device, dtype=dtype)
    return flops / _seconds(lambda: torch.nn.functional.linear(left, weight), wait)


def _reading(device: torch.device, wait: Callable[[], None]) -> float:
    """Bytes a second: the better of two ways to read an array, adding it up and copying it (which also writes)."""
    array = torch.ones(READ_BYTES // 4, device=device)
    half = array[: len(array) // 2]
    other = torch.empty_like(half)
    added = array.nbytes / _seconds(array.sum, wait)
    copied = 2 * half.nbytes / _seconds(lambda: other.copy_(half), wait)
    return max(added, copied)


def _seconds(work: Callable[[], object], wait: Callable[[], None]) -> float:
    """The median of some times, after one that does not count."""
    times = []
    for _ in range(REPEATS + 1):
        wait()
        started = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - started)
    return median(times[1:])
