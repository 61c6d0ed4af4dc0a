"""Offers as LSP's messages: inline items, menu items, the notification with the evidence, the status.

Owns these shapes (`docs/lsp.md` shows them). Pure; decides nothing.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsprotocol import types

from vicinal_lsp import convert
from vicinal_lsp.convert import Encoding
from vicinal_lsp.documents import Snapshot
from vicinal_lsp.offers import Offer

ACCEPT = "vicinal.accept"
LABEL_CHARACTERS = 60
Json = dict[str, Any]


def inline_items(offer: Offer, snapshot: Snapshot, start: int) -> types.InlineCompletionList:
    """For `textDocument/inlineCompletion`. [start, cursor) of `snapshot` is replaced; what it says comes first."""
    begun = offer.snapshot.left[start:]
    return types.InlineCompletionList(
        [
            types.InlineCompletionItem(
                insert_text=begun + text,
                range=_range(snapshot, start, snapshot.offset),
                command=_accept(offer, number),
            )
            for number, text in enumerate(offer.texts)
        ]
    )


def menu_items(offer: Offer | None) -> types.CompletionList:
    """For `textDocument/completion`: more may come with the next key, so the list is never complete."""
    return types.CompletionList(is_incomplete=True, items=list(_menu(offer)) if offer is not None else [])


def _menu(offer: Offer) -> Iterator[types.CompletionItem]:
    snapshot = offer.snapshot
    start = snapshot.offset - len(_word_before(snapshot.left))
    begun = snapshot.text[start : snapshot.offset]
    for number, text in enumerate(offer.texts):
        whole = begun + text
        first, *more = whole.strip().splitlines()
        label = first[:LABEL_CHARACTERS] + ("…" if more or len(first) > LABEL_CHARACTERS else "")
        yield types.CompletionItem(
            label=label,
            label_details=types.CompletionItemLabelDetails(description=f"Vicinal {offer.percent}%"),
            kind=types.CompletionItemKind.Text,
            detail=f"Vicinal, {offer.percent}% sure",
            documentation=types.MarkupContent(types.MarkupKind.Markdown, explained(offer, whole)),
            # Clients show only what begins with the word before the cursor.
            filter_text=whole,
            sort_text=f"~{number}",
            text_edit=types.TextEdit(_range(snapshot, start, snapshot.offset), whole),
            insert_text_format=types.InsertTextFormat.PlainText,
            # The text has its indentation already.
            insert_text_mode=types.InsertTextMode.AsIs,
            command=_accept(offer, number),
        )


def explained(offer: Offer, text: str) -> str:
    """What is offered, how sure it is and what it rests on; Markdown."""
    answer = offer.answer
    fence = "`" * max(3, *(len(run) + 1 for run in _backticks(text)))
    evidence = [
        f"- {piece.path}:{piece.start_line}{f' ({piece.symbol})' if piece.symbol else ''}, {piece.share:.0%}"
        for piece in answer.evidence[:5]
    ]
    return "\n".join(
        [
            f"{fence}{offer.snapshot.language}",
            text,
            fence,
            "",
            f"**{offer.percent}% sure**, {answer.adaptation.kind}"
            + (f" after {answer.adaptation.steps} steps" if answer.adaptation.steps else ""),
            *(["", *(f"- {reason.text}" for reason in reasons)] if (reasons := answer.confidence.reasons) else []),
            *(["", "It rests on", *evidence] if evidence else []),
        ]
    )


def told(offer: Offer, *, shown: str) -> Json:
    """The notification `vicinal/answer`. `shown` is "yes", or why not."""
    answer, snapshot = offer.answer, offer.snapshot
    confidence = answer.confidence
    return {
        "id": answer.id,
        "uri": snapshot.uri,
        "version": snapshot.version,
        "position": _json_position(snapshot, snapshot.offset),
        "shown": shown,
        "items": [{"index": number, "text": text} for number, text in enumerate(offer.texts)],
        "trigger": answer.trigger,
        "confidence": confidence.value,
        "calibrated": confidence.calibrated,
        "reasons": [reason.text for reason in confidence.reasons],
        "sigma0": confidence.sigma_0,
        "sigmaN": confidence.sigma_n,
        "sigmaInf": confidence.sigma_inf,
        "adaptation": {
            "kind": answer.adaptation.kind,
            "steps": answer.adaptation.steps,
            "behind": answer.adaptation.behind,
        },
        "evidence": evidence(offer),
        "model": answer.model,
        "typedAhead": answer.typed_ahead,
        "seconds": answer.seconds.get("total", 0.0),
    }


def evidence(offer: Offer) -> list[Json]:
    """Where the evidence stands, as links that an editor can open."""
    root = Path(offer.answer.repository)
    return [
        {
            "uri": convert.uri_of(root / piece.path),
            "range": {
                "start": {"line": piece.start_line - 1, "character": 0},
                "end": {"line": piece.end_line, "character": 0},
            },
            "path": piece.path,
            "symbol": piece.symbol,
            "share": piece.share,
            "steps": piece.steps,
            "inPrompt": piece.in_prompt,
        }
        for piece in offer.answer.evidence
    ]


def insertion(snapshot: Snapshot, text: str) -> types.WorkspaceEdit:
    """The edit that puts a text at the cursor."""
    edit = types.TextEdit(_range(snapshot, snapshot.offset, snapshot.offset), text)
    return types.WorkspaceEdit(changes={snapshot.uri: [edit]})


def _accept(offer: Offer, number: int) -> types.Command:
    arguments = {"id": offer.id, "index": number, "confidence": offer.answer.confidence.value}
    return types.Command(title="Accept", command=ACCEPT, arguments=[arguments])


def _range(snapshot: Snapshot, start: int, end: int) -> types.Range:
    return types.Range(types.Position(*snapshot.position(start)), types.Position(*snapshot.position(end)))


def _json_position(snapshot: Snapshot, offset: int) -> Json:
    line, character = snapshot.position(offset)
    return {"line": line, "character": character}


def _word_before(left: str) -> str:
    end = len(left)
    start = end
    while start > 0 and (left[start - 1].isalnum() or left[start - 1] == "_"):
        start -= 1
    return left[start:end]


def _backticks(text: str) -> list[str]:
    return re.findall("`+", text) or [""]


def end_of(change: types.TextDocumentContentChangePartial, encoding: Encoding) -> tuple[int, int]:
    """Line and character, as the client counts, behind what was typed."""
    lines = convert.split_lines(change.text) or [""]
    if len(lines) == 1 and not lines[0].endswith(("\n", "\r")):
        return change.range.start.line, change.range.start.character + convert.units(change.text, encoding)
    more = len(lines) - (0 if lines[-1].endswith(("\n", "\r")) else 1)
    return change.range.start.line + more, 0 if lines[-1].endswith(("\n", "\r")) else convert.units(lines[-1], encoding)
