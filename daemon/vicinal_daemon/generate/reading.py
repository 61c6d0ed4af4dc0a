"""A text that the model reads, piece by piece.

Owns the cache of a reading and what is remembered of it. It does not know what the text is, nor when it is read.
"""

from collections.abc import Sequence
from typing import Any

import torch

from vicinal_daemon.generate.prefix import Known, Prefixes, can_be_cut
from vicinal_daemon.generate.trunk import Trunk


class Reading:
    """Begins with what is known of the text.

    Attributes:
        tokens: that were read.
    """

    def __init__(self, model: Any, trunk: Trunk | None, tokens: Sequence[int], known: Known) -> None:
        self._model, self._trunk = model, trunk
        self.tokens = list(tokens[: known.count])
        self._cache = known.cache
        self._states = [known.states] if known.states is not None else []
        self._outputs = known.outputs

    def read(self, piece: Sequence[int], wanted: int) -> torch.Tensor:
        """Go on with `piece`, which has a token at least; the (wanted, V) logits behind the last tokens so far.

        They may reach back behind `piece` into what was lent.
        """
        tokens = torch.tensor([piece], device=self._model.device)
        own = min(wanted, len(piece))
        output = self._model(tokens, past_key_values=self._cache, use_cache=True, logits_to_keep=own)
        self._cache = output.past_key_values
        self.tokens += piece
        if self._trunk is not None:
            self._states.append(self._trunk.heard())
        logits: torch.Tensor = output.logits[0].float()
        if wanted > own:
            assert self._outputs is not None  # noqa: S101 - only what was lent is wanted again
            lent = self._model.get_output_embeddings()(self._outputs[own - wanted :]).float()
            logits = torch.cat([lent, logits])
        return logits

    @property
    def can_unread(self) -> bool:
        """Whether the cache can be cut back; one of sliding windows or recurrent states cannot."""
        return self._cache is not None and can_be_cut(self._cache)

    def unread(self, count: int) -> None:
        """Take back the last `count` tokens of the last piece, not all of it."""
        del self.tokens[-count:]
        self._cache.crop(-count)
        if self._trunk is not None:
            self._states[-1] = self._states[-1][:-count]

    def keep(self, prefixes: Prefixes, under: str) -> None:
        """Remember it under a name."""
        prefixes.keep(under, self.tokens, self._cache, torch.cat(self._states) if self._states else None)
