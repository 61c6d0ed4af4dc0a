"""What the model, as it is now, makes of a prompt: how well it predicts the context and the truth, and what it writes.

Owns that a prompt is read once under each name, and that prompt and continuation are tokenised together. It does not
know what the model wears, only the name of it.
"""

import time
from dataclasses import dataclass

from vicinal_daemon.config import Settings
from vicinal_daemon.generate.engine import Generated, Recall
from vicinal_daemon.generate.post import Ending, bits_per_byte
from vicinal_daemon.generate.prefix import Prefixes
from vicinal_daemon.generate.prompt import Prompt
from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.target import Target
from vicinal_indexer.types import digest

BASE = "base"
"""The model wears nothing; what was read then is lent to its readings with adapters."""

PROMPTS_IN_MEMORY = 12
"""KV caches that are kept: the base's of each prompt of a task, and those of what is worn now."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading of a prompt says.

    Attributes:
        bits: per byte of the truth.
        context_loss: nats per token of the visible context; 0 where there is none.
        seconds: that reading the prompt took; scoring the truth is no work of a completion.
    """

    bits: float
    context_loss: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Written:
    """What was written behind a prompt: all of it, what is shown, and the seconds behind the prompt."""

    generated: Generated
    shown: str
    seconds: float

    @property
    def log_probabilities(self) -> tuple[float, ...]:
        """Natural log p of the tokens that are shown."""
        return self.generated.shown(self.shown)

    @property
    def unmixed(self) -> tuple[float, ...]:
        """The same under the model without the memory."""
        return self.generated.shown_unmixed(self.shown)


class Reader:
    """Reads the prompts of one task after the other; makes room for their KV caches in the engine.

    `under` names what the model wears, for good: another adapter or scale is another name.
    """

    def __init__(self, engine: TransformersEngine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._contexts: dict[str, tuple[float, float]] = {}  # of the prompts that have been read: loss, seconds
        engine.prefixes = Prefixes(PROMPTS_IN_MEMORY)

    def read(self, under: str, prompt: Prompt, truth: str, memory: Recall | None = None) -> Reading:
        """Read the prompt, of which the context is scored for the guard, then score the truth behind it."""
        name, (start, end) = _name(under, prompt), prompt.context
        if name not in self._contexts:
            started = time.perf_counter()
            scores = self._engine.score_under(name, prompt.text, start, lender=_name(BASE, prompt))
            context = scores.between(start, end)
            self._contexts[name] = -sum(context) / max(1, len(context)), time.perf_counter() - started
        values, text = self._continued(name, prompt, truth, memory)
        return Reading(bits_per_byte(values, text), *self._contexts[name])

    def write(self, under: str, prompt: Prompt, target: Target, memory: Recall | None = None) -> Written:
        """Write the line as the product does: greedily, with healing, trimmed."""
        ending = Ending(target.lines, target.mid_line)
        started = time.perf_counter()
        generated = self._engine.generate_under(
            _name(under, prompt),
            prompt,
            ending.met,
            max_tokens=self._settings.generate.max_tokens,
            memory=memory,
            lender=_name(BASE, prompt),
        )
        return Written(generated, ending.shown(generated.text, target.right), time.perf_counter() - started)

    def log_probability(self, under: str, prompt: Prompt, text: str) -> float:
        """Mean natural log p of the tokens of `text` behind the prompt; 0 for no text."""
        values, _ = self._continued(_name(under, prompt), prompt, text) if text else ([], "")
        return sum(values) / len(values) if values else 0.0

    def forget(self) -> None:
        """Let go of all that was read."""
        self._engine.prefixes.forget()
        self._contexts.clear()

    def _continued(self, name: str, prompt: Prompt, text: str, memory: Recall | None = None) -> tuple[list[float], str]:
        """log p of the tokens of `text` behind the prompt, and the text that they spell.

        Where the prompt ends at a line's start, that newline is scored too: it is one token with the indentation.
        """
        stem = prompt.text.removesuffix("\n") if prompt.heals else prompt.text
        whole = prompt.text + text
        scores = self._engine.score_under(name, whole, len(stem), memory.mix if memory is not None else None)
        return scores.between(len(stem), len(whole)), whole[len(stem) :]


def _name(under: str, prompt: Prompt) -> str:
    """Each prompt of a task has a name of its own, so that none takes the place of another that begins alike."""
    return f"{under} {digest(prompt.text)}"
