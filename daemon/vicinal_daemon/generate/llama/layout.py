"""How a GGUF file lays out what torch knows by other names.

Owns the names, and which rows are in another order: some conversions interleave the two halves of each head of queries
and keys. That is not looked up by architecture but seen, by comparing one layer of both files, and noted: parsing a
whole file takes seconds. It does not know LoRA.
"""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.errors import ModelUnusable
from vicinal_indexer.atomic import replace_text

Array = NDArray[Any]
NEAR = 0.2
"""Two files of one model differ by their quantisation: so much of the weights' own size at most."""

_HINT = "use --engine transformers: the GGUF file and the folder are not of one model, or of an unknown architecture"


@dataclass(frozen=True, slots=True)
class Layout:
    """The way from torch's linear layers to the file's tensors.

    Attributes:
        architecture: as the file names it.
        blocks: its layers.
        heads: of queries or keys, by the kind of a tensor (`attn_q`); 0 where the rows are in torch's order. Only the
            kinds that were compared.
    """

    architecture: str
    blocks: int
    heads: dict[str, int]

    def name(self, module: str) -> str:
        """The file's name of a linear layer, as `blk.3.attn_q`.

        Raises:
            ModelUnusable: the file has no such tensor.
        """
        found: str | None = _names(self.architecture, self.blocks).get_name(module)
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


def layout_of(gguf_file: Path, folder: Path, modules: list[str], note: Path) -> Layout:
    """The layout of a file: as it was noted, else as it is seen.

    Args:
        folder: the same model in transformers format.
        modules: torch's names of all linear layers of one layer, as `model.layers.3.self_attn.q_proj`.
        note: a file for this model alone. One that cannot be kept is made anew each time.

    Raises:
        ModelUnusable: the two are not of one model.
    """
    noted = _noted(note)
    if noted is not None and {_kind(noted.name(module)) for module in modules} <= noted.heads.keys():
        return noted
    layout = see_layout(gguf_file, folder, modules)
    with suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_text(note, json.dumps(asdict(layout)))
    return layout


def see_layout(gguf_file: Path, folder: Path, modules: list[str]) -> Layout:
    """As `layout_of`, by comparing the linear `modules` in both files."""
    import gguf

    reader = gguf.GGUFReader(gguf_file)
    architecture = str(_field(reader, "general.architecture"))
    queries = int(_field(reader, f"{architecture}.attention.head_count"))
    counts = {"attn_q": queries, "attn_k": int(_field(reader, f"{architecture}.attention.head_count_kv", queries))}
    layout = Layout(architecture, int(_field(reader, f"{architecture}.block_count")), {})
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    for module in modules:
        name = layout.name(module)
        tensor = tensors.get(f"{name}.weight")
        theirs = _weight(folder, module)
        if tensor is None:
            raise ModelUnusable(f"{gguf_file} has no {name}", hint=_HINT)
        ours = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist())))
        kind = _kind(name)
        heads = 0 if _near(ours, theirs) else counts.get(kind, 0)
        if not _near(ours, interleaved(theirs, heads) if heads and ours.shape == theirs.shape else theirs):
            raise ModelUnusable(f"{name} of {gguf_file} is not {module} of {folder}", hint=_HINT)
        layout.heads[kind] = heads
    return layout


def _noted(note: Path) -> Layout | None:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        return Layout(str(found["architecture"]), int(found["blocks"]), dict(found["heads"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=4)
def _names(architecture: str, blocks: int) -> Any:
    import gguf

    number = next((n for n, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), None)
    if number is None:
        raise ModelUnusable(f"the architecture {architecture} is unknown", hint=_HINT)
    return gguf.get_tensor_name_map(number, blocks)


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
