"""What is noted of answers and of what became of them, in the order in which it comes.

Owns the feedback's file and the thread that writes it, and what is believed of repositories because of it. It does not
know who says what became of an answer.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from vicinal_daemon import protocol
from vicinal_daemon.config.settings import FeedbackSettings
from vicinal_daemon.protocol.state import FeedbackState
from vicinal_daemon.uncertainty.beliefs import name_of, open_beliefs
from vicinal_daemon.uncertainty.feedback import AnswerFeatures, FeedbackStore, Outcome, feedback_file
from vicinal_daemon.uncertainty.tally import tally
from vicinal_indexer import languages
from vicinal_indexer.errors import VicinalError

log = logging.getLogger(__name__)
Found = TypeVar("Found")


class Notes:
    """The notes in a data folder; everything happens behind what came before.

    Attributes:
        beliefs: how sure an answer is, by what is noted of its repository.
        trouble: why the last answer could not be noted; None if it was.
    """

    def __init__(self, settings: FeedbackSettings, data: Path) -> None:
        self._settings = settings
        self._feedback = FeedbackStore(feedback_file(data))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feedback")
        self.beliefs = open_beliefs(data)
        self.trouble: VicinalError | None = None

    def answered(self, answer: protocol.Answer) -> None:
        """Note an answer, if anything is to be noted (`feedback.enabled`); nobody waits for it."""
        if self._settings.enabled:
            self._thread.submit(self._note, answer)

    async def record(self, identity: str, outcome: Outcome) -> bool:
        """Note what became of an answer; False if nothing is to be noted.

        Raises:
            InputError: there is no such answer.
            StoreUnavailable: it cannot be written.
        """
        if not self._settings.enabled:
            return False

        def note(feedback: FeedbackStore) -> None:
            feedback.record(identity, outcome)
            self.beliefs.learn(feedback.repository_of(identity), feedback)

        await self.in_turn(note)
        return True

    async def recorded(self) -> FeedbackState:
        """What was noted, in numbers; all that has been answered until now counts.

        Raises:
            StoreUnavailable: it cannot be read.
        """
        return await self.in_turn(lambda feedback: tally(feedback.told(), self._settings))

    async def erase(self) -> None:
        """Forget what was noted of all that has been answered until now.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        await self.in_turn(FeedbackStore.erase)
        self.beliefs.forget()

    async def learn(self, root: str) -> None:
        """Believe of a repository what its notes say now."""
        await self.in_turn(lambda feedback: self.beliefs.learn(name_of(root), feedback))

    async def in_turn(self, work: Callable[[FeedbackStore], Found]) -> Found:
        """What `work` makes of the feedback, behind all that was to be noted before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._feedback)

    def close(self) -> None:
        """Write what is left; takes as long as that takes."""
        self._thread.shutdown()
        self._feedback.close()

    def _note(self, answer: protocol.Answer) -> None:
        try:
            features = _features(answer)
            paths = {answer.path, *(piece.path for piece in answer.evidence)}
            self._feedback.record_answer(answer.id, features, paths)
            self.trouble = None
            if not self.beliefs.knows(answer.repository):
                self.beliefs.learn(features.repository, self._feedback)
        except VicinalError as error:
            self.trouble = error
            log.warning("an answer could not be recorded: %s", error.message)


def _features(answer: protocol.Answer) -> AnswerFeatures:
    confidence, adaptation = answer.confidence, answer.adaptation
    return AnswerFeatures(
        value=confidence.value,
        sigma_0=confidence.sigma_0,
        sigma_n=confidence.sigma_n,
        sigma_inf=confidence.sigma_inf,
        explained=confidence.explained,
        token_probability=confidence.token_probability,
        least_probability=confidence.least_probability,
        tokens=answer.completion.tokens,
        characters=len(answer.completion.text),
        lines=answer.completion.text.count("\n") + 1,
        kind=adaptation.kind,
        steps=adaptation.steps,
        nearness=adaptation.nearness,
        trigger=answer.trigger,
        language=languages.detect(answer.path, ""),
        model=answer.model,
        shown_tokens=confidence.shown_tokens,
        first_entropy=confidence.first_entropy,
        similarity=confidence.similarity,
        change=confidence.change,
        repository=name_of(answer.repository),
    )
