"""The desk: the path of a request through the daemon.

Owns one request a document, answers typed ahead, what is done for one answer, and what goes on behind it. The stages
of an answer are those of `complete`, whose functions it uses. It does not know HTTP.
"""

import asyncio
import logging
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import NamedTuple

from vicinal_daemon import config, protocol
from vicinal_daemon.accelerator import Accelerator
from vicinal_daemon.assemble import Learned
from vicinal_daemon.config import Settings
from vicinal_daemon.desk.ahead import ReadingAhead
from vicinal_daemon.desk.answering import Answering, Rooms
from vicinal_daemon.desk.finder import Finder, serves
from vicinal_daemon.desk.jobs import Job, document_of, folder_of, locate
from vicinal_daemon.desk.memories import Memories
from vicinal_daemon.desk.typed import TypedAhead
from vicinal_daemon.desk.writer import Writer
from vicinal_daemon.disk import Disk
from vicinal_daemon.errors import Withdrawn
from vicinal_daemon.generate.prompt import Offsets
from vicinal_daemon.models import ModelFiles
from vicinal_daemon.protocol.requests import CompleteRequest, HintRequest
from vicinal_daemon.protocol.state import Event, RecentAnswer
from vicinal_daemon.scheduler import Cancellation, Priority, Requests, Ticket, Turnstile
from vicinal_daemon.stages import OnStage, Stopwatch, silent
from vicinal_daemon.studies import Recipe, Studies, Study
from vicinal_daemon.target import cut, read_document
from vicinal_daemon.tune.adapter_file import AdapterInfo
from vicinal_daemon.tune.adapters import AdapterStore
from vicinal_daemon.uncertainty.beliefs import Beliefs
from vicinal_daemon.worker.messages import Wear
from vicinal_daemon.workspaces import Workspace, Workspaces
from vicinal_indexer.errors import InputError, VicinalError
from vicinal_indexer.secrets import masked

log = logging.getLogger(__name__)

IN_HAND = 2
"""Requests that are worked on at once: while one has the accelerator, the next one is searched for."""

RECENT_ANSWERS = 20
RECENT_JOBS = 64


class _Opened(NamedTuple):
    """A document, its repository (None if it belongs to none) and the settings for it."""

    workspace: Workspace | None
    path: str
    text: str
    settings: Settings


