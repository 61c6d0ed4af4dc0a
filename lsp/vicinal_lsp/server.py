"""The language server: LSP's methods, each a few lines, and the rooms behind them put together.

Owns the wiring, what the client is told of our state, and what it can do. Decides nothing about completions.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

from vicinal_indexer import __version__
from vicinal_lsp import convert, wire
from vicinal_lsp.commands import COMMANDS, CommandRefused
from vicinal_lsp.completion import Completions, Telling, behind_selection
from vicinal_lsp.documents import Snapshot, encoding_of, folder_of, folders, opened, snapshot
from vicinal_lsp.feedback import Feedback
from vicinal_lsp.handshake import MENU_TRIGGERS, shows_menu
from vicinal_lsp.news import Status
from vicinal_lsp.offers import Offer, Offers
from vicinal_lsp.progress import Progress
from vicinal_lsp.rpc import Protocol, converter, trigger_of
from vicinal_lsp.session import Session
from vicinal_lsp.settings import LspSettings, parse

if TYPE_CHECKING:
    from vicinal_daemon.protocol.requests import FeedbackRequest
    from vicinal_daemon.protocol.state import Event
    from vicinal_indexer.errors import VicinalError
    from vicinal_lsp.form import Trigger

log = logging.getLogger(__name__)
Json = dict[str, Any]
ANSWER = "vicinal/answer"
STATUS = "didChangeStatus"
DID_SHOW = "textDocument/didShowCompletion"
DID_ACCEPT_PARTLY = "textDocument/didPartiallyAcceptCompletion"
KINDS = {"normal": "Normal", "progress": "InProgress", "warning": "Warning", "error": "Error"}
TYPING_SECONDS = 0.5
"""How soon behind a change a request for the menu counts as typing."""

SETTLED_SECONDS = 1.0
"""How long nothing must be typed before the daemon is hinted at the cursor's place."""


