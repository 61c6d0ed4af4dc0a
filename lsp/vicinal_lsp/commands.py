"""The commands: accept, explain, query, status, restart, toggle, exclude.

Owns what each does and what it returns. It does not know how they reach us.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from vicinal_lsp import convert, form, wire
from vicinal_lsp.documents import folder_of, opened
from vicinal_lsp.offers import Offer

if TYPE_CHECKING:
    from vicinal_lsp.server import VicinalServer

Json = dict[str, Any]
IGNORE_FILE = ".vicinalignore"


class CommandRefused(ValueError):
    """A command cannot be carried out as it was asked for; the message says what to do."""


async def accept(server: "VicinalServer", argument: Json | None = None) -> None:
    """A text was taken: the editor has inserted it, we note it. Argument: `{id, index}`."""
    offer, index = _offer(server, argument)
    _taken(server, offer, offer.texts[index])


async def accept_word(server: "VicinalServer", argument: Json | None = None) -> str:
    """Insert the next word of an offer; returns it."""
    return await _accept_some(server, argument, form.next_word)


async def accept_line(server: "VicinalServer", argument: Json | None = None) -> str:
    """Insert the next line of an offer; returns it."""
    return await _accept_some(server, argument, form.next_line)


async def explain(server: "VicinalServer", argument: Json | None = None) -> Json | None:
    """Show the first piece of evidence; returns all of it with the confidence, None if nothing was answered yet."""
    if argument is None and server.last_answered is None:
        server.voice.say(types.MessageType.Info, "Vicinal has not answered anything yet")
        return None
    offer = server.last_answered if argument is None else _offer(server, argument)[0]
    assert offer is not None  # noqa: S101 - both ways
    pieces = wire.evidence(offer)
    if pieces and server.can("window.show_document.support"):
        start, end = pieces[0]["range"]["start"], pieces[0]["range"]["end"]
        selection = types.Range(types.Position(**start), types.Position(**end))
        shown = types.ShowDocumentParams(pieces[0]["uri"], take_focus=True, selection=selection)
        await server.window_show_document_async(shown)
    elif not pieces:
        server.voice.say(types.MessageType.Info, "this answer rests on the open file alone: no other code was found")
    return wire.told(offer, shown="yes") | {"markdown": wire.explained(offer, offer.texts[0] if offer.texts else "")}


async def query(server: "VicinalServer", text: str = "", folder: str = "") -> Json:
    """Find the code that tells most about a question; returns the findings. `folder` as a URI or path."""
    from vicinal_daemon.protocol.requests import QueryRequest

    if not text.strip():
        raise CommandRefused("the question is empty")
    roots = server.folders()
    path = convert.path_of(folder) or (Path(folder) if folder else None) or (roots[0] if roots else None)
    if path is None:
        raise CommandRefused("no folder is open; open one, or give its path")
    findings = await server.session.query(QueryRequest(workspace=str(path), text=text))
    found: Json = findings.model_dump(mode="json")
    return found


async def status(server: "VicinalServer") -> Json:
    """What the daemon and this server do."""
    state = await server.session.status()
    said = server.voice.status
    return {
        "status": {"level": said.level, "message": said.message, "hint": said.hint},
        "enabled": server.settings.enabled,
        "automatic": server.settings.automatic,
        "daemon": state.model_dump(mode="json"),
    }


async def restart_daemon(server: "VicinalServer") -> None:
    """End the daemon in order and start it again."""
    await server.session.restart()


async def toggle(server: "VicinalServer", language: str = "") -> Json:
    """Switch automatic completions off or on, everywhere or for one language; returns how it is now."""
    settings = server.settings
    if language:
        languages = {**settings.languages, language: not settings.languages.get(language, True)}
        server.change_settings(languages=languages)
    else:
        server.change_settings(automatic=not settings.automatic)
    server.voice.tell_status()
    return {"automatic": server.settings.automatic, "languages": dict(server.settings.languages)}


async def exclude_file(server: "VicinalServer", uri: str = "") -> str:
    """Neither complete in nor learn from a file: a line for it in `.vicinalignore`, by an edit that can be undone."""
    path = convert.path_of(uri)
    folder = folder_of(server.workspace, path)
    if path is None or folder is None:
        raise CommandRefused("only files in an open folder can be excluded; give the file's URI")
    line = "/" + "".join(f"\\{c}" if c in "*?[\\!# " else c for c in path.relative_to(folder).as_posix()) + "\n"
    ignore = folder / IGNORE_FILE
    target = convert.uri_of(ignore)
    known = server.workspace.text_documents.get(target)
    text = known.source if known is not None else ignore.read_text("utf-8", "replace") if ignore.exists() else ""
    end = convert.position_at(text, len(text), "utf-16")
    edit = types.TextEdit(
        types.Range(types.Position(*end), types.Position(*end)),
        line if not text or text.endswith("\n") else "\n" + line,
    )
    document = types.OptionalVersionedTextDocumentIdentifier(target)
    changes: list[Any] = [types.TextDocumentEdit(document, [edit])]
    if not ignore.exists():
        changes.insert(0, types.CreateFile(target, options=types.CreateFileOptions(ignore_if_exists=True)))
    applied = await server.workspace_apply_edit_async(
        types.ApplyWorkspaceEditParams(types.WorkspaceEdit(document_changes=changes), label="Vicinal: exclude a file")
    )
    if not applied.applied:
        raise CommandRefused(f"the editor did not change {IGNORE_FILE}; add this line to it: {line.strip()}")
    server.exclude(path)
    return line.strip()


async def erase_feedback(server: "VicinalServer") -> str:
    """Forget what became of all answers."""
    return await server.session.erase_feedback()


COMMANDS: Mapping[str, Callable[..., Coroutine[Any, Any, Any]]] = {
    wire.ACCEPT: accept,
    "vicinal.acceptWord": accept_word,
    "vicinal.acceptLine": accept_line,
    "vicinal.explain": explain,
    "vicinal.query": query,
    "vicinal.status": status,
    "vicinal.restartDaemon": restart_daemon,
    "vicinal.toggle": toggle,
    "vicinal.excludeFile": exclude_file,
    "vicinal.eraseFeedback": erase_feedback,
}


async def _accept_some(server: "VicinalServer", argument: Json | None, some: Any) -> str:
    offer, index = _offer(server, argument)
    text, was = offer.texts[index], offer.snapshot
    document = opened(server.workspace, was.uri)
    now = document.source if document is not None else ""
    begun = len(now) - len(was.text)
    if not 0 <= begun < len(text) or now != was.left + text[:begun] + was.right:
        raise CommandRefused("the document has changed since; ask again")
    piece: str = some(text[begun:])
    edit = wire.insertion(replace(was, text=now, offset=was.offset + begun), piece)
    applied = await server.workspace_apply_edit_async(types.ApplyWorkspaceEditParams(edit, label="Vicinal: accept"))
    if not applied.applied:
        raise CommandRefused("the editor did not insert it")
    if begun + len(piece) == len(text):
        _taken(server, offer, text)
    else:
        server.feedback.partly(offer, offer.typed + begun + len(piece))
    return piece


def _taken(server: "VicinalServer", offer: Offer, text: str) -> None:
    """All of a text stands in the document now."""
    server.completions.accepted(offer.snapshot.uri, offer.snapshot.left + text)
    server.offers.forget(offer.snapshot.uri)
    server.feedback.accepted(offer, text)


def _offer(server: "VicinalServer", argument: Json | None) -> tuple[Offer, int]:
    """The offer that an argument `{id, index}` names, else the last one."""
    named = argument or {}
    offer = server.offers.get(str(named["id"])) if "id" in named else server.offers.last()
    if offer is None:
        raise CommandRefused("this completion is not known any more; ask again")
    index = named.get("index", 0)
    if not isinstance(index, int) or not 0 <= index < len(offer.texts):
        raise CommandRefused(f"this completion has no text number {index}")
    return offer, index
