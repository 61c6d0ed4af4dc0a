"""Who writes: the model that is tuned, or llama.cpp beside it.

Owns how an adapter is worn for one text. It does not know units, nor where an adapter came from.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Protocol, Unpack

from vicinal_daemon.generate.engine import Generated, How, StopRule
from vicinal_daemon.generate.llama import LlamaEngine, Lora
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.lora import Adapter
from vicinal_daemon.tune.wardrobe import Wardrobe

BASE = "base"


@dataclass(frozen=True, slots=True, eq=False)
class Worn:
    """An adapter in memory. `under` names it in KV caches: it is never given to another one."""

    adapter: Adapter
    under: str


class Writer(Protocol):
    """Continues prompts, wearing an adapter or none."""

    def write(self, worn: Worn | None, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """See `Engine.generate`; what was read of an earlier prompt under the same adapter is not read again."""
        ...

    def forget(self, under: str) -> None:
        """Let go of what was read under a name."""
        ...


class TorchWriter:
    """The model that is tuned writes, too."""

    def __init__(self, engine: TransformersEngine, wardrobe: Wardrobe) -> None:
        self._engine, self._wardrobe = engine, wardrobe

    def write(self, worn: Worn | None, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """See `Writer.write`."""
        with self._wardrobe.wearing(worn.adapter) if worn is not None else nullcontext():
            under, lender = (worn.under, BASE) if worn is not None else (BASE, None)
            return self._engine.generate_under(under, prompt, stop, **how, lender=lender)

    def forget(self, under: str) -> None:
        """See `Writer.forget`."""
        self._engine.prefixes.forget(under)


class LlamaWriter:
    """llama.cpp writes; what is learned beside it is handed over as numbers."""

    def __init__(self, engine: LlamaEngine) -> None:
        self._engine = engine

    def write(self, worn: Worn | None, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """See `Writer.write`."""
        under, lora = (worn.under, lora_of(worn.adapter)) if worn is not None else (BASE, None)
        return self._engine.generate_under(under, prompt, stop, **how, lora=lora)

    def forget(self, under: str) -> None:
        """See `Writer.forget`."""
        self._engine.forget(under)


def lora_of(adapter: Adapter) -> Lora:
    """The same numbers, as llama.cpp's side knows them."""
    tensors = {name: tensor.numpy() for name, tensor in adapter.tensors.items()}
    return Lora(tensors, adapter.rank, adapter.scale)
