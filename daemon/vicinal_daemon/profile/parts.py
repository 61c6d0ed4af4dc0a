"""The parts of a request that are told apart.

Owns their names and order. It does not know how they are timed.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """`key` is its name in JSON; what stands before the dot is its stage."""

    key: str
    label: str

    @property
    def stage(self) -> str:
        """What it is a part of."""
        return self.key.partition(".")[0]


PARTS = (
    Part("candidates.embed", "embed the query"),
    Part("candidates.dense", "dense search"),
    Part("candidates.text", "full-text, waited"),
    Part("candidates.rest", "the rest"),
    Part("selection.kernel", "kernel"),
    Part("selection.picks", "greedy picks"),
    Part("selection.rest", "words, long picks"),
    Part("prompt.build", "build the prompt"),
    Part("tuning.attach", "LoRA on and off"),
    Part("tuning.prepare", "tokens, vocabulary"),
    Part("tuning.trunk", "below the cut"),
    Part("tuning.forward", "above it, loss"),
    Part("tuning.backward", "backward"),
    Part("tuning.optimiser", "optimiser"),
    Part("tuning.look", "guard's looks"),
    Part("tuning.step", "rest of the steps"),
    Part("tuning.verdict", "guard's verdict"),
    Part("tuning.rest", "the rest"),
    Part("memory.learn", "repository, tokens"),
    Part("memory.open", "the open file"),
    Part("writing.wear", "adapter on and off"),
    Part("writing.prefill", "read the prompt"),
    Part("writing.model", "model, a token"),
    Part("writing.mix", "memory, a token"),
    Part("writing.heal", "token healing"),
    Part("writing.rest", "the rest"),
    Part("score.confidence", "confidence"),
    Part("rest.rest", "what is not named"),
)

REST = "rest.rest"
STEP = "tuning.step"
BY_STEP = (
    "tuning.trunk",
    "tuning.forward",
    "tuning.backward",
    "tuning.optimiser",
    "tuning.look",
    "tuning.attach",
    STEP,
)
"""What a training step consists of; the first one also attaches the LoRA."""
