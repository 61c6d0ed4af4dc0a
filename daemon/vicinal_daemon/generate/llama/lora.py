"""A LoRA as llama.cpp reads it: a GGUF file.

Owns that file's form. It does not know how an adapter was learned, nor who wears it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.llama.layout import Array, Layout

_PARAMETER = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<part>[AB])\.weight")
_LAYER = re.compile(r"(?P<before>.*\.)\d+\.")


@dataclass(frozen=True, slots=True, eq=False)
class Lora:
    """W + scale * B A for each linear layer.

    Attributes:
        tensors: peft's names -> A (rank, in) and B (out, rank), float16 or float32.
    """

    tensors: Mapping[str, Array]
    rank: int
    scale: float = 1.0

    def pairs(self) -> dict[str, tuple[Array, Array]]:
        """A and B of each linear layer, by torch's name of it.

        Raises:
            ModelUnusable: a name is not one of peft's, or a half is missing.
        """
        found: dict[str, dict[str, Array]] = {}
        for name, tensor in self.tensors.items():
            match = _PARAMETER.fullmatch(name)
            if match is None:
                raise ModelUnusable(f"{name} is no LoRA of a linear layer", hint="use --engine transformers")
            found.setdefault(match["module"], {})[match["part"]] = tensor
        if any(set(pair) != {"A", "B"} for pair in found.values()):
            raise ModelUnusable("an adapter has an A without a B", hint="delete it; it is learned anew")
        return {module: (pair["A"], pair["B"]) for module, pair in found.items()}

    def one_layer(self) -> list[str]:
        """Torch's names of the linear layers that it touches in the first layer that it touches."""
        modules = list(self.pairs())
        first = _LAYER.match(modules[0])
        return [name for name in modules if first is None or name.startswith(first[0])]


def write_lora(lora: Lora, layout: Layout, file: Path) -> None:
    """Write it for the model that `layout` is of; its scale is told when it is worn.

    Raises:
        ModelUnusable: it is not of this model.
    """
    import gguf

    writer = gguf.GGUFWriter(file, layout.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(lora.rank))  # llama.cpp multiplies by alpha / rank
    for module, (a, b) in lora.pairs().items():
        name = layout.name(module)
        writer.add_tensor(f"{name}.weight.lora_a", np.ascontiguousarray(a))
        writer.add_tensor(f"{name}.weight.lora_b", np.ascontiguousarray(layout.rows(name, b)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
