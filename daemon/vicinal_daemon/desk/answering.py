"""One answer on its way: what is found, planned, tuned and written for it.

Owns the order of these stages, which is that of `complete`. It does not know where requests come from, nor what goes on
behind the answer.
"""

import asyncio
import time
from dataclasses import dataclass, replace

from vicinal_daemon import protocol
from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.assemble import Learned, adaptation_of, confidence_of, evidence_of, text_of
from vicinal_daemon.desk.finder import Finder
from vicinal_daemon.desk.jobs import Found, Job, codes
from vicinal_daemon.desk.writer import Writer
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.neighbourhood import clues_at
from vicinal_daemon.policy import Plan, Ready, decide
from vicinal_daemon.scheduler import Priority, Ticket
from vicinal_daemon.stages import OnStage, Stopwatch
from vicinal_daemon.studies import Recipe, Studies, learned_from
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.uncertainty.beliefs import Beliefs
from vicinal_daemon.worker.messages import Alternative, Code, Wear, Written
from vicinal_daemon.worth import Wanted, default_forecast, wanted

UNBOUND_LINES = 4
"""What an answer without a bound on its lines is reckoned with."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What an answer is made with."""

    accelerator: Accelerator
    store: AdapterStore
    studies: Studies
    finder: Finder
    writer: Writer
    beliefs: Beliefs


@dataclass(frozen=True, slots=True)
class Behind:
    """What is worth doing behind an answer.

    Attributes:
        study: what to study.
        unread: the code in the full prompt, if the answer's was shorter; and what it is to be read with.
    """

    study: Recipe | None
    unread: tuple[tuple[Code, ...], Wear | None] | None


