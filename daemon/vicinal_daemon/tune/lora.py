"""LoRA on a loaded model, by peft.

Owns attaching and detaching, the two slots (what is worn to write, what is trained), and adapters as values (named
tensors). The model's weights never move; with nothing worn it computes what the bare model does, bit for bit. It does
not know what is learned, or why.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.transformers_engine import TransformersEngine

Slot = Literal["serve", "study"]
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """What was learned: W + scale * B A for each linear layer, alpha = rank.

    Attributes:
        tensors: peft's names -> tensors on the CPU; float16 once it is finished.
        rank: r, the inner dimension of each pair.
        scale: in [0, 1]; what the guard left of it.
    """

    tensors: Tensors
    rank: int
    scale: float = 1.0

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def is_finite(self) -> bool:
        """Whether it is made of numbers; too high a learning rate leaves none."""
        return all(bool(tensor.isfinite().all()) for tensor in self.tensors.values())


def rounded(tensors: Tensors, rank: int) -> Adapter:
    """A finished adapter: float16, so that it is on disk what it is in memory."""
    return Adapter({name: value.to("cpu", torch.float16) for name, value in tensors.items()}, rank)


class AttachedLora:
    """A model whose linear layers, from layer number `first` on, can wear a LoRA of two slots, or none: `wear`.

    Raises:
        ModelUnusable: the model has no layers that can.
    """

    def __init__(self, model: Any, rank: int, first: int = 0) -> None:
        self.rank = rank
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            target_modules=_linear_layers(model, first) if first else "all-linear",
            task_type="CAUSAL_LM",
        )
        # peft draws values for the new layers; the caller's generator is left as it was.
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # peft asks transformers by an old name; nothing that a user could do about it.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
            try:
                self.model = get_peft_model(model, config, adapter_name="serve")
            except ValueError as error:
                raise ModelUnusable(
                    f"this model cannot be tuned with LoRA: {error}", hint="use --steps 0, or another --model"
                ) from error
            self.model.add_adapter("study", config)
        self._layers = {n: module for n, module in self.model.named_modules() if isinstance(module, LoraLayer)}
        self._worn: Slot | None = None
        self._put_on(None)

    def wear(self, slot: Slot | None) -> None:
        """Let the model compute with a slot from now on; None is the bare model."""
        if slot != self._worn:
            self._put_on(slot)

    def scale(self, scale: float, slot: Slot = "serve") -> None:
        """Let a slot count `scale` times; 0 is the base model exactly."""
        for layer in self._layers.values():
            layer.set_scale(slot, scale)

    def parameters(self, slot: Slot) -> dict[str, torch.nn.Parameter]:
        """A slot's own parameters, by peft's names."""
        found = {}
        for name, layer in self._layers.items():
            found[f"{name}.lora_A.weight"] = layer.lora_A[slot].weight
            found[f"{name}.lora_B.weight"] = layer.lora_B[slot].weight
        return found

    def tensors(self, slot: Slot) -> dict[str, torch.Tensor]:
        """A copy of what a slot holds."""
        return {name: value.detach().clone() for name, value in self.parameters(slot).items()}

    def fill(self, slot: Slot, tensors: Tensors) -> None:
        """Copy values into a slot; a parameter stays the object that it is.

        Raises:
            ModelDamaged: they are not of this model and rank; the slot is as before.
        """
        parameters = self.parameters(slot)
        if {n: v.shape for n, v in parameters.items()} != {n: v.shape for n, v in tensors.items()}:
            raise ModelDamaged("the adapter does not fit this model", hint="delete it; it is learned anew")
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(tensors[name])

    def load(self, adapter: Adapter) -> None:
        """Wear `adapter` from now on."""
        self.fill("serve", adapter.tensors)
        self.scale(adapter.scale)
        self.wear("serve")

    def fresh(self, seed: int) -> dict[str, torch.Tensor]:
        """Where learning starts: A random, B zero; the very numbers that peft draws after `manual_seed(seed)`."""
        start = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, layer in self._layers.items():
                a = torch.nn.Linear(layer.in_features, self.rank, bias=False).weight
                b = torch.nn.Linear(self.rank, layer.out_features, bias=False).weight
                torch.nn.init.kaiming_uniform_(a, a=math.sqrt(5))
                start[f"{name}.lora_A.weight"] = a.detach()
                start[f"{name}.lora_B.weight"] = torch.zeros_like(b)
        return start

    def detach(self) -> None:
        """Give the model its own layers back."""
        model = self.model.unload()
        model.requires_grad_(False)
        model.eval()
        if hasattr(model, "peft_config"):
            del model.peft_config

    def _put_on(self, slot: Slot | None) -> None:
        # With no active adapter a layer of peft's returns what its base layer does, untouched.
        for layer in self._layers.values():
            layer.set_adapter([slot] if slot else [], inference_mode=slot != "study")
        self._worn = slot


def _linear_layers(model: Any, first: int) -> list[str]:
    """The names of the linear layers in the model's layers from number `first` on."""
    above = {id(module) for layer in model.get_decoder().layers[first:] for module in layer.modules()}
    return [n for n, module in model.named_modules() if isinstance(module, torch.nn.Linear) and id(module) in above]


@contextmanager
def attached(engine: TransformersEngine, rank: int, seed: int) -> Iterator[AttachedLora]:
    """Wrap linear layers of the model in place for the length of the block, then unwrap them.

    Its slot for study holds the start that `seed` gives; nothing is worn.
    """
    lora = AttachedLora(engine.model, rank, engine.first)
    try:
        lora.fill("study", lora.fresh(seed))
        yield lora
    finally:
        lora.detach()


@contextmanager
def applied(engine: TransformersEngine, adapter: Adapter | None) -> Iterator[None]:
    """Let the model answer with `adapter` for the length of the block; None is the base model."""
    if adapter is None or adapter.scale == 0:
        yield
        return
    with attached(engine, adapter.rank, seed=0) as lora:
        lora.load(adapter)
        yield
