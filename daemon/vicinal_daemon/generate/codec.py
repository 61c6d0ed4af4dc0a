"""Text to tokens and back: the tokenizer, as both engines use it.

Owns the tokenizer's files, the bytes of each token, and which tokens mark fill-in-the-middle or an end. Imports no
torch; it does not know what runs the model.
"""

import json
import re
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from vicinal_daemon.errors import ModelDamaged, ModelUnusable
from vicinal_daemon.generate.healing import Vocabulary, byte_level_token, sentencepiece_token
from vicinal_daemon.generate.prompt import FillInTheMiddle

TEXTS_IN_MEMORY = 64
"""Texts whose tokens are remembered: evidence is the same at every keystroke, a prompt for every alternative."""

# (prefix, suffix, middle) of the model families that know fill-in-the-middle.
_FILL_IN_THE_MIDDLE = (
    FillInTheMiddle("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    FillInTheMiddle("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder
    FillInTheMiddle("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    FillInTheMiddle("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
)


class Codec:
    """A tokenizer from a folder in transformers format. Never touches the network.

    Attributes:
        ends: ids of tokens after which a text is over.
        fill_in_the_middle: the model's marks, None if it has none.

    Raises:
        ModelDamaged: its files cannot be parsed.
        ModelUnusable: it is not a fast tokenizer, so it cannot say where tokens lie in the text.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer  # takes seconds, and brings torch along

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError) as error:
            raise ModelDamaged(
                f"the tokenizer in {folder} cannot be loaded: {error}",
                hint="fetch the model again: vicinal models pull --force, or choose another with --model",
            ) from error
        if not self._tokenizer.is_fast:
            raise ModelUnusable(f"the model in {folder} has no fast tokenizer (tokenizer.json)")
        known = self._tokenizer.get_vocab()
        self.ends: set[int] = set(self._tokenizer.all_special_ids)
        self.fill_in_the_middle = next((marks for marks in _FILL_IN_THE_MIDDLE if marks.prefix in known), None)
        self._encoded = lru_cache(TEXTS_IN_MEMORY)(self._encode)

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids and their spans in characters; marks in `text` become special tokens, as in training."""
        ids, spans = self._encoded(text)
        return list(ids), list(spans)

    def _encode(self, text: str) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        encoded = self._tokenizer(text, return_offsets_mapping=True)
        ids, spans = tuple(encoded["input_ids"]), tuple(encoded["offset_mapping"])
        if ids and ids[-1] == self._tokenizer.eos_token_id and spans[-1] == (0, 0):
            return ids[:-1], spans[:-1]  # some tokenizers end every text; ours goes on
        return ids, spans

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of many texts, without their spans: several times as fast."""
        found = self._tokenizer.backend_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """[start, end) in characters of each token of `text`."""
        return self._encoded(text)[1]

    def chat(self, system: str, user: str) -> str:
        """The text that a model for conversations expects, up to where it answers; plain text for other models.

        Marks that occur in the messages are taken out: code under study must not be able to end its own message.
        """
        marks = re.compile("|".join(map(re.escape, self._marks)) or r"(?!)")
        system, user = marks.sub("", system), marks.sub("", user)
        if not self._tokenizer.chat_template:
            return f"{system}\n\n{user}\n\nAnswer:"
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return text

    @property
    def _marks(self) -> list[str]:
        return [str(token) for token in self._tokenizer.added_tokens_decoder.values() if str(token).strip()]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Every token's bytes."""
        backend = json.loads(self._tokenizer.backend_tokenizer.to_str())
        byte_level = "ByteLevel" in json.dumps([backend.get("decoder"), backend.get("pre_tokenizer")])
        to_bytes = byte_level_token if byte_level else sentencepiece_token
        special = set(self._tokenizer.all_special_ids) | set(self._tokenizer.added_tokens_decoder)
        names = self._tokenizer.convert_ids_to_tokens(range(len(self._tokenizer)))
        return Vocabulary([b"" if i in special or name is None else to_bytes(name) for i, name in enumerate(names)])

    @cached_property
    def line_ends(self) -> frozenset[int]:
        """Tokens that have the end of a line in them."""
        return frozenset(token for token, piece in enumerate(self.vocabulary.tokens) if b"\n" in piece)