class Answering:
    """The answer to one job."""

    def __init__(self, rooms: Rooms, job: Job, ticket: Ticket, watch: Stopwatch, on_stage: OnStage) -> None:
        self._rooms = rooms
        self._job = job
        self._id = ticket.id
        self._cancellation = ticket.cancellation
        self._watch = watch
        self._on_stage = on_stage

    async def answer(self) -> tuple[protocol.Answer, Behind]:
        """The answer, and what is worth doing behind it.

        Raises:
            VicinalError: the reason of a cancellation; the index or the model cannot be used.
        """
        job, watch, on_stage, cancellation = self._job, self._watch, self._on_stage, self._cancellation
        files = await self._rooms.accelerator.files()
        if not self._rooms.accelerator.is_ready:
            on_stage("load", 0, 0)
            with watch.stage("load"):
                await cancellation.first(self._rooms.accelerator.ready())
        on_stage("candidates", 0, 0)
        found = await self._rooms.finder.find(job, files, cancellation, watch)
        with watch.stage("plan"):
            aim = self._aim(found)
            full = codes(found.choice.snippets(job.settings.prompt.picks)) if aim.prompt else ()
            plan, shortened = self._plan(found, full, files, aim)
        base = None
        if job.compare:
            on_stage("base", 0, 0)
            with watch.stage("base"):
                written = await self._rooms.writer.write_bare(job, plan.context_tokens, cancellation)
            base = _text_of(written, watch.seconds["base"])
        wear, learned, nearness = await self._adapter(found, plan)
        on_stage("generate", 0, 0)
        snippets = full[: plan.picks]
        with watch.stage("generate"):
            bounded = replace(job, alternatives=plan.alternatives)
            written = await self._rooms.writer.write(bounded, snippets, plan.context_tokens, wear, cancellation)
        cancellation.check()
        spent = written.read_seconds + written.write_seconds
        watch.seconds |= {
            "read": written.read_seconds,
            "write": written.write_seconds,
            "total": time.perf_counter() - job.started,
        }
        answer = protocol.Answer(
            id=self._id,
            repository=job.root,
            path=job.target.path,
            line=job.target.line,
            column=job.target.column,
            completion=_text_of(written, spent),
            alternatives=[_text_of(other, other.seconds) for other in written.alternatives],
            base=base,
            present=job.target.hidden,
            confidence=confidence_of(
                self._rooms.beliefs.of(job.root),
                found.choice,
                written.text,
                written.log_probabilities,
                first_entropy=written.first_entropy,
                least_token=written.least_token,
            ),
            adaptation=adaptation_of(
                plan.kind,
                job.settings.select.strategy,
                learned,
                aim=aim if found.choice.candidates else None,
                nearness=nearness,
                behind=plan.behind,
            ),
            evidence=evidence_of(found.choice, 0 if plan.kind == "warm" else learned.steps, len(snippets)),
            candidates=found.choice.candidates,
            skipped_files=job.workspace.state().skipped if job.workspace is not None else 0,
            model=files.name,
            device=self._rooms.accelerator.state().device,
            seed=job.settings.seed,
            seconds={name: round(value, 4) for name, value in watch.seconds.items()},
        )
        return answer, Behind(found.recipe if plan.behind else None, (full, wear) if shortened else None)

    def _aim(self, found: Found) -> Wanted:
        """What is worth its time here, whatever the budget."""
        job, costs = self._job, self._rooms.accelerator.costs
        prompt = job.settings.prompt
        return wanted(
            default_forecast(),
            clues_at(found.choice, job.target),
            len(found.recipe.begin.examples) if found.recipe is not None else 0,
            price=job.settings.tune.price,
            step_seconds=costs.step or 0.0,
            prompt_seconds=(costs.read or 0.0) * prompt.pick_tokens * len(found.choice.snippets(prompt.picks)),
        )

    def _plan(self, found: Found, snippets: tuple[Code, ...], files: ModelFiles, aim: Wanted) -> tuple[Plan, bool]:
        """What to do with this code in a full prompt; and whether the prompt must be shorter."""
        job = self._job
        prompt = job.settings.prompt
        near = found.near[0] if found.near is not None else None
        likely = found.exact or (near or found.warm if found.dropped is None else None)
        unread = self._rooms.writer.unread(job, snippets, likely.key if likely is not None else "")
        context, sizes = prompt.context_tokens, [prompt.pick_tokens] * len(snippets)
        if job.budget is not None and unread is None:
            context, sizes = self._rooms.finder.sizes(job, found, files)
        plan = decide(
            None if job.budget is None else job.budget - (time.perf_counter() - job.started),
            self._rooms.accelerator.costs,
            Ready(found.exact is not None or found.dropped is not None, near is not None, found.warm is not None),
            steps=aim.steps,
            context_tokens=context,
            pick_tokens=sizes,
            unread=unread,
            lines=job.lines or UNBOUND_LINES,
            alternatives=job.alternatives,
        )
        return plan, plan.picks < len(sizes) or plan.context_tokens < context

    async def _adapter(self, found: Found, plan: Plan) -> tuple[Wear | None, Learned, float]:
        """What the answer is written with, what it is made of, and how near its selection is to this one."""
        if plan.kind == "fresh" and found.recipe is not None:
            return *await self._tune(found.recipe, plan), 1.0
        if plan.kind == "cached" and found.exact is None and found.dropped is not None:
            return None, found.dropped, 1.0
        chosen, nearness = found.exact, 1.0
        if plan.kind == "cached" and chosen is None and found.near is not None:
            chosen, nearness = found.near
        if plan.kind == "warm":
            chosen = found.warm
        if plan.kind == "base" or chosen is None:
            return None, Learned(), 1.0
        self._rooms.store.touch(chosen.key)
        learned = self._rooms.studies.learned(chosen.key) or Learned(chosen.steps, scale=chosen.scale)
        return Wear(chosen.key, chosen.file), learned, nearness

    async def _tune(self, recipe: Recipe, plan: Plan) -> tuple[Wear | None, Learned]:
        """Take the planned steps, in the study that may go on behind; the adapter that they make."""
        job, on_stage, cancellation, studies = self._job, self._on_stage, self._cancellation, self._rooms.studies
        study = studies.start(job.document, recipe, Priority.TUNE)
        on_stage("tune", 0, plan.steps)
        try:
            with self._watch.stage("tune"):
                for step in range(1, plan.steps + 1):
                    await cancellation.first(study.reach(step))
                    on_stage("tune", step, plan.steps)
                if plan.steps < study.steps:
                    wear = Wear(f"{recipe.info.key}.{plan.steps}", None)
                    judged = await cancellation.first(study.judge(wear.key))
                    learned = learned_from(study.losses[: plan.steps], judged)
                else:
                    learned = await cancellation.first(asyncio.shield(study.task))
                    wear = Wear(recipe.info.key, recipe.info.file)
        except Withdrawn:
            # Called off, not superseded: whoever called it off wants the accelerator free, not the rest of the study.
            if cancellation.is_set() and studies.under_way(recipe.info.key) is study:
                studies.cancel(job.document)
            raise
        finally:
            study.priority = Priority.SPECULATE  # nobody waits for it any more
        return (wear if learned.scale > 0 else None), learned


def _text_of(written: Written | Alternative, seconds: float) -> protocol.Text:
    return text_of(written.text, written.log_probabilities, written.tokens, seconds, finished=written.finished)
