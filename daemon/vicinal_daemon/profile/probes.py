"""Timers put around the product's functions from outside, for as long as a request is looked at.

Owns which function is which part. The functions know nothing of it; a name that is not there any more is an error at
once, not a part that is silently missing.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

import vicinal_daemon.complete as pipeline
import vicinal_daemon.generate.decode as decoding
import vicinal_daemon.generate.transformers_engine as engines
import vicinal_daemon.neighbourhood as neighbourhood
import vicinal_daemon.tune.run as runs
import vicinal_daemon.tune.tuner as tuner
from vicinal_daemon.generate.remembered import Remembered
from vicinal_daemon.profile.flops import BYTES, NOTHING, Work, adam
from vicinal_daemon.profile.parts import REST, STEP
from vicinal_daemon.profile.recorder import Recorder
from vicinal_daemon.tune.guard import Watch
from vicinal_daemon.tune.lora import AttachedLora
from vicinal_daemon.tune.run import TuningRun
from vicinal_indexer.embed.encoder import SentenceEmbedder
from vicinal_indexer.embed.static import StaticEmbedder
from vicinal_indexer.store import Store

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Probe:
    """`owner.name` is timed. `where`: the innermost part when it is called -> the part that it is; elsewhere it is none
    of its own. `work`: its arguments -> what it has done."""

    owner: Any
    name: str
    where: Mapping[str, str]
    work: Callable[..., Work] = lambda *_args, **_more: NOTHING


def _adam(optimizer: torch.optim.Optimizer, *_: object) -> Work:
    return adam(sum(value.numel() for group in optimizer.param_groups for value in group["params"]))


def _filled(_lora: AttachedLora, _slot: str, tensors: Mapping[str, torch.Tensor]) -> Work:
    return Work(0.0, float(sum(value.nbytes + BYTES * value.numel() for value in tensors.values())))


_CANDIDATES = "candidates.rest"
_WEARING = {
    REST: "writing.wear",
    STEP: "tuning.attach",
    "tuning.rest": "tuning.attach",
    "tuning.verdict": "tuning.attach",
}
_FILLING = {REST: "writing.wear", "writing.wear": "writing.wear", STEP: "tuning.attach"}

PROBES = (
    Probe(pipeline, "find_candidates", {REST: _CANDIDATES}),
    Probe(StaticEmbedder, "embed", {_CANDIDATES: "candidates.embed"}),
    Probe(SentenceEmbedder, "embed", {_CANDIDATES: "candidates.embed"}),
    Probe(Store, "nearest", {_CANDIDATES: "candidates.dense"}),
    # It runs in a thread beside the dense search: what counts is what is left of it when that is done.
    Probe(Future, "result", {_CANDIDATES: "candidates.text"}),
    Probe(pipeline, "chosen", {REST: "selection.rest"}),
    Probe(neighbourhood, "lexical_kernel", {"selection.rest": "selection.kernel"}),
    Probe(neighbourhood, "select", {"selection.rest": "selection.picks"}),
    Probe(pipeline, "prompt_for", {REST: "prompt.build"}),
    Probe(pipeline, "adapt", {REST: "tuning.rest"}),
    Probe(TuningRun, "__init__", {"tuning.rest": "tuning.prepare"}),
    Probe(TuningRun, "step", {"tuning.rest": STEP}),
    Probe(AttachedLora, "__init__", _WEARING),
    Probe(AttachedLora, "detach", _WEARING),
    Probe(AttachedLora, "fresh", _FILLING),
    Probe(AttachedLora, "fill", _FILLING, _filled),
    Probe(torch.Tensor, "backward", {STEP: "tuning.backward"}),
    Probe(torch.optim.Adam, "step", {STEP: "tuning.optimiser"}, _adam),
    Probe(Watch, "start", {STEP: "tuning.look"}),
    Probe(Watch, "goes_on", {STEP: "tuning.look"}),
    Probe(tuner, "judge", {"tuning.rest": "tuning.verdict"}),
    Probe(pipeline, "remember", {REST: "memory.learn"}),
    Probe(Remembered, "at", {REST: "memory.open"}),
    Probe(pipeline, "write", {REST: "writing.rest"}),
    Probe(decoding, "_allowed", {"writing.rest": "writing.heal"}),
    Probe(pipeline, "confidence_of", {REST: "score.confidence"}),
)


@contextmanager
def installed(recorder: Recorder) -> Iterator[None]:
    """All timers, for the length of the block.

    Raises:
        AttributeError: the product has no such function any more.
    """
    with ExitStack() as stack:
        for probe in PROBES:
            _replace(stack, probe.owner, probe.name, functools.partial(_timed, recorder, probe))
        _replace(stack, runs, "objective", functools.partial(_objective, recorder))
        _replace(stack, engines, "greedy", functools.partial(_greedy, recorder))
        yield


def _replace(stack: ExitStack, owner: Any, name: str, wrap: Callable[[Function], Function]) -> None:
    before = getattr(owner, name)
    own = name in vars(owner)  # else it is inherited, and goes away again
    if own:
        stack.callback(setattr, owner, name, before)
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, wrap(before))


def _timed(recorder: Recorder, probe: Probe, function: Function) -> Function:
    @functools.wraps(function)
    def timed(*args: Any, **more: Any) -> Any:
        part = probe.where.get(recorder.innermost)
        if part is None:
            return function(*args, **more)
        with recorder.span(part):
            recorder.add(probe.work(*args, **more))
            return function(*args, **more)

    return timed


def _as(recorder: Recorder, part: str, function: Function) -> Function:
    """It is `part` whenever it is called."""

    @functools.wraps(function)
    def timed(*args: Any, **more: Any) -> Any:
        with recorder.span(part):
            return function(*args, **more)

    return timed


def _objective(recorder: Recorder, objective: Function) -> Function:
    """The trunk reads when an objective is given an example, the upper layers when the loss is asked for."""

    def timed(*args: Any, **more: Any) -> Function:
        of = objective(*args, **more)
        below = _as(recorder, "tuning.trunk", of)
        return lambda ids: _as(recorder, "tuning.forward", below(ids))

    return timed


def _greedy(recorder: Recorder, greedy: Function) -> Function:
    """What decoding asks for first is the reading of the prompt, then a token each time."""
    signature = inspect.signature(greedy)

    def timed(*args: Any, **more: Any) -> Any:
        given = signature.bind(*args, **more)
        given.apply_defaults()
        read, mix = given.arguments["next_logits"], given.arguments["mix"]
        parts = iter(("writing.prefill",))
        given.arguments["next_logits"] = lambda *tokens: _as(recorder, next(parts, "writing.model"), read)(*tokens)
        if mix is not None:
            given.arguments["mix"] = _as(recorder, "writing.mix", mix)
        return greedy(*given.args, **given.kwargs)

    return timed
