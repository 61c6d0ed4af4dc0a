"""What came of one task in one mode, as a record.

Owns how a record is filled. It does not know how anything was measured.
"""

from dataclasses import dataclass, field

from vicinal_daemon.evaluate.metrics import edit_similarity, is_exact
from vicinal_daemon.evaluate.modes import Mode
from vicinal_daemon.evaluate.reading import Written
from vicinal_daemon.evaluate.record import Evidence, Record
from vicinal_daemon.evaluate.tasks import Task
from vicinal_daemon.neighbourhood import Choice
from vicinal_daemon.uncertainty import Belief


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured; the attributes are those of `Record`.

    Attributes:
        written: by the mode.
        base: by the base model, with the same prompt.
    """

    written: Written
    base: Written
    bits: float
    unguarded_bits: float
    seconds: float
    steps: int = 0
    scale: float = 0.0
    change: float | None = None
    curve: dict[int, float] = field(default_factory=dict)
    context_loss: dict[float, float] = field(default_factory=dict)


def record_of(repo: str, task: Task, mode: Mode, choice: Choice, outcome: Outcome, belief: Belief) -> Record:
    """The record; `choice` is where its sigmas come from."""
    written, selection = outcome.written, choice.selection
    evidence = Evidence(
        log_probabilities=tuple(round(value, 5) for value in written.log_probabilities),
        first_entropy=written.generated.first_entropy,
        sigma_0=selection.sigma_0,
        sigma_n=selection.sigma_n,
        sigma_inf=selection.sigma_inf,
        similarity=choice.similarity,
        change=outcome.change,
        base_text_same=written.shown == outcome.base.shown,
        unmixed=tuple(round(value, 5) for value in written.unmixed),
    )
    return Record(
        repo=repo,
        task=task.id,
        kind=task.kind,
        path=task.path,
        line=task.line,
        language=task.language,
        mode=mode.name,
        truth=task.truth,
        text=written.shown,
        exact=is_exact(written.shown, task.truth),
        similarity=edit_similarity(written.shown, task.truth),
        bits=outcome.bits,
        bytes=len(task.truth.encode()) + 1,
        unguarded_bits=outcome.unguarded_bits,
        steps=outcome.steps,
        scale=outcome.scale,
        seconds=outcome.seconds,
        confidence=belief.in_text(evidence.clues(written.shown)),
        evidence=evidence,
        curve=outcome.curve,
        context_loss=outcome.context_loss,
    )
