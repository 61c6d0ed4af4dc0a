"""Loading a model into the engine that is wanted.

Owns that choice. It does not know where files or settings came from.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.device import choose_device
from vicinal_daemon.generate.llama import LlamaEngine
from vicinal_daemon.generate.llama.copies import Wanted, file_to_read

LAYOUT = "layout.json"

EngineName = Literal["transformers", "llama"]


@dataclass(frozen=True, slots=True)
class LlamaFiles:
    """What llama.cpp loads of a model.

    Attributes:
        gguf: the file.
        copies: the folder for its copies and notes, of this content alone.
        wanted: see `copies.file_to_read`.
    """

    gguf: Path
    copies: Path
    wanted: Wanted


def engine_for(wanted: Literal["auto"] | EngineName, gguf: Path | None, device: str) -> EngineName:
    """Who writes: `auto` is llama.cpp where the model runs on the CPU, has a GGUF file, and the extra is installed."""
    if wanted != "auto":
        return wanted
    installed = importlib.util.find_spec("llama_cpp") is not None
    on_cpu = choose_device(device).type == "cpu"
    return "llama" if installed and on_cpu and gguf is not None else "transformers"


def open_llama(files: LlamaFiles | None, folder: Path, name: str, codec: Codec) -> LlamaEngine:
    """Load a GGUF file, or the copy of it that is read faster.

    Args:
        folder: the same model in transformers format.

    Raises:
        ModelError: llama.cpp cannot run this model; nothing else is tried in its place.
    """
    if files is None:
        raise ModelUnusable(
            f"the llama.cpp engine needs a GGUF file, and {name} has none",
            hint="name a .gguf file with --model, or use --engine transformers",
        )
    threads = torch.get_num_threads()
    file = file_to_read(files.gguf, files.copies, files.wanted, threads)
    return LlamaEngine(file, folder, name, codec, threads, files.copies / LAYOUT)
