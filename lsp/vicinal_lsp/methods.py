"""LSP's methods, one by one, as the client sends them: which part of the server each is for.

Owns their registration with pygls, and what of their parameters matters. Decides nothing.
"""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from vicinal_lsp import convert, wire
from vicinal_lsp.commands import COMMANDS, CommandRefused
from vicinal_lsp.documents import encoding_of
from vicinal_lsp.handshake import MENU_TRIGGERS, shows_menu
from vicinal_lsp.voice import words

if TYPE_CHECKING:
    from vicinal_lsp.server import VicinalServer

DID_SHOW = "textDocument/didShowCompletion"
DID_ACCEPT_PARTLY = "textDocument/didPartiallyAcceptCompletion"


class RequestFailed(JsonRpcException):
    """LSP's code for a request that was understood and could not be done; the message is for the user."""

    CODE = -32803


def install(server: "VicinalServer") -> None:
    """Register every method."""
    feature = server.feature

    @feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.greeted(params.initialization_options)
        inline = getattr(params.capabilities.text_document, "inline_completion", None)
        if shows_menu(server.settings, inline):

            @feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=MENU_TRIGGERS))
            async def completion(params: types.CompletionParams) -> types.CompletionList:
                return await server.menu(params)

    @feature(types.INITIALIZED)
    def initialized(_params: types.InitializedParams) -> None:
        server.ready()

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
    async def run(ls: Any, *arguments: object) -> Any:  # pygls wants its server to come first, and looks at types
        from vicinal_indexer.errors import VicinalError

        try:
            return await COMMANDS[name](ls, *arguments)
        except (CommandRefused, TypeError) as error:
            raise RequestFailed(f"{name}: {error}") from error
        except VicinalError as error:
            raise RequestFailed(words(error)) from error

    return run
