"""What the user has open, as the rest of the server sees it: frozen snapshots of a document at a cursor.

Owns which folder a document belongs to, what it is called towards the daemon, and how the cells of a notebook are one
text. It does not know why anyone looks.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from vicinal_lsp import convert
from vicinal_lsp.convert import Encoding

if TYPE_CHECKING:
    from lsprotocol import types
    from pygls.workspace import TextDocument, Workspace

CODE_CELL = 2
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A document at one moment, cut at a cursor.

    Attributes:
        uri, version, language: as the client tells them; version None if it tells none.
        text: of the document; of a notebook's cell only that cell.
        offset: of the cursor in `text`, in code points.
        folder: the workspace folder it is in, None if it is in none.
        file: its path, None if it is no file on this machine; of a notebook's cell the notebook's.
        path: towards the daemon: relative to `folder` with `/`, else absolute, else the URI.
        above: what the model reads before `text`: the notebook's code cells above this one.
        encoding: what the client counts characters in.
    """

    uri: str
    version: int | None
    language: str
    text: str
    offset: int
    folder: Path | None
    file: Path | None
    path: str
    above: str
    encoding: Encoding

    @property
    def left(self) -> str:
        """The document up to the cursor."""
        return self.text[: self.offset]

    @property
    def right(self) -> str:
        """The document from the cursor on."""
        return self.text[self.offset :]

    @property
    def newline(self) -> str:
        """The document's line ending; that of the first line decides."""
        first = self.text.find("\n")
        return "\r\n" if first > 0 and self.text[first - 1] == "\r" else "\n"

    @property
    def document(self) -> str:
        """What the daemon reads. Half pairs, which some editors let stand, cannot be sent."""
        text = self.above + self.text
        return text if _is_whole(text) else _HALF_PAIR.sub("\ufffd", text)

    @property
    def size(self) -> int:
        """How many characters `document` has."""
        return len(self.above) + len(self.text)

    def daemon_place(self) -> tuple[int, int]:
        """Line and column of the cursor in `document`, as the daemon counts."""
        return convert.daemon_place(self.above + self.text, len(self.above) + self.offset)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and character of an offset in `text`, as the client counts."""
        return convert.position_at(self.text, offset, self.encoding)


def opened(workspace: "Workspace", uri: str) -> "TextDocument | None":
    """An open document."""
    found: TextDocument | None = workspace.text_documents.get(unquote(uri))
    return found


def snapshot(workspace: "Workspace", uri: str, line: int, character: int) -> Snapshot | None:
    """The document at a position; None if it is not open."""
    document = opened(workspace, uri)
    if document is None:
        return None
    text, encoding = document.source, encoding_of(workspace)
    notebook = workspace.get_notebook_document(cell_uri=uri)
    path = convert.path_of(notebook.uri if notebook is not None else uri)
    folder = folder_of(workspace, path)
    return Snapshot(
        uri=uri,
        version=document.version,
        language=document.language_id or "",
        text=text,
        offset=convert.offset_at(text, line, character, encoding),
        folder=folder,
        file=path,
        path=_told(path, folder, uri),
        above=_cells_above(workspace, notebook, uri) if notebook is not None else "",
        encoding=encoding,
    )


def encoding_of(workspace: "Workspace") -> Encoding:
    """What the client counts characters in."""
    encoding: Any = workspace.position_encoding  # an enum, or its value
    return cast(Encoding, getattr(encoding, "value", encoding))


def folders(workspace: "Workspace") -> list[Path]:
    """The workspace's folders that are on this machine; for older clients the root."""
    uris = [folder.uri for folder in workspace.folders.values()] or [workspace.root_uri or ""]
    found = (convert.path_of(uri) for uri in uris)
    return [path for path in found if path is not None]


def folder_of(workspace: "Workspace", path: Path | None) -> Path | None:
    """The innermost workspace folder that a file is in."""
    if path is None:
        return None
    return max((f for f in folders(workspace) if path.is_relative_to(f)), key=lambda f: len(f.parts), default=None)


def _is_whole(text: str) -> bool:
    """Whether it has no half pairs; encoding says so a hundred times as fast as searching for them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _told(path: Path | None, folder: Path | None, uri: str) -> str:
    if path is None:
        return uri
    return path.relative_to(folder).as_posix() if folder is not None else str(path)


def _cells_above(workspace: "Workspace", notebook: "types.NotebookDocument", uri: str) -> str:
    """The code of a notebook above one of its cells, in order."""
    texts = []
    for cell in notebook.cells:
        if cell.document == uri:
            break
        document = opened(workspace, cell.document)
        if cell.kind == CODE_CELL and document is not None and document.source.strip():
            texts.append(document.source.rstrip("\r\n") + "\n\n")
    return "".join(texts)
