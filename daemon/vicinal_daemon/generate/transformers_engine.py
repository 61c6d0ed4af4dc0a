"""The torch engine: any causal language model in transformers format.

Owns the loaded model and the device. It does not know where the files came from, what a repository is, or how
adapters are trained; whoever changes the model's modules must change them back.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM
from transformers.utils import logging as transformers_logging

from vicinal_daemon.errors import ModelDamaged
from vicinal_daemon.generate.bfloat16 import fit_for_cpu, is_compiled
from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.decode import Logits, greedy
from vicinal_daemon.generate.device import Precision, choose_device, choose_dtype
from vicinal_daemon.generate.drafting import Drafting, pieces
from vicinal_daemon.generate.engine import READ_AT_ONCE, Cancelled, Generated, How, Mix, Recall, StopRule
from vicinal_daemon.generate.prefix import Known, Prefixes
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.reading import Reading
from vicinal_daemon.generate.trunk import DEPTH, Trunk, first_to_learn, trunk_of


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model thought of a text that it was given.

    Attributes:
        spans: [start, end) in characters of each scored token.
        log_probabilities: natural log p of each scored token given all before it.
    """

    spans: tuple[tuple[int, int], ...]
    log_probabilities: tuple[float, ...]

    def between(self, start: int, end: int) -> list[float]:
        """log p of the tokens that end in (start, end]; one that straddles `start` counts."""
        return [p for (_, stop), p in zip(self.spans, self.log_probabilities, strict=True) if start < stop <= end]


