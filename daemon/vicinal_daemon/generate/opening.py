"""Loading a model into the engine that is wanted.

Owns that choice. It does not know where files or settings came from.
"""

from pathlib import Path

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.engine import Engine
from vicinal_daemon.generate.llama_engine import LlamaEngine
from vicinal_daemon.generate.transformers_engine import TransformersEngine


def open_engine(
    transformers_dir: Path, gguf: Path | None, *, name: str, engine: str, device: str, depth: float
) -> Engine:
    """Load a model.

    Args:
        engine: `transformers`, or `llama`, which needs `gguf`.
        depth: see `TransformersEngine`.

    Raises:
        ModelError: that engine cannot run this model; nothing else is tried in its place.
    """
    if engine == "transformers":
        return TransformersEngine(transformers_dir, device, name, depth)
    if gguf is None:
        raise ModelUnusable(
            f"the llama.cpp engine needs a GGUF file, and {name} has none",
            hint="name a .gguf file with --model, or use --engine transformers",
        )
    return LlamaEngine(gguf, transformers_dir, name)
