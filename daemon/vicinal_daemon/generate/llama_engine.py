"""The llama.cpp engine (`vicinal[llama]`): fast decoding of a GGUF file on CPUs.

Owns the llama.cpp context. It reads and writes the same token ids as the torch engine (the tokenizer is shared), but
it cannot wear an adapter yet: it answers untuned requests only.
"""

from pathlib import Path

import numpy as np

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.decode import Logits, greedy
from vicinal_daemon.generate.engine import Cancelled, Generated, Mix, StopRule
from vicinal_daemon.generate.prompt import Prompt

CONTEXT_TOKENS = 4096


class LlamaEngine:
    """A GGUF model run by llama.cpp on the CPU.

    Args:
        gguf: the model's file.
        folder: the tokenizer's files, in transformers format.
        name: what users call the model.

    Raises:
        ModelUnusable: llama-cpp-python is not installed.
        ModelDamaged: llama.cpp cannot load the file.
    """

    device_name = "llama.cpp"

    def __init__(self, gguf: Path, folder: Path, name: str) -> None:
        try:
            from llama_cpp import Llama
        except ImportError as error:
            raise ModelUnusable(
                f"the llama.cpp engine is not installed: {error}",
                hint="install it with: pip install 'vicinal[llama]', or use --engine transformers",
            ) from error
        self.name = name
        self.codec = Codec(folder)
        try:
            self._llama = Llama(str(gguf), n_ctx=CONTEXT_TOKENS, verbose=False)
        except ValueError as error:  # llama-cpp-python's word for every failure to load
            raise ModelDamaged(
                f"llama.cpp cannot load {gguf}: {error}", hint="fetch it again: vicinal models pull --force"
            ) from error

    def generate(
        self,
        prompt: Prompt,
        stop: StopRule,
        *,
        max_tokens: int,
        cancelled: Cancelled = lambda: False,
        rank: int = 0,
        mix: Mix | None = None,
    ) -> Generated:
        """See `Engine.generate`.

        Raises:
            ModelUnusable: the prompt is longer than the context.
        """
        import llama_cpp

        length = len(self.codec.encode(prompt.text)[0])
        if length + max_tokens > CONTEXT_TOKENS:
            raise ModelUnusable(
                f"the prompt has {length} tokens, too many for a context of {CONTEXT_TOKENS}",
                hint="lower prompt.context_tokens or prompt.picks",
            )
        self._llama.reset()
        size = self._llama.n_vocab()

        def next_logits(tokens: list[int]) -> Logits:
            self._llama.eval(tokens)
            pointer = llama_cpp.llama_get_logits_ith(self._llama.ctx, -1)
            logits: Logits = np.ctypeslib.as_array(pointer, shape=(size,)).copy()
            return logits

        return greedy(
            self.codec, next_logits, prompt, stop, max_tokens=max_tokens, cancelled=cancelled, rank=rank, mix=mix
        )

    def close(self) -> None:
        """Free llama.cpp's memory."""
        self._llama.close()
