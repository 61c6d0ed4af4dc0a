"""LoRA on a loaded model, by peft.

Owns attaching, stepping, scaling and detaching. An adapter is a value (named tensors), never a mutation: after
the block of `attached` the model's modules and weights are what they were. It does not know what is learned, or why.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

from vicinal_daemon.errors import ModelUnusable


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """What was learned: W + scale * B A for each linear layer, alpha = rank.

    Attributes:
        tensors: peft's names -> float32 tensors on the CPU.
        rank: r, the inner dimension of each pair.
        scale: in [0, 1]; what the guard left of it.
    """

    tensors: Mapping[str, torch.Tensor]
    rank: int
    scale: float = 1.0


class AttachedLora:
    """A model that wears a LoRA: it can be trained step by step and scaled without moving a weight."""

    def __init__(self, model: Any, rank: int, seed: int) -> None:
        # The adapter's start is drawn from its own generator state; the caller's is left as it was.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = LoraConfig(
                r=rank, lora_alpha=rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
            )
            try:
                with warnings.catch_warnings():
                    # peft asks transformers by an old name; nothing that a user could do about it.
                    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
                    self.model = get_peft_model(model, config)
            except ValueError as error:
                raise ModelUnusable(
                    f"this model cannot be tuned with LoRA: {error}", hint="use --steps 0, or another --model"
                ) from error
        self._layers = [module for module in self.model.modules() if hasattr(module, "set_scale")]
        self.parameters = [value for value in self.model.parameters() if value.requires_grad]

    def scale(self, scale: float) -> None:
        """Let the adapter count `scale` times; 0 is the base model exactly."""
        for layer in self._layers:
            layer.set_scale("default", scale)

    def tensors(self) -> dict[str, torch.Tensor]:
        """A copy of what has been learned so far."""
        state = get_peft_model_state_dict(self.model)
        return {name: value.detach().cpu().clone() for name, value in state.items()}

    def load(self, adapter: Adapter) -> None:
        """Wear `adapter` from now on."""
        set_peft_model_state_dict(self.model, dict(adapter.tensors))
        self.scale(adapter.scale)


@contextmanager
def attached(model: Any, rank: int, seed: int) -> Iterator[AttachedLora]:
    """Wrap the linear layers of `model` in place for the length of the block, then unwrap them."""
    lora = AttachedLora(model, rank, seed)
    try:
        yield lora
    finally:
        lora.model.unload()
        model.requires_grad_(False)
        model.eval()
        if hasattr(model, "peft_config"):
            del model.peft_config


@contextmanager
def applied(model: Any, adapter: Adapter | None) -> Iterator[None]:
    """Let `model` answer with `adapter` for the length of the block; None is the base model."""
    if adapter is None or adapter.scale == 0:
        yield
        return
    with attached(model, adapter.rank, seed=0) as lora:
        lora.load(adapter)
        yield
