"""The language server: the rooms behind LSP's methods, put together.

Owns the wiring, the settings, and what a message sets going. Decides nothing about completions.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from vicinal_indexer import __version__
from vicinal_lsp import convert, wire
from vicinal_lsp.completion import Completions, Telling, behind_selection
from vicinal_lsp.documents import Snapshot, encoding_of, folder_of, folders, opened, snapshot
from vicinal_lsp.feedback import Feedback
from vicinal_lsp.methods import install
from vicinal_lsp.offers import Offer, Offers
from vicinal_lsp.progress import Progress
from vicinal_lsp.rpc import Protocol, converter, trigger_of
from vicinal_lsp.session import Session
from vicinal_lsp.settings import LspSettings, parse
from vicinal_lsp.voice import Voice

if TYPE_CHECKING:
    from vicinal_daemon.protocol.requests import FeedbackRequest
    from vicinal_daemon.protocol.state import Event
    from vicinal_lsp.form import Trigger

log = logging.getLogger(__name__)
Json = dict[str, Any]
ANSWER = "vicinal/answer"
STATUS = "didChangeStatus"
TYPING_SECONDS = 0.5
"""How soon behind a change a request for the menu counts as typing."""

SETTLED_SECONDS = 1.0
"""How long nothing must be typed before the daemon is hinted at the cursor's place."""


