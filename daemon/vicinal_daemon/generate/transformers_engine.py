"""The torch engine: any causal language model in transformers format.

Owns the loaded model, its tokenizer and the device. It does not know where the files came from, what a
repository is, or how adapters are trained; whoever changes the model's modules must change them back.
"""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.engine import Cancelled, Generated, Scores, StopRule
from vicinal_daemon.generate.healing import Vocabulary, byte_level_token, sentencepiece_token, take_back
from vicinal_daemon.generate.prompt import FillInTheMiddle, Prompt

_log = logging.getLogger(__name__)

# (prefix, suffix, middle) of the model families that know fill-in-the-middle.
_FILL_IN_THE_MIDDLE = (
    FillInTheMiddle("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    FillInTheMiddle("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, SantaCoder
    FillInTheMiddle("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # older SantaCoder
    FillInTheMiddle("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
    FillInTheMiddle("<fim_prefix_id>", "<fim_suffix_id>", "<fim_middle_id>"),
)


def choose_device(wanted: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; a device that is not there is an error."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, present in there.items() if present))
    if not there[wanted]:
        raise ModelUnusable(
            f"the device {wanted!r} was asked for, but torch finds none",
            hint="use --device auto, or install a build of torch for this device (see: vicinal doctor)",
        )
    return torch.device(wanted)


class TransformersEngine:
    """A causal language model in float32, with greedy decoding over a KV cache.

    float32 because bfloat16 is orders of magnitude slower on CPUs without the instructions, and because the
    base weights must come back bit for bit after tuning.

    Args:
        folder: config.json, *.safetensors and the tokenizer's files. Never touches the network.
        device: `auto`, `cuda`, `mps` or `cpu`.

    Raises:
        ModelDamaged: a file cannot be parsed.
        ModelUnusable: the model has no fast tokenizer, or the device is missing.
    """

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.name = folder.name
        self.device = choose_device(device)
        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, json.JSONDecodeError) as error:
            raise ModelDamaged(
                f"the model in {folder} cannot be loaded: {error}",
                hint="fetch it again: vicinal models pull --force, or choose another with --model",
            ) from error
        if not self._tokenizer.is_fast:
            raise ModelUnusable(f"the model in {folder} has no fast tokenizer (tokenizer.json)")
        self.model.to(self.device).eval().requires_grad_(False)
        self._vocabulary: Vocabulary | None = None
        known = self._tokenizer.get_vocab()
        self.fill_in_the_middle = next((marks for marks in _FILL_IN_THE_MIDDLE if marks.prefix in known), None)
        configured = getattr(self.model.generation_config, "eos_token_id", None)
        ends = configured if isinstance(configured, list) else [configured]
        self._ends = {*ends, *self._tokenizer.all_special_ids} - {None}

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids and their spans in characters; marks in `text` become special tokens, as in training."""
        encoded = self._tokenizer(text, return_offsets_mapping=True)
        ids, spans = list(encoded["input_ids"]), list(encoded["offset_mapping"])
        if ids and ids[-1] == self._tokenizer.eos_token_id and spans[-1] == (0, 0):
            ids.pop(), spans.pop()  # some tokenizers end every text; ours goes on
        return ids, spans

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """See `Engine.offsets`."""
        return self.encode(text)[1]

    @torch.inference_mode()
    def score(self, text: str, start: int) -> Scores:
        """See `Engine.score`. One forward pass; logits are computed for the scored positions only."""
        ids, spans = self.encode(text)
        first = max(1, next((i for i, (_, end) in enumerate(spans) if end > start), len(ids)))
        if first >= len(ids):
            return Scores((), ())
        tokens = torch.tensor([ids], device=self.device)
        wanted = len(ids) - first
        logits = self.model(tokens, logits_to_keep=wanted + 1, use_cache=False).logits[0, :-1]
        chosen = torch.log_softmax(logits.float(), -1).gather(1, tokens[0, first:, None])[:, 0]
        return Scores(tuple(spans[first:]), tuple(chosen.tolist()))

    def vocabulary(self) -> Vocabulary:
        """Every token's bytes, built once."""
        if self._vocabulary is None:
            backend = json.loads(self._tokenizer.backend_tokenizer.to_str())
            byte_level = "ByteLevel" in json.dumps([backend.get("decoder"), backend.get("pre_tokenizer")])
            to_bytes = byte_level_token if byte_level else sentencepiece_token
            special = set(self._tokenizer.all_special_ids)
            names = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
            self._vocabulary = Vocabulary(
                [b"" if i in special or name is None else to_bytes(name) for i, name in enumerate(names)]
            )
        return self._vocabulary

    @torch.inference_mode()
    def generate(
        self, prompt: Prompt, stop: StopRule, *, max_tokens: int, cancelled: Cancelled = lambda: False
    ) -> Generated:
        """See `Engine.generate`."""
        ids, spans = self.encode(prompt.text)
        keep = take_back(prompt.text, spans) if prompt.heals else len(ids)
        prefix = prompt.text[spans[keep][0] :].encode() if keep < len(ids) else b""
        return self._decode(ids[:keep], prefix, stop, max_tokens, cancelled)

    def _decode(
        self, ids: list[int], prefix: bytes, stop: StopRule, max_tokens: int, cancelled: Cancelled
    ) -> Generated:
        vocabulary = self.vocabulary()
        written = bytearray()
        pieces: list[tuple[int, float]] = []  # bytes written so far, log p, of each token that counts
        tokens, cache = torch.tensor([ids], device=self.device), None
        to_heal = len(prefix)
        for _ in range(max_tokens + to_heal):  # healing costs at most one token per byte
            if cancelled():
                break
            output: Any = self.model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            logits = output.logits[0, -1].float()
            if prefix:
                allowed = torch.tensor(vocabulary.compatible(prefix), device=self.device)
                logits = torch.full_like(logits, -torch.inf).index_copy(0, allowed, logits[allowed])
            token = int(logits.argmax())
            if token in self._ends:
                break
            piece = vocabulary.tokens[token]
            written += piece
            prefix = prefix[len(piece) :]
            if len(written) > to_heal:
                pieces.append((len(written) - to_heal, float(torch.log_softmax(logits, -1)[token])))
                # An unfinished character at the end waits for its next token.
                if stop(written[to_heal:].decode(errors="ignore")) or len(pieces) >= max_tokens:
                    break
            tokens = torch.tensor([[token]], device=self.device)
        text = bytes(written[to_heal:])
        ends = [len(text[:end].decode(errors="ignore")) for end, _ in pieces]
        return Generated(
            text.decode(errors="ignore"),
            tuple(value for _, value in pieces),
            tuple(zip([0, *ends[:-1]], ends, strict=True)) if ends else (),
            len(ids),
        )