class TransformersEngine:
    """A causal language model, with greedy decoding over a KV cache.

    Args:
        folder: config.json, *.safetensors and the tokenizer's files. Never touches the network.
        device: `auto`, `cuda`, `mps` or `cpu`.
        name: what users call the model; default: the folder's name.
        depth: the share of the layers, from the top, that learn unless something else is said.
        precision: of weights and activations; what learns is float32 in any case.

    Attributes:
        dtype: that the model computes with.
        first: the number of the first layer that then learns.
        trunk: what is below it; None where this architecture cannot be cut, or all layers learn.

    Raises:
        ModelDamaged: a file cannot be parsed.
        ModelUnusable: the model has no fast tokenizer, or the device is missing.
    """

    def __init__(
        self, folder: Path, device: str = "auto", name: str = "", depth: float = DEPTH, precision: Precision = "float32"
    ) -> None:
        self.name = name or folder.name
        self.device = choose_device(device)
        self.device_name = str(self.device)
        self.dtype = choose_dtype(precision, self.device)
        self.codec = Codec(folder)
        transformers_logging.disable_progress_bar()
        transformers_logging.set_verbosity_error()
        try:
            self.model: Any = AutoModelForCausalLM.from_pretrained(
                folder, dtype=self.dtype, local_files_only=True, use_safetensors=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelDamaged(
                f"the model in {folder} cannot be loaded: {error}",
                hint="fetch it again: vicinal models pull --force, or choose another with --model",
            ) from error
        self.model.to(self.device).eval().requires_grad_(False)
        if is_compiled(self.dtype, self.device):
            fit_for_cpu(self.model)
        self.first = first_to_learn(self.model, depth)
        self.trunk = trunk_of(self.model, self.first)
        self.prefixes = Prefixes()
        self._touched: int | None = None

    @contextmanager
    def touched(self, first: int) -> Iterator[None]:
        """To be told by whoever changes what the model's layers compute, from number `first` on, for as long as so."""
        before, self._touched = self._touched, first
        try:
            yield
        finally:
            self._touched = before

    @property
    def whole_trunk(self) -> Trunk | None:
        """The trunk, if it computes what it does bare; else, or if there is none, None."""
        trunk = self.trunk
        return trunk if trunk is not None and (self._touched is None or self._touched >= trunk.first) else None

    def score(self, text: str, start: int) -> Scores:
        """Score each token of `text` that ends behind character `start`."""
        return self.score_under(None, text, start)

    @torch.no_grad()
    def score_again(self, text: str, start: int) -> Scores:
        """As `score`, for a text that is scored under one adapter after the other: the trunk reads it once."""
        ids, spans = self.codec.encode(text)
        first = _first_scored(spans, start)
        trunk = self.whole_trunk
        if trunk is None or first >= len(ids):
            return self.score(text, start)
        outputs, head = trunk.upper(trunk.states(ids))[first - 1 : -1], self.model.get_output_embeddings()
        found: list[float] = []
        for rows, chosen in zip(torch.split(outputs, READ_AT_ONCE), pieces(ids[first:]), strict=True):
            found += _chosen(head(rows).float(), chosen)
        return Scores(tuple(spans[first:]), tuple(found))

    @torch.inference_mode()
    def score_under(
        self, under: str | None, text: str, start: int, mix: Mix | None = None, lender: str | None = None
    ) -> Scores:
        """As `score`; what was read of an earlier text under the same name is not read again (`generate_under`).

        `mix` has its say at each scored token. Logits are computed for the scored positions only: the output head is a
        fifth of a small model.
        """
        ids, spans = self.codec.encode(text)
        first = _first_scored(spans, start)
        if first >= len(ids):
            return Scores((), ())
        reading = self._reading(under, lender, ids, first)
        found: list[float] = []
        for piece in pieces(ids[len(reading.tokens) :]):
            end = len(reading.tokens) + len(piece)
            # Behind the first token before the scored ones and all later ones; what was read before has been scored.
            wanted = max(1, end - (first - 1) - len(found))
            logits = reading.read(piece, wanted)[: len(ids) - 1 - (end - wanted)]
            if end < first:
                continue
            at = first + len(found)
            if mix is None:
                found += _chosen(logits, ids[at : at + len(logits)])
            else:
                said = torch.log_softmax(logits, -1).cpu().numpy()
                found += [float(mix(ids[:n], row)[ids[n]]) for n, row in enumerate(said, start=at)]
        if under is not None:
            reading.keep(self.prefixes, under)
        return Scores(tuple(spans[first:]), tuple(found))

    def generate(self, prompt: Prompt, stop: StopRule, **how: Unpack[How]) -> Generated:
        """See `Engine.generate`."""
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
        lender: str | None = None,
    ) -> Generated:
        """As `generate`; what was read of an earlier prompt under the same name is not read again.

        A long prompt is read in pieces, and `cancelled()` asked before each.

        Args:
            under: the name of the model as it is now: another one for each adapter that is worn, for good. None
                keeps nothing and reuses nothing.
            lender: a name of the model without that adapter: what was read under it is only read by the layers above
                the trunk, if the adapter does not touch that.
        """
        drafting = Drafting(
            lambda tokens: _Reader(self._reading(under, lender, tokens, len(tokens))),
            memory.guess if memory is not None else None,
            self.codec.line_ends,
            cancelled,
        )
        mix = memory.mix if memory is not None else None
        generated = greedy(
            self.codec, drafting, prompt, stop, max_tokens=max_tokens, cancelled=cancelled, rank=rank, mix=mix
        )
        if under is not None and drafting.reader is not None:
            drafting.reader.reading.keep(self.prefixes, under)
        return drafting.told(generated)

    @torch.inference_mode()
    def _reading(self, under: str | None, lender: str | None, ids: Sequence[int], first: int) -> Reading:
        """Begin to read `ids`; the logits behind `ids[first - 1]` and all later ones will be wanted."""
        known = self.prefixes.find(under, ids[:first]) if under is not None else Known()
        if not known.count and lender is not None and self.whole_trunk is not None:
            known = self.prefixes.lent(lender, ids, self.whole_trunk)
        return Reading(self.model, self.trunk, ids, known)


class _Reader:
    """A `drafting.Reader` of logits in numpy."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    @property
    def tokens(self) -> Sequence[int]:
        return self.reading.tokens

    @property
    def can_unread(self) -> bool:
        return self.reading.can_unread

    @torch.inference_mode()
    def read(self, piece: list[int], wanted: int) -> Logits:
        logits: Logits = self.reading.read(piece, wanted).cpu().numpy()
        return logits

    def unread(self, count: int) -> None:
        self.reading.unread(count)


def _first_scored(spans: Sequence[tuple[int, int]], start: int) -> int:
    """The number of the first token that ends behind `start` and has another before it."""
    return max(1, next((i for i, (_, end) in enumerate(spans) if end > start), len(spans)))


def _chosen(logits: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """Of each (V,) row natural log p of its token."""
    places = torch.tensor(tokens, dtype=torch.long, device=logits.device)[:, None]
    found: list[float] = torch.log_softmax(logits, -1).gather(1, places)[:, 0].tolist()
    return found
