"""The llama.cpp engine: writes with the base or with adapters, each with KV caches of its own.

Owns which stream holds which text under which adapter. It reads and writes the same token ids as the torch engine (the
tokenizer is shared). It does not train.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.decode import Logits, greedy
from vicinal_daemon.generate.drafting import MOST, Drafting
from vicinal_daemon.generate.engine import READ_AT_ONCE, Cancelled, Generated, How, Recall, StopRule
from vicinal_daemon.generate.llama.layout import Layout, layout_of
from vicinal_daemon.generate.llama.library import Context, Model
from vicinal_daemon.generate.llama.lora import Lora, write_lora
from vicinal_daemon.generate.prefix import KEPT, common
from vicinal_daemon.generate.prompt import Prompt

CONTEXT_TOKENS = 4096


@dataclass(slots=True, eq=False)
class _Stream:
    """A KV cache: what was read into it, under which name. `used` orders them by age."""

    number: int
    under: str | None = None
    tokens: list[int] = field(default_factory=list)
    used: int = 0


class _Reader:
    """A `drafting.Reader` of one stream."""

    def __init__(self, context: Context, stream: _Stream) -> None:
        self._context, self.stream = context, stream
        self.can_unread = context.can_cut

    @property
    def tokens(self) -> Sequence[int]:
        return self.stream.tokens

    def read(self, piece: list[int], wanted: int) -> Logits:
        logits = self._context.read(self.stream.number, len(self.stream.tokens), piece, wanted)
        self.stream.tokens += piece
        return logits

    def unread(self, count: int) -> None:
        del self.stream.tokens[-count:]
        self._context.cut(self.stream.number, len(self.stream.tokens))


class LlamaEngine:
    """A GGUF model run by llama.cpp on the CPU.

    Args:
        file: what is loaded.
        folder: the same model in transformers format: the tokenizer, and the names of what an adapter touches.
        name: what users call the model.
        codec: of that folder.
        threads: that compute.
        note: where the layout of the file is kept; see `layout_of`.

    Raises:
        ModelUnusable: llama-cpp-python is not installed.
        ModelDamaged: llama.cpp cannot load the file.
    """

    device_name = "llama.cpp"

    def __init__(self, file: Path, folder: Path, name: str, codec: Codec, threads: int, note: Path) -> None:
        self.name = name
        self.codec = codec
        self._file, self._folder, self._note = file, folder, note
        self._model = Model(file)
        self._context = Context(
            self._model, streams=KEPT, tokens=CONTEXT_TOKENS, batch=READ_AT_ONCE + MOST + 1, threads=threads
        )
        self._streams = [_Stream(number) for number in range(KEPT)]
        self._uses = 0
        self._layout: Layout | None = None
        self._adapters: dict[str, Any] = {}

    def generate(self, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """See `Engine.generate`.

        Raises:
            ModelUnusable: the prompt is longer than the context.
        """
        return self.generate_under(None, prompt, stop, **how)

    def generate_under(
        self,
        under: str | None,
        prompt: Prompt,
        stop: StopRule,
        *,
        max_tokens: int,
        cancelled: Cancelled = lambda: False,
        rank: int = 0,
        memory: Recall | None = None,
        lora: Lora | None = None,
    ) -> Generated:
        """As `generate`; what was read of an earlier prompt under the same name is not read again.

        Args:
            under: the name of what is worn, for good: another one for each adapter. None keeps nothing.
            lora: that is worn; None is the base. It needs a name.

        Raises:
            ModelUnusable: the prompt is longer than the context, or the adapter is not of this model.
        """
        length = len(self.codec.encode(prompt.text)[0])
        if length + max_tokens + MOST > CONTEXT_TOKENS:
            raise ModelUnusable(
                f"the prompt has {length} tokens, too many for a context of {CONTEXT_TOKENS}",
                hint="lower prompt.context_tokens or prompt.picks",
            )
        self._wear(under, lora)
        drafting = Drafting(
            lambda tokens: _Reader(self._context, self._take(under, tokens)),
            memory.guess if memory is not None else None,
            self.codec.line_ends,
            cancelled,
        )
        mix = memory.mix if memory is not None else None
        generated = greedy(
            self.codec, drafting, prompt, stop, max_tokens=max_tokens, cancelled=cancelled, rank=rank, mix=mix
        )
        told = drafting.told(generated)
        if under is None and drafting.reader is not None:
            self._empty(drafting.reader.stream)
        return told

    def forget(self, under: str) -> None:
        """Let go of what was read under a name, and of the adapter of that name."""
        for stream in self._streams:
            if stream.under == under:
                self._empty(stream)
        adapter = self._adapters.pop(under, None)
        if adapter is not None:
            self._context.wear(())
            self._model.free_adapter(adapter)

    def close(self) -> None:
        """Free llama.cpp's memory."""
        self._context.close()
        self._model.close()

    def _wear(self, under: str | None, lora: Lora | None) -> None:
        if lora is None or lora.scale == 0:
            self._context.wear(())
            return
        assert under is not None  # noqa: S101 - what is worn has a name
        if under not in self._adapters:
            self._adapters[under] = self._taken_in(lora)
        self._context.wear([(self._adapters[under], lora.scale)])

    def _taken_in(self, lora: Lora) -> Any:
        if self._layout is None:
            self._layout = layout_of(self._file, self._folder, lora.one_layer(), self._note)
        with tempfile.TemporaryDirectory(prefix="vicinal-lora-") as folder:
            file = Path(folder) / "adapter.gguf"
            write_lora(lora, self._layout, file)
            return self._model.adapter(file)

    def _take(self, under: str | None, tokens: Sequence[int]) -> _Stream:
        """The stream to read into; it holds a beginning of `tokens`, without the last."""
        mine = [stream for stream in self._streams if under is not None and stream.under == under]
        best = max(mine, key=lambda stream: common(stream.tokens, tokens), default=None)
        known = min(common(best.tokens, tokens), len(tokens) - 1) if best is not None else 0
        # One that is continued keeps its place; of one that only begins alike, the rest may be wanted again.
        if best is None or known * 2 < len(best.tokens):
            best, known = min(self._streams, key=lambda stream: stream.used), 0
        if not self._context.cut(best.number, known):
            known = 0
        self._uses += 1
        best.under, best.tokens, best.used = under, list(tokens[:known]), self._uses
        return best

    def _empty(self, stream: _Stream) -> None:
        self._context.cut(stream.number, 0)
        stream.under, stream.tokens, stream.used = None, [], 0
