"""What a step of training lowers: the mean loss of an example's tokens, with no more work than that takes.

Owns which part of a forward pass is done once for each text, and of which tokens there are logits. It does not know
what is done with the gradient.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from vicinal_daemon.generate.bfloat16 import is_compiled, linear
from vicinal_daemon.generate.transformers_engine import TransformersEngine

FREQUENT_TOKENS = 4096
"""The tokens with the smallest ids always count: a byte-pair vocabulary is in the order of frequency."""

EVEN = 256
"""Tokens that count are a multiple of so many, so that few shapes occur (`generate/bfloat16.py`)."""

SAMPLED_TOKENS = 4096
"""Of all other tokens, drawn for each text."""

HEAD_AT_ONCE = 64
"""Tokens whose logits, all of a vocabulary, are in memory at once."""

Objective = Callable[[Sequence[int]], Callable[[], torch.Tensor]]
"""The tokens of an example -> a function that returns their mean loss in nats, with gradients, under what is worn when
it is called. The trunk has read them by then, with nothing worn."""


def objective(engine: TransformersEngine, examples: Sequence[Sequence[int]], first: int) -> Objective:
    """The loss for a run over `examples` in which layers from number `first` on learn.

    Over a part of the vocabulary where the model can be cut below them, else the model's own; with little in memory
    where a cut has shown that the model is its layers, one after the other, and an output head.
    """
    trunk = engine.trunk
    if trunk is None:
        return lambda ids: lambda: _own(engine.model, ids)
    if first < trunk.first:
        return lambda ids: lambda: _recomputed(engine.model, ids)
    sampled = _Sampled(engine.model.get_output_embeddings().weight, examples)

    def of(ids: Sequence[int]) -> Callable[[], torch.Tensor]:
        states = trunk.states(ids)
        return lambda: sampled.loss(trunk.upper(states), ids)

    return of


def _recomputed(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """As `_own`, in a third more time and half the memory: what a layer or the head keeps for the way back is computed
    again there. Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016), section 4.
    """
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    tokens = torch.tensor([ids], device=model.device)
    with _forgetful(decoder.layers):
        outputs = decoder(input_ids=tokens, use_cache=False).last_hidden_state[0, :-1]
    losses = [
        _again(lambda rows, told: functional.cross_entropy(head(rows).float(), told, reduction="sum"), rows, told)
        for rows, told in zip(torch.split(outputs, HEAD_AT_ONCE), torch.split(tokens[0, 1:], HEAD_AT_ONCE), strict=True)
    ]
    return torch.stack(losses).sum() / (len(ids) - 1)


@contextmanager
def _forgetful(layers: Iterable[torch.nn.Module]) -> Iterator[None]:
    """For a forward pass: each layer keeps what goes into it, and nothing else."""
    with ExitStack() as undo:
        for layer in layers:
            layer.forward = partial(_again, layer.forward)
            undo.callback(delattr, layer, "forward")
        yield


_again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)  # nothing here is drawn by lot


def _own(model: Any, ids: Sequence[int]) -> torch.Tensor:
    tokens = torch.tensor([ids], device=model.device)
    loss: torch.Tensor = model(tokens, labels=tokens, use_cache=False).loss
    return loss


class _Sampled:
    """A softmax over the tokens of a run, the most frequent ones, and some that are drawn of all others.

    The output head over all of a vocabulary is a third of a step. What is drawn stands for what is not: its logits are
    raised by log(others / drawn), which makes the sum under the softmax right in the mean. Without it a model learns to
    give away to the others what nobody counts (RESULTS.md, "The tokens that nobody counted"). Importance sampling of
    Bengio & Senecal, "Quick Training of Probabilistic Neural Nets by Importance Sampling" (2003), uniform over the
    others; the tokens of the data are never sampled, as in Jean et al., "On Using Very Large Target Vocabulary for
    Neural Machine Translation" (2015), section 3.

    A text draws the same tokens each time, so that a step that is taken again is the same step. Whoever changes what is
    lowered here raises `adapter_file.OBJECTIVE`.
    """

    def __init__(self, head: torch.Tensor, examples: Sequence[Sequence[int]]) -> None:
        self._head = head.detach()
        self._multiply = linear if is_compiled(head.dtype, head.device) else functional.linear
        counted = torch.tensor(_counted(len(head), {token for ids in examples for token in ids}))
        self._place = torch.zeros(len(head), dtype=torch.long)
        self._place[counted] = torch.arange(len(counted))
        self._weight = self._rows(counted)
        left = torch.ones(len(head), dtype=torch.bool)
        left[counted] = False
        self._others = left.nonzero()[:, 0]

    def loss(self, outputs: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
        """Of the tokens behind the first, given the (n, d) that the output head reads."""
        read, places = outputs[:-1], self._place[torch.tensor(ids[1:])].to(outputs.device)
        logits = self._multiply(read, self._weight).float()
        if len(self._others):
            drawn = self._drawn(ids)
            stands_for = math.log(len(self._others) / len(drawn))
            logits = torch.cat([logits, self._multiply(read, self._rows(drawn)).float() + stands_for], -1)
        return functional.cross_entropy(logits, places)

    def _drawn(self, ids: Sequence[int]) -> torch.Tensor:
        seed = zlib.crc32(b"".join(token.to_bytes(4, "little") for token in ids))
        order = torch.randperm(len(self._others), generator=torch.Generator().manual_seed(seed))
        return self._others[order[:SAMPLED_TOKENS]]

    def _rows(self, tokens: torch.Tensor) -> torch.Tensor:
        return self._head[tokens.to(self._head.device)]


def _counted(vocabulary: int, of_the_run: Set[int]) -> list[int]:
    """The frequent tokens and those of a run, in order, and some more until they are a multiple of `EVEN`."""
    found = {*range(min(vocabulary, FREQUENT_TOKENS)), *of_the_run}
    rare = (token for token in range(FREQUENT_TOKENS, vocabulary) if token not in found)
    return sorted(found | set(itertools.islice(rare, -len(found) % EVEN)))
