"""What one completion is, on its way through the desk: the job, and what was found for it.

Owns these values and how a document is located. Runs nothing.
"""

import os
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from vicinal_daemon.assemble import Learned
from vicinal_daemon.config import Settings
from vicinal_daemon.neighbourhood import Choice
from vicinal_daemon.protocol.requests import Place
from vicinal_daemon.studies import Recipe
from vicinal_daemon.target import Target, find_repository, path_inside
from vicinal_daemon.tune.adapter_file import AdapterInfo
from vicinal_daemon.worker.messages import Code, PromptShape
from vicinal_daemon.workspaces import Workspace
from vicinal_indexer.errors import InputError
from vicinal_indexer.types import Chunk, Region


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One completion, whoever asked for it.

    Attributes:
        document: what supersedes what.
        workspace: None if the document belongs to none: the base model answers.
        budget: seconds for the whole answer, None for no bound.
        compare: whether the base model completes too.
        alternatives: most other texts that are written, too.
        lines: most lines written, 0 for no bound.
        stops: texts at which writing ends.
        on_piece: told the text so far.
        excluded: lines that are no candidates, besides those of the target.
        started: by `time.perf_counter`.
    """

    document: Hashable
    client: str
    workspace: Workspace | None
    target: Target
    settings: Settings
    budget: float | None
    lines: int
    max_tokens: int
    compare: bool = False
    alternatives: int = 0
    stops: tuple[str, ...] = ()
    on_piece: Callable[[str], None] | None = None
    excluded: tuple[Region, ...] = ()
    started: float = field(default_factory=time.perf_counter)

    @property
    def root(self) -> str:
        """The workspace's root, "" without one."""
        return str(self.workspace.root) if self.workspace is not None else ""

    @property
    def memory(self) -> str | None:
        """Whose tokens have their say; see `Write`."""
        return self.root if self.settings.memory.enabled else None

    def shape(self, snippets: tuple[Code, ...], context_tokens: int) -> PromptShape:
        """The prompt with this code from elsewhere."""
        return PromptShape(self.target, snippets, context_tokens, self.settings.prompt.pick_tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What there is to write with.

    Attributes:
        recipe: what could be studied, None if nothing.
        exact: the adapter of this very selection.
        near: the nearest other one, and how near it is.
        warm: the repository's own.
        dropped: what is known of this selection if the guard dropped its adapter.
    """

    choice: Choice
    recipe: Recipe | None = None
    exact: AdapterInfo | None = None
    near: tuple[AdapterInfo, float] | None = None
    warm: AdapterInfo | None = None
    dropped: Learned | None = None


def codes(chunks: Iterable[Chunk]) -> tuple[Code, ...]:
    """Chunks as the engine process is told of them."""
    return tuple(Code(chunk.path, chunk.language, chunk.text) for chunk in chunks)


def document_of(place: Place) -> Hashable:
    """What a newer request takes the place of: a client's document, as it spells it. The disk is not asked.

    Raises:
        InputError: there can be no such document: neither it nor a workspace is absolute, or it stands alone in one.
    """
    if "\0" in place.path:
        raise InputError("a path cannot contain a zero byte", hint="check the path")
    if place.alone and place.workspace is not None:
        raise InputError("a document that stands alone has no workspace", hint="send `alone` or a workspace, not both")
    if not (place.alone or place.workspace is not None or Path(place.path).is_absolute()):
        raise InputError(f"{place.path} is not absolute, and no workspace is given", hint="send one of them")
    return place.client, place.workspace, place.alone, os.path.normpath(place.path)


def folder_of(place: Place) -> str:
    """Where to look for a document's repository, as the client spells it."""
    return place.workspace or str(Path(place.path).parent)


def locate(place: Place) -> tuple[Path | None, str]:
    """The repository's root and the document's path in it. For a thread: the disk is asked.

    A document that stands alone has no root, and its path is a name that means nothing here.

    Raises:
        InputError: there can be no such document (`document_of`), or it is outside of the workspace.
    """
    document_of(place)
    path = Path(place.path)
    if place.alone:
        return None, place.path
    if place.workspace is not None:
        root = Path(place.workspace).resolve()
        return root, path_inside(root, root / path, path)
    root = find_repository(path)
    return root, path_inside(root, path, path)
