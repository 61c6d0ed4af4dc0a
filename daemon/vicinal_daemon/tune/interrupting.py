"""A pass through a model, forwards and backwards, that can be ended between any two of its layers.

Owns the hooks for that. It does not know why a pass is ended.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def between_layers(model: Any, ask: Callable[[], None]) -> Iterator[None]:
    """For the time of the block `ask` is called behind each layer of `model`, and again on the way back.

    What it raises ends the pass, and comes out of it. A step takes seconds on a laptop, a layer some hundredths.
    """

    def behind(_layer: Any, _args: Any, output: Any) -> None:
        ask()
        states = output if isinstance(output, torch.Tensor) else output[0]
        if states.requires_grad:
            states.register_hook(lambda _gradient: ask())

    layers = getattr(model.get_decoder(), "layers", ())
    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(behind).remove)
        yield