class VicinalServer(LanguageServer):
    """One editor's session."""

    protocol: Protocol

    def __init__(self, session: Callable[..., Session] = Session) -> None:
        super().__init__(
            "vicinal",
            __version__,
            notebook_document_sync=types.NotebookDocumentSyncOptions(
                notebook_selector=[types.NotebookDocumentFilterWithCells(cells=[types.NotebookCellLanguage("python")])]
            ),
            protocol_cls=Protocol,
            converter_factory=converter,
        )
        self.settings = LspSettings()
        self.voice = Voice(
            lambda told: self.protocol.tell(STATUS, told),
            lambda kind, message: self.window_show_message(types.ShowMessageParams(kind, message)),
            lambda: self.settings.enabled and self.settings.automatic,
        )
        self._startup_options: object = None
        self.last_answered: Offer | None = None
        self.offers = Offers()
        self.session = session(self.voice.daemon_said, self._happened, on_missing_model=self._model_missing)
        self.completions = Completions(
            self.session,
            self.offers,
            lambda: self.settings,
            self.version_of,
            Telling(self._answered, self.voice.failed, self.voice.refused),
        )
        self.feedback = Feedback(self._send_feedback, self._text, lambda: self.settings.feedback)
        self.bars = Progress(self, self._cancel_work)
        self._settled: asyncio.TimerHandle | None = None
        self._typed_at = -TYPING_SECONDS
        self._tasks: set[asyncio.Task[Any]] = set()
        install(self)

    def can(self, capability: str) -> bool:
        """Whether the client has a capability, by its dotted name."""
        value: Any = self.client_capabilities
        for name in capability.split("."):
            value = getattr(value, name, None)
        return bool(value)

    def version_of(self, uri: str) -> int | None:
        """Of a document as it is now."""
        document = opened(self.workspace, uri)
        return document.version if document is not None else None

    def folders(self) -> list[Path]:
        """The open folders."""
        return folders(self.workspace)

    def behind(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do this without making anyone wait; what fails is logged."""
        task = asyncio.ensure_future(self._logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def change_settings(self, **changes: Any) -> None:
        """By a command, until the client says otherwise."""
        self.settings = replace(self.settings, **changes)

    def exclude(self, path: Path) -> None:
        """Complete no more in this file."""
        self.change_settings(exclude=(*self.settings.exclude, str(path)))

    def greeted(self, options: object) -> None:
        """The client has sent its first word, with these settings."""
        self._startup_options = options
        self.settings, _ = parse(options)

    def ready(self) -> None:
        """The client is ready: the daemon is looked for, the folders are indexed."""
        self._warn(parse(self._startup_options)[1])
        self.session.begin()
        self.voice.tell_status()
        for folder in self.folders():
            self.open_folder(folder)

    def configure(self, value: object) -> None:
        """Take the client's settings; what is wrong with them is said, and the defaults hold there.

        A client that has none (some say so after every start) means those of `initialize`.
        """
        self.settings, warnings = parse(value or self._startup_options)
        self._warn(warnings)
        self.voice.tell_status()

    async def inline(self, params: types.InlineCompletionParams) -> types.InlineCompletionList:
        """`textDocument/inlineCompletion`."""
        at = self._snapshot(params.text_document.uri, params.position)
        if at is None:
            return types.InlineCompletionList([])
        start, asked = at.offset, at
        selected = params.context.selected_completion_info
        if selected is not None:
            place = selected.range.start
            start = convert.offset_at(at.text, place.line, place.character, at.encoding)
            asked = behind_selection(at, min(start, at.offset), selected.text)
        offer = await self.completions.ask(asked, trigger_of(params.context.trigger_kind))
        return wire.inline_items(offer, at, min(start, at.offset)) if offer else types.InlineCompletionList([])

    async def menu(self, params: types.CompletionParams) -> types.CompletionList:
        """`textDocument/completion`, for editors without the other one."""
        at = self._snapshot(params.text_document.uri, params.position)
        kind = params.context.trigger_kind if params.context is not None else types.CompletionTriggerKind.Invoked
        # LSP calls a request that follows on typing a word invoked, too: who has just typed did not ask.
        typing = asyncio.get_running_loop().time() - self._typed_at < TYPING_SECONDS
        by_hand = kind == types.CompletionTriggerKind.Invoked and not typing
        trigger: Trigger = "invoked" if by_hand else "automatic"
        offer = await self.completions.ask(at, trigger) if at is not None else None
        if offer is not None:
            self.feedback.shown(offer)
        return wire.menu_items(offer)

    def opened(self, uri: str) -> None:
        """A document was opened: its folder is worth indexing now."""
        self.open_folder(folder_of(self.workspace, convert.path_of(uri)))

    def open_folder(self, folder: Path | None) -> None:
        """Have the daemon index a folder."""
        if folder is not None and self.settings.enabled:
            self.behind(self._add_workspace(folder))

    def changed(self, uri: str, line: int, character: int) -> None:
        """Something was typed there."""
        self._typed_at = asyncio.get_running_loop().time()
        last = self.offers.last(uri)
        at = self._snapshot(uri, types.Position(line, character))
        if last is not None and (at is None or last.after(at) is None) and at != last.snapshot:
            self.offers.forget(uri)
            if at is not None and last.stands_in(at):  # the command that says so comes behind the text
                self.feedback.taken(uri)
            else:
                self.feedback.passed(uri)
        if self._settled is not None:
            self._settled.cancel()
        if self.settings.hints and self.settings.enabled:
            self._settled = asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._hint, uri, line, character)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self.completions.closed(uri)
        self.offers.forget(uri)
        self.feedback.passed(uri)

    def shown(self, params: Json) -> None:
        """`textDocument/didShowCompletion`."""
        offer = self._offer_of(params)
        if offer is not None:
            self.feedback.shown(offer)

    def partly_accepted(self, params: Json) -> None:
        """`textDocument/didPartiallyAcceptCompletion`: so many of the client's characters, in all.

        The item may be one from before a part of it was typed: then its text goes on as the offer's does.
        """
        offer, length = self._offer_of(params), params.get("acceptedLength")
        if offer is not None and isinstance(length, int):
            said, text = params["item"].get("insertText"), offer.texts[0]
            older = isinstance(said, str) and said.endswith(text)
            whole = said if older else text
            characters = convert.characters(whole, length, encoding_of(self.workspace))
            self.feedback.partly(offer, offer.typed + len(text) - len(whole) + characters)

    async def leave(self) -> None:
        """The client ends the session."""
        self.completions.close()
        self.feedback.close()
        self.bars.close()
        if self._settled is not None:
            self._settled.cancel()
        await self.session.close()

    def report_server_error(self, error: Exception, source: Any) -> None:
        """What a client sent wrongly is answered where it can be; it is no message for its user."""
        log.warning("%s: %s", getattr(source, "__name__", source), error)

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.voice.say_once(types.MessageType.Warning, f"Vicinal's settings: {warning}")

    def _snapshot(self, uri: str, position: types.Position) -> Snapshot | None:
        return snapshot(self.workspace, uri, position.line, position.character)

    def _text(self, uri: str) -> str | None:
        document = opened(self.workspace, uri)
        return document.source if document is not None else None

    def _hint(self, uri: str, line: int, character: int) -> None:
        at = self._snapshot(uri, types.Position(line, character))
        if at is not None and at.folder is not None:
            self.behind(self.session.hint(self.completions.hint(at)))

    async def _add_workspace(self, folder: Path) -> None:
        from vicinal_daemon.protocol.requests import WorkspaceRequest

        await self.session.add_workspace(WorkspaceRequest(root=str(folder)))

    async def _send_feedback(self, request: "FeedbackRequest") -> None:
        await self._logged(self.session.feedback(request))

    def _offer_of(self, params: Json) -> Offer | None:
        """The offer that an item of ours, sent back by the client, belongs to."""
        try:
            return self.offers.get(params["item"]["command"]["arguments"][0]["id"])
        except (KeyError, IndexError, TypeError):
            return None

    def _answered(self, offer: Offer, shown: str) -> None:
        self.last_answered = offer
        self.voice.answered()
        if self.settings.notify:
            self.protocol.tell(ANSWER, wire.told(offer, shown=shown))

    def _happened(self, event: "Event") -> None:
        if self.can("window.work_done_progress"):
            self.bars.heard(event)

    def _model_missing(self, name: str) -> None:
        if self.voice.is_first("model"):
            self.behind(self._offer_model(name))

    async def _offer_model(self, name: str) -> None:
        from vicinal_daemon.protocol.requests import ModelPullRequest

        fetch = types.MessageActionItem("Fetch it")
        question = types.ShowMessageRequestParams(
            types.MessageType.Info,
            f"Vicinal needs the model {name} once; everything stays on this machine afterwards",
            [fetch, types.MessageActionItem("Not now")],
        )
        answer = await self.window_show_message_request_async(question)
        if answer is not None and answer.title == fetch.title:
            try:
                await self.session.pull(ModelPullRequest(name=name), self._happened)
            finally:
                self.bars.over("download", name)

    def _cancel_work(self, name: str) -> None:
        if name == "download":
            self.behind(self.session.cancel_pull())

    async def _logged(self, work: Coroutine[Any, Any, Any]) -> None:
        from vicinal_indexer.errors import VicinalError

        try:
            await work
        except (VicinalError, JsonRpcException) as error:
            log.info("%s", error)
