"""The llama.cpp engine (`vicinal[llama]`): fast reading and writing of a GGUF file on CPUs, with live adapters.

`library` owns the native handles, `copies` the file that is read fast here, `layout` and `lora` the way of an adapter
into it, `engine` the KV caches and the loop. None of them knows torch, or where an adapter came from.
"""

from vicinal_daemon.generate.llama.engine import LlamaEngine
from vicinal_daemon.generate.llama.lora import Lora

__all__ = ["LlamaEngine", "Lora"]