class Desk:
    """Answers completions. One for the daemon, on its event loop."""

    def __init__(
        self,
        settings: Settings,
        disk: Disk,
        workspaces: Workspaces,
        accelerator: Accelerator,
        memories: Memories,
        store: AdapterStore,
        on_answer: Callable[[protocol.Answer], None],
        on_event: Callable[[Event], None],
        beliefs: Beliefs,
        on_error: Callable[[VicinalError], None] = lambda error: None,
    ) -> None:
        self._settings = settings
        self._disk = disk
        self._workspaces = workspaces
        self._accelerator = accelerator
        self._memories = memories
        self._store = store
        self._on_answer = on_answer
        self._on_event = on_event
        self._on_error = on_error
        self._typed = TypedAhead()
        self._in_hand = Turnstile(IN_HAND)
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()  # the last of each document
        self.requests = Requests(settings.daemon.queue)
        self.studies = Studies(accelerator, store, self._studied, self._is_current, self._stepped)
        finder = Finder(accelerator, store, self.studies)
        writer = Writer(accelerator)
        self._rooms = Rooms(accelerator, store, self.studies, finder, writer, beliefs)
        self.ahead = ReadingAhead(accelerator, writer)
        self.recent: deque[RecentAnswer] = deque(maxlen=RECENT_ANSWERS)
        self.last_asked = time.monotonic()

    async def complete(self, request: CompleteRequest, on_stage: OnStage = silent) -> protocol.Answer:
        """Answer one request.

        Raises:
            InputError: the place cannot be.
            RequestDropped: a newer request came, it was cancelled, or too many wait.
            ModelError: the model cannot be had, or failed.
        """
        started = time.perf_counter()
        with self._errors_told():
            return await self._complete(request, started, on_stage)

    async def _complete(self, request: CompleteRequest, started: float, on_stage: OnStage) -> protocol.Answer:
        document = document_of(request)
        with self.requests.taken(request.id or uuid.uuid4().hex, document) as ticket:
            self.last_asked = time.monotonic()
            workspace, path, text, found = await ticket.cancellation.first(self._opened(request))
            settings = _overridden(found, request)
            lines = request.lines or settings.generate.lines
            target = cut(path, text, request.line, request.column, lines, hidden_lines=request.replace_lines)
            if request.wait_for_index and workspace is not None:
                on_stage("index", 0, 0)
                await ticket.cancellation.first(asyncio.to_thread(workspace.settle, inf, ticket.cancellation.is_set))
            revision = workspace.revision if workspace is not None else None
            rest = self._typed.rest(document, target, settings, revision, request.alternatives)
            if rest is not None and (rest.base is not None or not request.compare):
                update = {
                    "id": ticket.id,
                    "trigger": request.trigger,
                    "seconds": {"total": round(time.perf_counter() - started, 4)},
                }
                return self._said(rest.model_copy(update=update))
            job = Job(
                document,
                request.client,
                workspace,
                target,
                settings,
                request.budget_ms / 1000 if request.budget_ms is not None else None,
                lines,
                settings.generate.max_tokens,
                request.compare,
                request.alternatives,
                started=started,
            )
            answer = await self._answer(job, ticket, on_stage)
            answer = answer.model_copy(update={"trigger": request.trigger})
            self._typed.remember(document, target, settings, revision, answer, request.alternatives)
            return self._said(answer)

    async def write(self, job: Job, identity: str) -> protocol.Answer:
        """Answer a job that did not come as a `CompleteRequest`; see `complete`."""
        with self._errors_told(), self.requests.taken(identity, job.document) as ticket:
            self.last_asked = time.monotonic()
            return self._said(await self._answer(job, ticket, silent))

    async def hint(self, request: HintRequest) -> str:
        """The cursor rests here: find and study what a completion would need. Says what is done about it."""
        self.last_asked = time.monotonic()
        workspace, path, text, settings = await self._opened(request)
        target = cut(path, text, request.line, request.column, settings.generate.lines)
        lines, tokens = target.lines, settings.generate.max_tokens
        job = Job(document_of(request), request.client, workspace, target, settings, None, lines, tokens)
        files = await self._accelerator.files()
        found = await self._rooms.finder.find(job, files, Cancellation(), Stopwatch())
        if found.recipe is None:
            return "nothing to study"
        if found.exact is not None or found.dropped is not None or serves(found.warm, settings):
            return "ready"
        self._study_behind(job, found.recipe)
        return "studying"

    def offsets(self, files: ModelFiles) -> Offsets:
        """The model's tokenizer, as far as prompts need it."""
        return self._rooms.finder.offsets(files)

    def cancel(self, identity: str, document: Hashable) -> int:
        """Cancel a request by id, or whatever is done for a document; says how many requests were."""
        if document is not None:
            self.studies.cancel(document)
        return self.requests.cancel(identity=identity, document=document)

    async def forget(self) -> None:
        """Drop what is under way, and all that is held in memory of what was found and answered."""
        self.requests.cancel_all(Withdrawn("something is being forgotten", hint="ask again in a moment"))
        await self.studies.close()
        await self.ahead.close()
        self._jobs.clear()
        self._typed.clear()
        self._rooms.finder.clear()
        self._rooms.writer.clear()
        self.recent.clear()
        masked.cache_clear()

    async def close(self) -> None:
        """Drop what is under way."""
        self.requests.cancel_all()
        await self.studies.close()
        await self.ahead.close()

    async def _opened(self, request: CompleteRequest | HintRequest) -> "_Opened":
        def look() -> _Opened:
            root, path = locate(request)
            if root is None:
                if request.text is None:
                    hint = "send its text"
                    raise InputError("a document that stands alone is not read from the disk", hint=hint)
                return _Opened(None, path, request.text, self._settings)
            workspace = self._workspaces.open(root)
            text = request.text if request.text is not None else read_document(root / path, root / path)
            return _Opened(workspace, path, text, workspace.settings)

        return await self._disk.look(folder_of(request), look)

    async def _answer(self, job: Job, ticket: Ticket, on_stage: OnStage) -> protocol.Answer:
        watch = Stopwatch()
        self.ahead.stop()
        if job.workspace is not None:
            self._memories.use(job.workspace)
        entered = time.perf_counter()
        async with self._in_hand.turn(Priority.WRITE, job.client, ticket.cancellation):
            watch.seconds["wait"] = time.perf_counter() - entered
            answer, behind = await Answering(self._rooms, job, ticket, watch, on_stage).answer()
        if behind.study is not None:
            self._study_behind(job, behind.study)
        if behind.unread is not None:
            snippets, wear = behind.unread
            self.ahead.begin(job, snippets, job.settings.prompt.context_tokens, wear)
        return answer

    def _study_behind(self, job: Job, recipe: Recipe) -> None:
        self._jobs[job.document] = job
        self._jobs.move_to_end(job.document)
        if len(self._jobs) > RECENT_JOBS:
            self._jobs.popitem(last=False)
        self.studies.start(job.document, recipe, Priority.SPECULATE)

    def _studied(self, document: Hashable, study: Study, learned: Learned) -> None:
        """A study is done: let the engine read the prompt with the new adapter, so that the next answer is quick."""
        job, prompt = self._jobs.pop(document, None), study.recipe.prompt
        if job is not None and prompt is not None and learned.scale > 0:
            wear = Wear(study.recipe.info.key, study.recipe.info.file)
            self.ahead.begin(job, prompt.snippets, prompt.context_tokens, wear)

    def _stepped(self, study: Study) -> None:
        root = study.recipe.info.workspace
        self._on_event(Event(name="tune", workspace=root, stage="tune", done=len(study.losses), total=study.steps))

    def _is_current(self, info: AdapterInfo) -> bool:
        workspace = self._workspaces.get(Path(info.workspace))
        index = workspace.at_hand if workspace is not None else None
        if index is None:
            return False
        current = index.hashes({pick.path for pick in info.picks})
        return all(pick.content_hash in current.get(pick.path, ()) for pick in info.picks)

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except VicinalError as error:
            self._on_error(error)
            raise

    def _said(self, answer: protocol.Answer) -> protocol.Answer:
        self.recent.appendleft(
            RecentAnswer(
                id=answer.id,
                at=time.time(),
                workspace=answer.repository,
                path=answer.path,
                line=answer.line,
                kind=answer.adaptation.kind,
                steps=answer.adaptation.steps,
                typed_ahead=answer.typed_ahead,
                confidence=answer.confidence.value,
                seconds=answer.seconds,
            )
        )
        self._on_answer(answer)
        return answer


def _overridden(settings: Settings, request: CompleteRequest) -> Settings:
    """The workspace's settings with those of the request, which may set what a repository may.

    Raises:
        InputError: it sets others, or sets them wrongly.
    """
    if not request.settings:
        return settings
    open_ones = {row.key for row in config.settings_table() if row.from_repo}
    closed = sorted(set(request.settings) - open_ones)
    if closed:
        raise InputError(
            f"a request cannot set {', '.join(closed)}", hint="set it in your own file and restart the daemon"
        )
    return config.overridden(settings, request.settings)
