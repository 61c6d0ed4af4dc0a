"""What the model has read before: the KV caches of the last prompts.

Owns which caches are kept and which one begins like a new prompt. Keys and values computed under one adapter are wrong
under another, so each cache has the name of what was worn, and is only found by it.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from transformers.cache_utils import DynamicLayer

KEPT = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    under: str
    tokens: tuple[int, ...]
    cache: Any


class Prefixes:
    """The last `most` prompts that were read."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: list[_Read] = []  # the most recent first

    def find(self, under: str, tokens: Sequence[int]) -> tuple[Any, int]:
        """A cache of the longest known beginning of `tokens`, and its length; (None, 0) if there is none.

        At least the last token is left to be read, since its logits are wanted. The cache is the caller's: what is
        appended to it changes nothing that is kept.
        """
        best = max((r for r in self._kept if r.under == under), key=lambda r: common(r.tokens, tokens), default=None)
        known = min(common(best.tokens, tokens), len(tokens) - 1) if best is not None else 0
        if best is None or known <= 0:
            return None, 0
        return _beginning(best.cache, len(best.tokens) - known), known

    def keep(self, under: str, tokens: Sequence[int], cache: Any) -> None:
        """Remember what was read; it takes the place of what it continues, else of the oldest."""
        if not tokens or not all(type(layer) is DynamicLayer for layer in cache.layers):
            return  # sliding windows and recurrent states cannot be cut back
        read = _Read(under, tuple(tokens), cache)
        others = [r for r in self._kept if not (r.under == under and common(r.tokens, tokens) * 2 >= len(r.tokens))]
        self._kept = [read, *others][: self._most]

    def forget(self, under: str | None = None) -> None:
        """Forget what was read under one name; None: everything."""
        self._kept = [r for r in self._kept if under is not None and r.under != under]


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two texts begin with in common."""
    return next(
        (i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


def _beginning(cache: Any, fewer: int) -> Any:
    """A cache without its last tokens, which shares the memory of the first ones with `cache`."""
    beginning = copy.copy(cache)
    beginning.layers = [copy.copy(layer) for layer in cache.layers]
    if fewer:
        beginning.crop(-fewer)
    return beginning
