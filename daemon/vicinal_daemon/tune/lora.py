"""LoRA on a loaded model, by peft.

Owns attaching and detaching, the two slots (what is worn to write, what is trained), and adapters as values (named
tensors). The model's weights never move; with nothing worn it computes what the bare model does, bit for bit. It does
not know what is learned, or why.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import Linear as LoraLinear

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.bfloat16 import EvenLinear, is_compiled
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.product import LoraProduct

_NUMBER = re.compile(r"\.(\d+)\.")
"""A layer's number in the names of what is in it."""

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
    def first(self) -> int:
        """The number of the lowest layer that it touches."""
        return first_of(self.tensors)

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def is_finite(self) -> bool:
        """Whether it is made of numbers; too high a learning rate leaves none."""
        return all(bool(tensor.isfinite().all()) for tensor in self.tensors.values())


def first_of(tensors: Tensors) -> int:
    """The number of the lowest layer that these touch."""
    return min((_number(name) for name in tensors), default=0)


def _number(name: str) -> int:
    found = _NUMBER.search(name)
    return int(found[1]) if found else 0


def rounded(tensors: Tensors, rank: int) -> Adapter:
    """A finished adapter: float16, so that it is on disk what it is in memory."""
    return Adapter({name: value.to("cpu", torch.float16) for name, value in tensors.items()}, rank)


class AttachedLora:
    """A model whose linear layers can wear a LoRA of two slots, or none: `wear`.

    What fills a slot says from which layer on the slot counts; the layers below compute what they do bare, bit for bit.

    Raises:
        ModelUnusable: the model has no layers that can.
    """

    def __init__(self, model: Any, rank: int) -> None:
        self.rank = rank
        self._first: dict[Slot, int] = {"serve": 0, "study": 0}
        config = LoraConfig(
            r=rank,
            lora_alpha=rank,
            lora_dropout=0.0,
            target_modules="all-linear",
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
        for layer in self._layers.values():
            if type(layer) is LoraLinear and isinstance(layer.base_layer, torch.nn.Linear):
                layer.__class__ = _Learning
        if is_compiled(model.dtype, model.device):
            self._multiply_in_bfloat16()
        self._worn: Slot | None = None
        self._put_on(None)

    def _multiply_in_bfloat16(self) -> None:
        """As the layers they are beside. The parameters stay float32: a step is smaller than bfloat16 can tell."""
        for layer in self._layers.values():
            layer.cast_input_dtype_enabled = False
            for part in (*layer.lora_A.values(), *layer.lora_B.values()):
                part.__class__ = EvenLinear

    def wear(self, slot: Slot | None) -> None:
        """Let the model compute with a slot from now on; None is the bare model."""
        if slot != self._worn:
            self._put_on(slot)

    def scale(self, scale: float, slot: Slot = "serve") -> None:
        """Let a slot count `scale` times; 0 is the base model exactly."""
        for layer in self._layers.values():
            layer.set_scale(slot, scale)

    def parameters(self, slot: Slot) -> dict[str, torch.nn.Parameter]:
        """A slot's own parameters, from the layer on from which it counts, by peft's names."""
        found = {}
        for name, layer in self._from(self._first[slot]):
            found[f"{name}.lora_A.weight"] = layer.lora_A[slot].weight
            found[f"{name}.lora_B.weight"] = layer.lora_B[slot].weight
        return found

    def tensors(self, slot: Slot) -> dict[str, torch.Tensor]:
        """A copy of what a slot holds."""
        return {name: value.detach().clone() for name, value in self.parameters(slot).items()}

    def fill(self, slot: Slot, tensors: Tensors) -> None:
        """Copy values into a slot; a parameter stays the object that it is. It counts from their lowest layer on.

        Raises:
            ModelDamaged: they are not of this model and rank; the slot is as before.
        """
        before, self._first[slot] = self._first[slot], first_of(tensors)
        parameters = self.parameters(slot)
        if {n: v.shape for n, v in parameters.items()} != {n: v.shape for n, v in tensors.items()}:
            self._first[slot] = before
            raise ModelDamaged("the adapter does not fit this model", hint="delete it; it is learned anew")
        with torch.no_grad():
            for name, value in parameters.items():
                value.copy_(tensors[name])
        if self._worn == slot and before != self._first[slot]:
            self._put_on(slot)

    def load(self, adapter: Adapter) -> None:
        """Wear `adapter` from now on."""
        self.fill("serve", adapter.tensors)
        self.scale(adapter.scale)
        self.wear("serve")

    def fresh(self, seed: int, first: int = 0) -> dict[str, torch.Tensor]:
        """Where learning starts, from layer number `first` on: A random, B zero.

        The very numbers that peft draws for these layers after `manual_seed(seed)`.
        """
        start = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, layer in self._from(first):
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
        first = self._first[slot] if slot else 0
        for name, layer in self._layers.items():
            counts = slot is not None and _number(name) >= first
            layer.set_adapter([slot] if counts else [], inference_mode=slot != "study")
        self._worn = slot

    def _from(self, first: int) -> list[tuple[str, Any]]:
        return [(name, layer) for name, layer in self._layers.items() if _number(name) >= first]


class _Learning(LoraLinear):  # type: ignore[misc]
    """peft's layer, in fewer operations where there will be a way back. What is written is computed by peft's own."""

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if not self.active_adapters or not torch.is_grad_enabled():
            found: torch.Tensor = super().forward(x, *args, **kwargs)
            return found
        (slot,) = self.active_adapters
        base, a, b = self.base_layer, self.lora_A[slot].weight, self.lora_B[slot].weight
        learned: torch.Tensor = LoraProduct.apply(  # type: ignore[no-untyped-call]
            x, base.weight, base.bias, a, b, self.scaling[slot]
        )
        return learned


@contextmanager
def attached(engine: TransformersEngine, rank: int, seed: int) -> Iterator[AttachedLora]:
    """Wrap linear layers of the model in place for the length of the block, then unwrap them.

    Its slot for study holds the start that `seed` gives; nothing is worn.
    """
    lora = AttachedLora(engine.model, rank)
    try:
        lora.fill("study", lora.fresh(seed, engine.first))
        yield lora
    finally:
        lora.detach()


@contextmanager
def applied(engine: TransformersEngine, adapter: Adapter | None) -> Iterator[None]:
    """Let the model answer with `adapter` for the length of the block; None is the base model."""
    if adapter is None or adapter.scale == 0:
        yield
        return
    with attached(engine, adapter.rank, seed=0) as lora, engine.touched(adapter.first):
        lora.load(adapter)
        yield
