"""A run of tuning: one gradient step per example, in order, that can be interrupted between any two.

Owns the optimiser and its moments, and the falling learning rate. It does not know who runs in between, nor how much
of the result is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from vicinal_daemon.errors import ModelUnusable
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.generate.trunk import first_to_learn
from vicinal_daemon.tune.guard import WATCH_EVERY, Passage, Watch, loss
from vicinal_daemon.tune.interrupting import between_layers
from vicinal_daemon.tune.lora import Adapter, AttachedLora, Tensors, rounded
from vicinal_daemon.tune.objective import objective
from vicinal_daemon.tune.wardrobe import Wardrobe

BETAS = (0.9, 0.999)
"""Adam's usual ones."""


@dataclass(frozen=True, slots=True)
class TuningSettings:
    """How to learn.

    Attributes:
        rank: LoRA's r.
        learning_rate: Adam's, at the first step.
        max_tokens: that each example is cut to.
        depth: the share of the layers that learns; None: as the engine was told.
        momentum: Adam's beta_1, the weight of what earlier texts said in each step; None: the usual one.
    """

    rank: int
    learning_rate: float
    max_tokens: int
    guard: bool
    seed: int
    depth: float | None = None
    momentum: float | None = None


class TuningRun:
    """Adam on one example after the other; a step at a time, by `step`.

    Args:
        examples: those too short to learn from are left out.
        start: the adapter that it begins with, whose layers learn on; None: a new one, drawn by the seed.
        done: steps taken in an earlier life; they are skipped, and `start` has their effect.
        watched: held-out text, if any. Once a look at it shows that the last steps did not help there, the run is over,
            and what was learned is what was best.

    Attributes:
        rank: of the LoRA.
        steps: how many there are in all; fewer once the run is over before its time.
        done: how many have been taken.
        losses: of each step's example before its step, in nats per token, of this life.

    Raises:
        ModelUnusable: `start` has another rank.
    """

    def __init__(
        self,
        engine: TransformersEngine,
        wardrobe: Wardrobe,
        examples: Sequence[str],
        settings: TuningSettings,
        *,
        start: Adapter | None = None,
        done: int = 0,
        watched: Sequence[Passage] = (),
    ) -> None:
        if start is not None and start.rank != settings.rank:
            raise ModelUnusable(
                f"tuning at rank {settings.rank} cannot start from an adapter of rank {start.rank}",
                hint="set tune.rank to the adapter's, or start without it",
            )
        self.rank = settings.rank
        self._engine = engine
        self._wardrobe = wardrobe
        self._settings = settings
        encoded = [engine.codec.encode(text)[0][: settings.max_tokens] for text in examples]
        self._examples = [ids for ids in encoded if len(ids) > 1]
        depth = settings.depth
        new = engine.first if depth is None else first_to_learn(engine.model, depth)
        self._first = new if start is None else start.first
        self._objective = objective(engine, self._examples, self._first)
        self.steps = self._planned = len(self._examples)
        self.done = min(done, self.steps)
        self.losses: list[float] = []
        self._begin = start
        self._parked: Tensors | None = None
        self._moments: dict[str, object] | None = None
        self._optimizer: torch.optim.Adam | None = None
        self._watch = Watch(lambda: loss(engine, watched)) if watched else None

    @property
    def next_tokens(self) -> int:
        """How many tokens the next step's example has; 0 if there is none."""
        return len(self._examples[self.done]) if self.done < self.steps else 0

    def step(self, check: Callable[[], None] = lambda: None) -> float:
        """One step on the next example; returns the loss before it, in nats per token.

        Args:
            check: called between any two layers. What it raises ends the step as if it had not begun.

        Raises:
            ModelUnusable: all steps have been taken.
        """
        if self.done >= self.steps:
            raise ModelUnusable(f"all {self.steps} steps of this run have been taken")
        lora = self._wardrobe.seat(self)
        assert self._optimizer is not None  # noqa: S101 - `seat` has called `resume`
        # Linear decay: the last, least informative picks must not undo the first.
        fallen = self.done / self._planned
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * (1.0 + (1.0 / self._planned - 1.0) * fallen)
        try:
            with between_layers(self._engine.model, check):
                loss_of = self._objective(self._examples[self.done])
            lora.wear("study")
            with self._engine.touched(self._first):
                self.losses.append(self._stepped(lora, loss_of, check))
        finally:
            lora.wear(None)
        return self.losses[-1]

    def _stepped(self, lora: AttachedLora, loss_of: Callable[[], torch.Tensor], check: Callable[[], None]) -> float:
        assert self._optimizer is not None  # noqa: S101 - `seat` has called `resume`
        if self._watch is not None and not self.losses:
            self._watch.start()
        self._optimizer.zero_grad(set_to_none=True)
        with between_layers(self._engine.model, check):
            found = loss_of()
            found.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self.done += 1
        self._look(lora)
        return float(found.detach())

    def _look(self, lora: AttachedLora) -> None:
        """Now and then, and in the end, see whether the steps help where nothing was trained on."""
        if self._watch is None or (self.done % WATCH_EVERY and self.done < self.steps):
            return
        if not self._watch.goes_on(lambda: lora.tensors("study")):
            lora.fill("study", self._watch.kept if self._watch.kept is not None else self._start(lora))
            self.steps = self.done

    def adapter(self) -> Adapter:
        """What has been learned so far, finished; the run can go on from its own, unrounded numbers."""
        return rounded(self._wardrobe.seat(self).tensors("study"), self.rank)

    def resume(self, lora: AttachedLora) -> None:
        """See `Student`. The moments are the run's own; the parameters may be those of a new attachment."""
        lora.fill("study", self._parked if self._parked is not None else self._start(lora))
        told = self._settings
        betas = (BETAS[0] if told.momentum is None else told.momentum, BETAS[1])
        learning = lora.parameters("study").values()
        self._optimizer = torch.optim.Adam(learning, lr=told.learning_rate, betas=betas, fused=True)
        if self._moments is not None:
            self._optimizer.load_state_dict(self._moments)
        self._parked = self._moments = None

    def _start(self, lora: AttachedLora) -> Tensors:
        """What the run starts from."""
        return _at_full_scale(self._begin) if self._begin is not None else lora.fresh(self._settings.seed, self._first)

    def park(self, lora: AttachedLora) -> None:
        """See `Student`."""
        self._parked = lora.tensors("study")
        self._moments = self._optimizer.state_dict() if self._optimizer is not None else None
        self._optimizer = None


def _at_full_scale(adapter: Adapter) -> Tensors:
    """The same change to the model, with all of the scale in B."""
    return {
        name: value.float() * adapter.scale if ".lora_B." in name else value.float()
        for name, value in adapter.tensors.items()
    }
