"""The native library: a model, a context of several token streams, adapters.

The only importer of llama_cpp. Owns every native handle and the order in which they are freed. It does not know
prompts, nor what an adapter means.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.errors import ModelDamaged, ModelUnusable

INSTALL = "install it with: pip install 'vicinal[llama]', or use --engine transformers"

FileType = Literal["f16", "q8_0"]
_FILE_TYPES: dict[FileType, int] = {"f16": 1, "q8_0": 7}
"""llama.h's numbers of the kinds of files."""


def load_library() -> Any:
    """The module `llama_cpp.llama_cpp`, with its backend started and its chatter off.

    Raises:
        ModelUnusable: it is not installed, or does not load here.
    """
    global _library, _silent
    if _library is None:
        try:
            from llama_cpp import llama_cpp as library
        except (ImportError, OSError, RuntimeError) as error:
            raise ModelUnusable(f"the llama.cpp engine is not installed: {error}", hint=INSTALL) from error
        _silent = library.llama_log_callback(lambda level, text, data: None)
        library.llama_log_set(_silent, None)
        library.llama_backend_init()
        _library = library
    return _library


_library: Any = None
_silent: Any = None
"""What llama.cpp calls for as long as the process lives: it must not be collected."""


def requantise(source: Path, target: Path, kind: FileType, threads: int) -> None:
    """Write `source` anew with other number formats; seconds for each hundred megabytes.

    Raises:
        ModelUnusable: llama.cpp cannot, for example for want of disk space.
    """
    library = load_library()
    wanted = library.llama_model_quantize_default_params()
    wanted.ftype, wanted.allow_requantize, wanted.nthread = _FILE_TYPES[kind], True, threads
    if library.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(wanted)) != 0:
        raise ModelUnusable(
            f"llama.cpp cannot write a copy of {source} as {kind}",
            hint="check the disk's space, or set model.llama_copy to keep",
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says of itself: its kind (`general.file_type`, -1 where it does not say), and how many numbers."""

    file_type: int
    numbers: int


def look_at(file: Path) -> Facts:
    """Read what a file says of itself, without its numbers.

    Raises:
        ModelUnusable: llama-cpp-python is not installed.
        ModelDamaged: llama.cpp cannot read the file.
    """
    library = load_library()
    wanted = library.llama_model_default_params()
    wanted.vocab_only = True
    handle = _loaded(library, file, wanted)
    try:
        value = ctypes.create_string_buffer(16)
        said = library.llama_model_meta_val_str(handle, b"general.file_type", value, len(value)) > 0
        return Facts(int(value.value) if said else -1, library.llama_model_n_params(handle))
    finally:
        library.llama_model_free(handle)


def _loaded(library: Any, file: Path, wanted: Any) -> Any:
    handle = library.llama_model_load_from_file(bytes(file), wanted)
    if not handle:
        raise ModelDamaged(f"llama.cpp cannot load {file}", hint="fetch it again: vicinal models pull --force")
    return handle


def _multiplies_tiles(library: Any) -> bool:
    """Whether llama.cpp was built for this processor's AMX: its layout of weights for that crashes while it reads.

    Seen with ggml 0.25.3 on an Intel Xeon with AMX, q8_0, in most runs (`tests/e2e/test_real_model.py`). Without it
    weights stay as they are in the file.
    """
    told: bytes = library.llama_print_system_info()
    return b"AMX_INT8 = 1" in told


class Model:
    """A GGUF file in memory, on the CPU.

    Raises:
        ModelUnusable: llama-cpp-python is not installed.
        ModelDamaged: llama.cpp cannot load the file.
    """

    def __init__(self, file: Path) -> None:
        self.library = load_library()
        wanted = self.library.llama_model_default_params()
        wanted.n_gpu_layers = 0
        wanted.use_extra_bufts = not _multiplies_tiles(self.library)
        self.handle = _loaded(self.library, file, wanted)
        # States that are overwritten cannot be taken back.
        forgetful = self.library.llama_model_is_recurrent(self.handle) or self.library.llama_model_is_hybrid(
            self.handle
        )
        self.can_cut = not forgetful
        self.vocabulary = self.library.llama_vocab_n_tokens(self.library.llama_model_get_vocab(self.handle))

    def adapter(self, file: Path) -> Any:
        """The handle of a GGUF LoRA; the file is not needed afterwards.

        Raises:
            ModelUnusable: it is not of this model.
        """
        handle = self.library.llama_adapter_lora_init(self.handle, bytes(file))
        if not handle:
            raise ModelUnusable("llama.cpp does not take this adapter", hint="use --engine transformers")
        return handle

    def free_adapter(self, handle: Any) -> None:
        """No context may be wearing it."""
        self.library.llama_adapter_lora_free(handle)

    def close(self) -> None:
        """Free it, with its adapters; its contexts must be closed."""
        handle, self.handle = self.handle, None
        if handle:
            self.library.llama_model_free(handle)


class Context:
    """KV caches of `streams` texts of at most `tokens` tokens each, and what is worn.

    Flash attention is on: on CPUs it reads a prompt a fifth faster.
    """

    def __init__(self, model: Model, *, streams: int, tokens: int, batch: int, threads: int) -> None:
        self._model, self._library = model, model.library
        self.can_cut = model.can_cut
        wanted = self._library.llama_context_default_params()
        wanted.n_ctx, wanted.n_seq_max, wanted.kv_unified = tokens * streams, streams, False
        wanted.n_batch = wanted.n_ubatch = batch
        wanted.n_threads = wanted.n_threads_batch = threads
        wanted.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_ENABLED
        self._handle = self._library.llama_init_from_model(model.handle, wanted)
        if not self._handle:
            raise ModelUnusable(
                f"llama.cpp has no memory for {streams} texts of {tokens} tokens", hint="use --engine transformers"
            )
        self._memory = self._library.llama_get_memory(self._handle)
        self._batch = self._library.llama_batch_init(batch, 0, 1)
        self._worn: list[tuple[Any, float]] = []

    def read(self, stream: int, start: int, tokens: Sequence[int], wanted: int = 1) -> NDArray[np.float32]:
        """Read at most `batch` tokens behind the first `start` of a stream; the (wanted, V) logits behind the last.

        Raises:
            ModelUnusable: the stream is full.
        """
        batch = self._batch
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place], batch.pos[place] = token, start + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, stream
            batch.logits[place] = place >= len(tokens) - wanted
        if self._library.llama_decode(self._handle, batch) != 0:
            raise ModelUnusable("llama.cpp cannot read on", hint="lower prompt.context_tokens or prompt.picks")
        pointer = self._library.llama_get_logits(self._handle)
        logits: NDArray[np.float32] = np.ctypeslib.as_array(pointer, shape=(wanted, self._model.vocabulary)).copy()
        return logits

    def cut(self, stream: int, count: int) -> bool:
        """Forget all but the first `count` tokens of a stream; False where this model cannot, and all are forgotten."""
        if count and self._library.llama_memory_seq_rm(self._memory, stream, count, -1):
            return True
        self._library.llama_memory_seq_rm(self._memory, stream, -1, -1)
        return not count

    def wear(self, adapters: Sequence[tuple[Any, float]]) -> None:
        """Compute with these adapters and scales from now on."""
        worn = list(adapters)
        if worn == self._worn:
            return
        handles = (self._library.llama_adapter_lora_p_ctypes * len(worn))(*(handle for handle, _ in worn))
        scales = (ctypes.c_float * len(worn))(*(scale for _, scale in worn))
        if self._library.llama_set_adapters_lora(self._handle, handles, len(worn), scales) != 0:
            raise ModelUnusable("llama.cpp cannot wear this adapter", hint="use --engine transformers")
        self._worn = worn

    def close(self) -> None:
        """Free it."""
        handle, self._handle = self._handle, None
        if handle:
            self._library.llama_batch_free(self._batch)
            self._library.llama_free(handle)
