"""What the model has read before: the KV caches of the last prompts.

Owns which caches are kept and which one begins like a new prompt. Keys and values computed under one adapter are wrong
under another, so each cache has the name of what was worn, and is only found by it. What the trunk makes of a prompt is
the same under every adapter of the layers above it: that much is lent.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer

from vicinal_daemon.generate.trunk import Trunk

KEPT = 2


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of a text. All of it is the reader's: what is appended to it changes nothing that is kept.

    Attributes:
        count: of its first tokens.
        cache: their keys and values.
        states: (count, d) their activations below the trunk's cut; None where there is no trunk.
        outputs: (count, d) of the last layer, where it was the reading of another that was lent; else None.
    """

    count: int = 0
    cache: Any = None
    states: torch.Tensor | None = None
    outputs: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    under: str
    tokens: tuple[int, ...]
    cache: Any
    states: torch.Tensor | None


class Prefixes:
    """The last `most` prompts that were read."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: list[_Read] = []  # the most recent first

    def find(self, under: str, tokens: Sequence[int]) -> Known:
        """The longest known beginning of `tokens`; at least the last is left to be read, as its logits are wanted."""
        read, count = self._longest(under, tokens)
        if read is None:
            return Known()
        return Known(count, _beginning(read, count), read.states[:count] if read.states is not None else None)

    def lent(self, lender: str, tokens: Sequence[int], trunk: Trunk) -> Known:
        """As `find`, for a model that wears an adapter of its upper layers: these read anew what `lender` has read."""
        read, count = self._longest(lender, tokens)
        if read is None or read.states is None:
            return Known()
        states, cache = read.states[:count], DynamicCache()
        outputs = trunk.upper(states, cache)
        cache.layers[: trunk.first] = _beginning(read, count).layers[: trunk.first]
        return Known(count, cache, states, outputs)

    def keep(self, under: str, tokens: Sequence[int], cache: Any, states: torch.Tensor | None = None) -> None:
        """Remember what was read; it takes the place of what it continues, else of the oldest."""
        if not tokens or not can_be_cut(cache):
            return
        read = _Read(under, tuple(tokens), cache, states)
        others = [r for r in self._kept if not (r.under == under and common(r.tokens, tokens) * 2 >= len(r.tokens))]
        self._kept = [read, *others][: self._most]

    def forget(self, under: str | None = None) -> None:
        """Forget what was read under one name; None: everything."""
        self._kept = [r for r in self._kept if under is not None and r.under != under]

    def _longest(self, under: str, tokens: Sequence[int]) -> tuple[_Read | None, int]:
        best = max((r for r in self._kept if r.under == under), key=lambda r: common(r.tokens, tokens), default=None)
        known = min(common(best.tokens, tokens), len(tokens) - 1) if best is not None else 0
        return (best, known) if known > 0 else (None, 0)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two texts begin with in common."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def can_be_cut(cache: Any) -> bool:
    """Whether a cache knows how it was some tokens ago: sliding windows and recurrent states do not."""
    return all(type(layer) is DynamicLayer for layer in cache.layers)


def _beginning(read: _Read, count: int) -> Any:
    """The cache of the first tokens, which shares their memory with that of all."""
    beginning = copy.copy(read.cache)
    beginning.layers = [copy.copy(layer) for layer in read.cache.layers]
    if count < len(read.tokens):
        beginning.crop(count - len(read.tokens))
    return beginning
