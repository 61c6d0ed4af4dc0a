"""Who wears and who trains the LoRA of one model that stays attached.

Owns the attachment for as long as a model is used (attaching takes a third of a second), its change of rank, and
whose numbers lie in the slots. Outside `wearing` and a step, the model is bare. It does not know how to train.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Protocol

from vicinal_daemon.generate.transformers_engine import TransformersEngine
from vicinal_daemon.tune.lora import Adapter, AttachedLora


class Student(Protocol):
    """What trains in the slot for study, and can be interrupted between its steps."""

    rank: int

    def resume(self, lora: AttachedLora) -> None:
        """Put its numbers into the slot for study."""

    def park(self, lora: AttachedLora) -> None:
        """Take them out: the slot is to be another's."""


class Wardrobe:
    """The LoRA of one engine's model; closing it gives the model its own layers back."""

    def __init__(self, engine: TransformersEngine) -> None:
        self._engine = engine
        self._lora: AttachedLora | None = None
        self._student: Student | None = None
        self._served: Adapter | None = None

    def __enter__(self) -> "Wardrobe":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def of_rank(self, rank: int) -> AttachedLora:
        """The attachment, with this rank; what trains in one of another rank is parked first."""
        if self._lora is None or self._lora.rank != rank:
            self.close()
            self._lora = AttachedLora(self._engine.model, rank)
        return self._lora

    def seat(self, student: Student) -> AttachedLora:
        """Let `student` train next: its numbers lie in the slot for study when this returns."""
        lora = self.of_rank(student.rank)
        if self._student is not student:
            self._park()
            student.resume(lora)
            self._student = student
        return lora

    def dismiss(self, student: Student) -> None:
        """Forget a student; its numbers are not wanted any more."""
        if self._student is student:
            self._student = None

    @contextmanager
    def wearing(self, adapter: Adapter | None) -> Iterator[None]:
        """Let the model answer with `adapter` for the length of the block; None is the base model.

        Raises:
            ModelDamaged: the adapter is not of this model.
        """
        if adapter is None or adapter.scale == 0:
            yield
            return
        lora = self.of_rank(adapter.rank)
        try:
            if self._served is not adapter:
                self._served = None
                lora.fill("serve", adapter.tensors)
                self._served = adapter
            lora.scale(adapter.scale)
            lora.wear("serve")
            with self._engine.touched(adapter.first):
                yield
        finally:
            lora.wear(None)

    def close(self) -> None:
        """Detach; what trains is parked and can go on in a later attachment."""
        self._park()
        lora, self._lora, self._served = self._lora, None, None
        if lora is not None:
            lora.detach()

    def _park(self) -> None:
        student, self._student = self._student, None
        if student is not None and self._lora is not None:
            student.park(self._lora)
