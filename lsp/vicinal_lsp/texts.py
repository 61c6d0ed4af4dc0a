"""Open documents as pygls keeps them, with the lines and positions of the protocol.

Owns the two places where pygls differs from it: pygls also ends lines at form feeds, U+2028 and the like, and clamps
positions beyond a line's end wrongly. It does not know what documents are for.
"""

from collections.abc import Sequence
from typing import cast

from lsprotocol import types
from pygls.workspace import TextDocument, Workspace

from vicinal_lsp.convert import Encoding, apply_change, offset_at, position_at, split_lines


class Document(TextDocument):
    """An open text."""

    @property
    def encoding(self) -> Encoding:
        """In whose units the client counts."""
        return cast(Encoding, str(getattr(self.position_codec.encoding, "value", self.position_codec.encoding)))

    @property
    def lines(self) -> Sequence[str]:
        """The lines with their ends; the last one has none."""
        return tuple(split_lines(self.source))

    def offset_at_position(self, client_position: types.Position) -> int:
        """The offset of a client's position in `source`, in code points."""
        return offset_at(self.source, client_position.line, client_position.character, self.encoding)

    def client_position_at_offset(self, offset: int) -> types.Position:
        """The client's position of an offset in `source`."""
        return types.Position(*position_at(self.source, offset, self.encoding))

    def text_in_client_range(self, range: types.Range) -> str:  # noqa: A002 - pygls names it so
        """What stands in a client's range."""
        return self.source[self.offset_at_position(range.start) : self.offset_at_position(range.end)]

    def _apply_incremental_change(self, change: types.TextDocumentContentChangePartial) -> None:
        start, end = change.range.start, change.range.end
        self._source = apply_change(
            self.source, (start.line, start.character), (end.line, end.character), change.text, self.encoding
        )


class Documents(Workspace):
    """A workspace whose documents are `Document`s."""

    def _create_text_document(
        self,
        doc_uri: str,
        source: str | None = None,
        version: int | None = None,
        language_id: str | None = None,
    ) -> Document:
        return Document(
            doc_uri,
            source=source,
            version=version,
            language_id=language_id,
            sync_kind=self._sync_kind,
            position_codec=self.position_codec,
        )