class RequestFailed(JsonRpcException):
    """LSP's code for a request that was understood and could not be done; the message is for the user."""

    CODE = -32803


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
        self.status = Status("progress", "starting")
        self._of_daemon = self.status
        self._status_told: Status | None = None
        self.startup_options: object = None
        self.startup_warnings: tuple[str, ...] = ()
        self.last_answered: Offer | None = None
        self.offers = Offers()
        self.session = session(self._daemon_said, self._happened, on_missing_model=self._model_missing)
        self.completions = Completions(
            self.session,
            self.offers,
            lambda: self.settings,
            self.version_of,
            Telling(self._answered, self._failed, self._refused),
        )
        self.feedback = Feedback(self._send_feedback, self._text, lambda: self.settings.feedback)
        self.bars = Progress(self, self._cancel_work)
        self._settled: asyncio.TimerHandle | None = None
        self._typed_at = -TYPING_SECONDS
        self._told: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        _install(self)

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

    def say(self, kind: types.MessageType, message: str) -> None:
        """Show a message."""
        self.window_show_message(types.ShowMessageParams(kind, message))

    def change_settings(self, **changes: Any) -> None:
        """By a command, until the client says otherwise."""
        self.settings = replace(self.settings, **changes)

    def exclude(self, path: Path) -> None:
        """Complete no more in this file."""
        self.change_settings(exclude=(*self.settings.exclude, str(path)))

    def configure(self, value: object) -> None:
        """Take the client's settings; what is wrong with them is said, and the defaults hold there.

        A client that has none (some say so after every start) means those of `initialize`.
        """
        self.settings, warnings = parse(value or self.startup_options)
        for warning in warnings:
            self._say_once(types.MessageType.Warning, f"Vicinal's settings: {warning}")
        self.tell_status()

    def tell_status(self) -> None:
        """Send the state if it is another one; switched off is a state too."""
        status = self.status
        if status.level == "normal" and not (self.settings.enabled and self.settings.automatic):
            status = Status("normal", "automatic completions are off")
        if status != self._status_told:
            self._status_told = status
            told = {"kind": KINDS[status.level], "busy": status.level == "progress", "message": status.message}
            self.protocol.tell(STATUS, told | {"hint": status.hint})

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

    async def run(self, name: str, *arguments: Any) -> Any:
        """A command, by its name."""
        from vicinal_indexer.errors import VicinalError

        try:
            return await COMMANDS[name](self, *arguments)
        except (CommandRefused, TypeError) as error:
            raise RequestFailed(f"{name}: {error}") from error
        except VicinalError as error:
            raise RequestFailed(_words(error)) from error

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
        """`textDocument/didPartiallyAcceptCompletion`: so many of the client's characters, in all."""
        offer, length = self._offer_of(params), params.get("acceptedLength")
        if offer is not None and isinstance(length, int):
            characters = convert.characters(offer.texts[0], length, encoding_of(self.workspace))
            self.feedback.partly(offer, offer.typed + characters)

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
        self._status_changed(self._of_daemon)  # what went wrong with a request before is over
        if self.settings.notify:
            self.protocol.tell(ANSWER, wire.told(offer, shown=shown))

    def _failed(self, error: "VicinalError", trigger: "Trigger") -> None:
        if trigger == "invoked":
            self.say(types.MessageType.Error, _words(error))
        else:
            log.info("%s", error)
            if self._of_daemon.level in ("normal", "progress"):  # else it is what went wrong
                self._status_changed(Status("warning", error.message, error.hint))

    def _refused(self, reason: str) -> None:
        self.say(types.MessageType.Info, f"Vicinal: {reason}")

    def _daemon_said(self, status: Status) -> None:
        self._of_daemon = status
        self._status_changed(status)

    def _status_changed(self, status: Status) -> None:
        if status == self.status:
            return
        self.status = status
        self.tell_status()
        if status.level == "error":
            hint = f". {status.hint}" if status.hint else ""
            self._say_once(types.MessageType.Error, f"Vicinal: {status.message}{hint}")

    def _say_once(self, kind: types.MessageType, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.say(kind, message)

    def _happened(self, event: "Event") -> None:
        if self.can("window.work_done_progress"):
            self.bars.heard(event)

    def _model_missing(self, name: str) -> None:
        if "model" not in self._told:
            self._told.add("model")
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


def _words(error: "VicinalError") -> str:
    return f"Vicinal: {error.message}" + (f". {error.hint}" if error.hint else "")


def _install(server: VicinalServer) -> None:
    """Register every method."""
    feature = server.feature

    @feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.startup_options = params.initialization_options
        server.settings, warnings = parse(server.startup_options)
        server.startup_warnings = warnings
        inline = getattr(params.capabilities.text_document, "inline_completion", None)
        if shows_menu(server.settings, inline):

            @feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=MENU_TRIGGERS))
            async def completion(params: types.CompletionParams) -> types.CompletionList:
                return await server.menu(params)

    @feature(types.INITIALIZED)
    def initialized(_params: types.InitializedParams) -> None:
        for warning in server.startup_warnings:
            server._say_once(types.MessageType.Warning, f"Vicinal's settings: {warning}")
        server.session.begin()
        server.tell_status()
        for folder in server.folders():
            server.open_folder(folder)

    @feature(types.SHUTDOWN)
    async def shutdown(_params: Any) -> None:
        await server.leave()

    @feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        return await server.inline(params)

    @feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        server.opened(params.text_document.uri)

    @feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        change = params.content_changes[-1] if params.content_changes else None
        if isinstance(change, types.TextDocumentContentChangePartial):
            line, character = wire.end_of(change, encoding_of(server.workspace))
            server.changed(params.text_document.uri, line, character)

    @feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(_params: types.DidSaveTextDocumentParams) -> None:
        """The watcher of the daemon sees it; LSP's clients expect a handler all the same."""

    @feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        server.closed(params.text_document.uri)

    @feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)
    async def did_change_configuration(params: types.DidChangeConfigurationParams) -> None:
        value = params.settings
        if not value and server.can("workspace.configuration"):
            asked = types.ConfigurationParams([types.ConfigurationItem(section="vicinal")])
            value = (await server.workspace_configuration_async(asked))[0]
        server.configure(value)

    @feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_folders(params: types.DidChangeWorkspaceFoldersParams) -> None:
        for folder in params.event.added:
            server.open_folder(convert.path_of(folder.uri))

    @feature(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def cancelled(params: types.WorkDoneProgressCancelParams) -> None:
        server.bars.cancelled(params.token)

    @feature(DID_SHOW)
    def did_show(params: Any) -> None:
        server.shown(params)

    @feature(DID_ACCEPT_PARTLY)
    def did_accept_partly(params: Any) -> None:
        server.partly_accepted(params)

    for name in COMMANDS:
        server.command(name)(_command(name))


def _command(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def run(ls: VicinalServer, *arguments: object) -> Any:  # pygls wants its server to come first
        return await ls.run(name, *arguments)

    return run
