"""How a GGUF file lays out what torch knows by other names.

Owns the names, and which rows are in another order: some conversions interleave the two halves of each head of queries
and keys. That is not looked up by architecture but seen, by comparing one layer of both files. It does not know LoRA.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.errors import ModelUnusable

Array = NDArray[Any]
NEAR = 0.2
"""Two files of one model differ by their quantisation: so much of the weights' own size at most."""

_HINT = "use --engine transformers: the GGUF file and the folder are not of one model, or of an unknown architecture"


@dataclass(frozen=True, slots=True)
class Layout:
    """The way from torch's linear layers to the file's tensors.

    Attributes:
        architecture: as the file names it.
        heads: of queries or keys, by the name of a tensor without its layer, where the rows are in another order.
    """

    architecture: str
    names: Any
    heads: dict[str, int]

    def name(self, module: str) -> str:
        """The file's name of a linear layer, as `blk.3.attn_q`.

        Raises:
            ModelUnusable: the file has no such tensor.
        """
        found: str | None = self.names.get_name(module)
        if found is None:
            raise ModelUnusable(f"llama.cpp knows no {module} in a {self.architecture} model", hint=_HINT)
        return found

    def rows(self, name: str, matrix: Array) -> Array:
        """(out, ...) rows of the tensor `name` in the file's order."""
        heads = self.heads.get(_kind(name), 0)
        return interleaved(matrix, heads) if heads else matrix


def interleaved(matrix: Array, heads: int) -> Array:
    """(out, ...) rows with the two halves of each head interleaved, as llama.cpp rotates neighbours, not halves."""
    split = matrix.reshape(heads, 2, matrix.shape[0] // heads // 2, *matrix.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(matrix.shape))


def layout_of(gguf_file: Path, folder: Path, modules: list[str]) -> Layout:
    """The layout of a file, seen at one layer's linear `modules` in both files.

    Args:
        folder: the same model in transformers format.
        modules: torch's names of all linear layers of one layer, as `model.layers.3.self_attn.q_proj`.

    Raises:
        ModelUnusable: the two are not of one model.
    """
    import gguf

    reader = gguf.GGUFReader(gguf_file)
    architecture = str(_field(reader, "general.architecture"))
    number = next((n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), None)
    if number is None:
        raise ModelUnusable(f"{gguf_file} is of the unknown architecture {architecture}", hint=_HINT)
    names = gguf.get_tensor_name_map(number, int(_field(reader, f"{architecture}.block_count")))
    queries = int(_field(reader, f"{architecture}.attention.head_count"))
    keys = int(_field(reader, f"{architecture}.attention.head_count_kv", queries))
    plain = Layout(architecture, names, {})
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    heads: dict[str, int] = {}
    for module in modules:
        name = plain.name(module)
        tensor = tensors.get(f"{name}.weight")
        theirs = _weight(folder, module)
        if tensor is None:
            raise ModelUnusable(f"{gguf_file} has no {name}", hint=_HINT)
        ours = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist())))
        if _near(ours, theirs):
            continue
        kind = _kind(name)
        count = {"attn_q": queries, "attn_k": keys}.get(kind, 0)
        if not count or ours.shape != theirs.shape or not _near(ours, interleaved(theirs, count)):
            raise ModelUnusable(f"{name} of {gguf_file} is not {module} of {folder}", hint=_HINT)
        heads[kind] = count
    return Layout(architecture, names, heads)


def _kind(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def _near(ours: Array, theirs: Array) -> bool:
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).mean() <= NEAR * np.abs(theirs).mean())


def _field(reader: Any, name: str, default: int | None = None) -> Any:
    field = reader.get_field(name)
    if field is None:
        if default is None:
            raise ModelUnusable(f"the GGUF file does not say {name}", hint=_HINT)
        return default
    return field.contents()


def _weight(folder: Path, module: str) -> Array:
    """(out, in) of one linear layer, without loading the model."""
    from safetensors import safe_open

    name = f"{module}.weight"
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            if name in opened.keys():  # noqa: SIM118 - it is no mapping
                weight: Array = opened.get_tensor(name).float().numpy()
                return weight
    raise ModelUnusable(f"{folder} has no {name}", hint=_HINT)
