"""What a loaded model computes, counted while it does: by hooks on its layers.

Owns the way from modules to `flops`, and that the model is left as it was. It does not know when it is asked.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch.nn import functional

from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.profile.flops import NOTHING, Layer, Linear, backward, forward, product
from vicinal_daemon.profile.recorder import Recorder

_READ_THE_INPUT = ("q_proj", "k_proj", "v_proj", "qkv_proj")


def layers_of(model: Any) -> tuple[Layer, ...]:
    """The shapes of a model's layers; empty where its architecture is another than that of a plain list of them."""
    modules = getattr(model.get_decoder(), "layers", None)
    if not isinstance(modules, torch.nn.ModuleList):
        return ()
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return tuple(Layer(_linears(module), heads, kept, size, model.dtype.itemsize) for module in modules)


def _linears(layer: torch.nn.Module) -> tuple[Linear, ...]:
    return tuple(
        Linear(module.in_features, module.out_features, name.rpartition(".")[2] in _READ_THE_INPUT)
        for name, module in layer.named_modules()
        if isinstance(module, torch.nn.Linear)
    )


class Meter:
    """Counts what `engine`'s model does for `recorder`, while `counting`."""

    def __init__(self, engine: TransformersEngine, recorder: Recorder) -> None:
        self.layers = layers_of(engine.model)
        self._engine, self._recorder = engine, recorder
        self._owed = NOTHING  # by the backward pass of what was just read

    @contextmanager
    def counting(self) -> Iterator[None]:
        """With hooks on the model, for the length of the block."""
        model = self._engine.model
        with ExitStack() as stack:
            for number, module in enumerate(model.get_decoder().layers if self.layers else ()):
                hook = module.register_forward_pre_hook(self._layer(number), with_kwargs=True)
                stack.callback(hook.remove)
            if self.layers:
                hook = model.get_output_embeddings().register_forward_pre_hook(self._head)
                stack.callback(hook.remove)
            stack.callback(setattr, torch.Tensor, "backward", torch.Tensor.backward)
            stack.callback(setattr, functional, "cross_entropy", functional.cross_entropy)
            torch.Tensor.backward = self._backward(torch.Tensor.backward)  # type: ignore[method-assign]
            functional.cross_entropy = self._loss(functional.cross_entropy)
            yield

    def _layer(self, number: int) -> Any:
        layer = self.layers[number]

        def hook(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            states = args[0] if args else kwargs["hidden_states"]
            cache = kwargs.get("past_key_values")
            known = cache.get_seq_length(number) if cache is not None else 0
            rank, new = _rank(module), states.shape[-2]
            self._recorder.add(forward(layer, new, known, rank))
            if rank and torch.is_grad_enabled():
                self._owed += backward(layer, new, rank, reaches_below=states.requires_grad)

        return hook

    def _head(self, module: Any, args: tuple[Any, ...]) -> None:
        rows = args[0].numel() // args[0].shape[-1]
        self._product(rows, args[0].shape[-1], module.weight.shape[0], gradient=args[0].requires_grad)

    def _product(self, rows: int, inputs: int, outputs: int, *, gradient: bool) -> None:
        work = product(rows, inputs, outputs, self._engine.dtype.itemsize)
        self._recorder.add(work)
        if gradient and torch.is_grad_enabled():
            self._owed += work

    def _loss(self, cross_entropy: Any) -> Any:
        """The logits of a part of the vocabulary are made of rows of the output head, without the module."""

        def counted(logits: torch.Tensor, *args: Any, **more: Any) -> Any:
            if self.layers and self._engine.trunk is not None:
                width = self._engine.model.get_output_embeddings().weight.shape[1]
                self._product(logits.shape[0], width, logits.shape[1], gradient=logits.requires_grad)
            return cross_entropy(logits, *args, **more)

        return counted

    def _backward(self, function: Any) -> Any:
        def counted(*args: Any, **more: Any) -> Any:
            owed, self._owed = self._owed, NOTHING
            self._recorder.add(owed)
            return function(*args, **more)

        return counted


def _rank(layer: torch.nn.Module) -> int:
    """Of the LoRA that a layer wears; 0: none."""
    lora = next((module for module in layer.modules() if isinstance(module, LoraLayer)), None)
    worn = lora.active_adapters if lora is not None else []
    return int(lora.r[worn[0]]) if lora is not None and worn else 0
