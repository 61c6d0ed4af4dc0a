"""What pygls is told to do otherwise: texts by LSP's own lines, older clients' triggers, replies to what is malformed,
no memory of what is done.

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

Json = dict[str, Any]
_INVOKED, _AUTOMATIC = types.InlineCompletionTriggerKind.Invoked, types.InlineCompletionTriggerKind.Automatic


class Protocol(LanguageServerProtocol):
    """pygls's, with our documents, and without the futures of notifications, which it keeps for ever."""

    @property
    def _workspace(self) -> Documents | None:
        return self._documents

    @_workspace.setter
    def _workspace(self, made: "Workspace | None") -> None:
        """pygls makes its own when a client initializes; ours takes its place."""
        self._documents = _ours(made) if made is not None else None

    def _execute_handler(self, msg_id: Any, *rest: Any, **more: Any) -> None:
        super()._execute_handler(msg_id, *rest, **more)
        future = self._request_futures.get(msg_id)
        if future is not None:
            future.add_done_callback(lambda _: self._request_futures.pop(msg_id, None))

    def tell(self, method: str, params: Json) -> None:
        """Notify of what is JSON already: cattrs, which looks at each value, would take longer than all the rest."""
        self._send_data({"jsonrpc": "2.0", "method": method, "params": params})

    def structure_message(self, data: dict[str, Any]) -> Any:
        """As pygls's; a request that cannot be read is answered, so that its sender does not wait for ever.

        `initialize` may have been answered already: of one that cannot be read what matters here is taken.
        """
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if data.get("method") == "initialize" and (params := essential(data.get("params"))) is not None:
                return super().structure_message(data | {"params": params})
            if "id" in data and "method" in data:
                self._send_response(data["id"], error=error.to_response_error())
            raise


def essential(params: Any) -> Json | None:
    """What matters here of parameters of `initialize` that are wrong somewhere; None if they are none at all."""
    client = _part(params, "capabilities")
    if client is None:
        return None
    offered = (_part(client, "general") or {}).get("positionEncodings")
    found: Json = {
        "general": {"positionEncodings": [name for name in _listed(offered) if isinstance(name, str)]},
        "textDocument": {},
        "window": {"workDoneProgress": (_part(client, "window") or {}).get("workDoneProgress") is True},
    }
    if (_part(client, "textDocument") or {}).get("inlineCompletion") is not None:
        found["textDocument"]["inlineCompletion"] = {}
    if client.get("notebookDocument") is not None:
        found["notebookDocument"] = {"synchronization": {}}
    uris = [folder.get("uri") for folder in _listed(params.get("workspaceFolders")) if isinstance(folder, dict)]
    root = params.get("rootUri")
    return {
        "processId": None,
        "rootUri": root if isinstance(root, str) else None,
        "workspaceFolders": [{"uri": uri, "name": uri} for uri in uris if isinstance(uri, str)],
        "initializationOptions": params.get("initializationOptions"),
        "capabilities": found,
    }


def _part(of: Any, name: str) -> Json | None:
    part = of.get(name) if isinstance(of, dict) else None
    return part if isinstance(part, dict) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


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
