"""What pygls is told to do otherwise: texts by LSP's own lines, older clients' triggers, replies to what is malformed.

Owns these corrections, and nothing else.
"""

from typing import TYPE_CHECKING, Any

import cattrs
from lsprotocol import converters, types
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol

from vicinal_lsp.texts import Documents

if TYPE_CHECKING:
    from pygls.workspace import Workspace

    from vicinal_lsp.form import Trigger

_INVOKED, _AUTOMATIC = types.InlineCompletionTriggerKind.Invoked, types.InlineCompletionTriggerKind.Automatic


class Protocol(LanguageServerProtocol):
    """pygls's, with our documents."""

    @property
    def _workspace(self) -> Documents | None:
        return self._documents

    @_workspace.setter
    def _workspace(self, made: "Workspace | None") -> None:
        """pygls makes its own when a client initializes; ours takes its place."""
        self._documents = _ours(made) if made is not None else None

    def structure_message(self, data: dict[str, Any]) -> Any:
        """As pygls's; a request that cannot be read is answered, so that its sender does not wait for ever."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


def _ours(made: "Workspace") -> Documents:
    return Documents(made.root_uri, made._sync_kind, list(made.folders.values()), made.position_encoding)


def converter() -> cattrs.Converter:
    """lsprotocol's converter, for older clients too: theirs count the kinds of triggers from 0."""
    made = converters.get_converter()
    older = False

    def kind(value: int, _: type) -> types.InlineCompletionTriggerKind:
        nonlocal older
        older = older or value == 0  # only they ever send it
        return _AUTOMATIC if value == 2 or (older and value == 1) else _INVOKED

    made.register_structure_hook(types.InlineCompletionTriggerKind, kind)
    return made


def trigger_of(kind: types.InlineCompletionTriggerKind) -> "Trigger":
    """In our words."""
    return "automatic" if kind == _AUTOMATIC else "invoked"
