"""The trunk of a model: the lower layers, which no adapter of the upper ones touches.

Owns that a model can be cut between two layers, and the activations there. What the trunk makes of a text is the same
under every such adapter, so it is computed once: for training, and for reading a prompt anew under another adapter.
It does not know adapters.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

BYTES_IN_MEMORY = 256 * 2**20
"""Of activations of texts that were studied; those that were not used for longest go first."""

_PROBE = 7
"""Tokens that the cut is tried with."""


DEPTH = 0.33
"""The share of the layers that learns unless something else is said (`tune.depth`)."""


def first_to_learn(model: Any, depth: float) -> int:
    """The number of the first layer that learns, if the share `depth` of them does, from the top; 0: all of them."""
    layers = getattr(model.get_decoder(), "layers", None)
    if not isinstance(layers, torch.nn.ModuleList):
        return 0
    return min(len(layers) - 1, round(len(layers) * (1 - depth)))


class Trunk:
    """A decoder that is cut below its layer number `first`: `states` runs what is below, `upper` the rest.

    Raises:
        ValueError: this architecture does more than its layers, one after the other, between embedding and norm.
    """

    def __init__(self, model: Any, first: int) -> None:
        self.first = first
        self._model = model
        self._decoder: Any = model.get_decoder()
        layers = getattr(self._decoder, "layers", None)
        if not isinstance(layers, torch.nn.ModuleList) or not 0 < first < len(layers) or not _is_plain(self._decoder):
            raise ValueError("the model has no plain list of layers")
        self._layers = layers
        self._lower, self._upper = torch.nn.ModuleList(layers[:first]), torch.nn.ModuleList(layers[first:])
        self._heard: torch.Tensor | None = None
        self._known: OrderedDict[tuple[int, ...], torch.Tensor] = OrderedDict()
        self._bytes = 0
        layers[first].register_forward_pre_hook(self._hear, with_kwargs=True)
        self._try()

    def heard(self) -> torch.Tensor:
        """(n, d) activations below `first` of the tokens that the model has just read."""
        assert self._heard is not None  # noqa: S101 - asked after a reading
        return self._heard

    def states(self, ids: Sequence[int]) -> torch.Tensor:
        """(n, d) activations below `first` of a text of its own; what was studied before is remembered."""
        key = tuple(ids)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = self.below(ids)
        self._known[key] = found
        self._bytes += found.nbytes
        while self._bytes > BYTES_IN_MEMORY and len(self._known) > 1:
            self._bytes -= self._known.popitem(last=False)[1].nbytes
        return found

    @torch.no_grad()
    def below(self, ids: Sequence[int]) -> torch.Tensor:
        """As `states`, without remembering."""
        tokens = torch.tensor([ids], device=self._model.device)
        norm = self._decoder.norm
        with self._only(self._lower):
            self._decoder.norm = torch.nn.Identity()
            try:
                found: torch.Tensor = self._decoder(input_ids=tokens, use_cache=False).last_hidden_state[0]
            finally:
                self._decoder.norm = norm
        return found.clone()

    def upper(self, states: torch.Tensor, cache: Any = None) -> torch.Tensor:
        """(n, d) of what the output head reads, from the activations (n, d) of a whole text; with gradients.

        Args:
            cache: an empty one, that is filled with keys and values of the upper layers.
        """
        with self._only(self._upper):
            output = self._decoder(inputs_embeds=states[None], past_key_values=cache, use_cache=cache is not None)
        found: torch.Tensor = output.last_hidden_state[0]
        return found

    def _hear(self, _layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        self._heard = states[0].detach()

    @contextmanager
    def _only(self, layers: torch.nn.ModuleList) -> Iterator[None]:
        self._decoder.layers = layers
        try:
            yield
        finally:
            self._decoder.layers = self._layers

    @torch.no_grad()
    def _try(self) -> None:
        """The parts, one after the other, must be the whole: bit for bit."""
        ids = list(range(1, _PROBE + 1))
        whole = self._model(torch.tensor([ids], device=self._model.device), use_cache=False).logits[0]
        states = self.heard()
        parts = self._model.get_output_embeddings()(self.upper(states))
        if not (torch.equal(self.below(ids), states) and torch.equal(parts, whole)):
            raise ValueError("the model is more than the sum of its parts")


def _is_plain(decoder: Any) -> bool:
    return isinstance(getattr(decoder, "norm", None), torch.nn.Module)


def trunk_of(model: Any, first: int) -> Trunk | None:
    """The trunk of a model; None where it has none, and everything is computed anew each time, with the same result."""
    try:
        return Trunk(model, first)
    except ValueError:
        return None
