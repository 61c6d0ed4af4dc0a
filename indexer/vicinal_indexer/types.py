"""The values that cross the indexer's rooms: chunks, regions, candidates, reports.

Owns their shape and nothing else: no I/O, no behaviour beyond comparing spans.
"""

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


def digest(text: str) -> str:
    """The BLAKE2b hash of `text` in hexadecimal (32 digits): the identity of a chunk's or a file's content."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of one file that belong together.

    `path` is POSIX and relative to the root. Lines are 1-based and inclusive; bytes are offsets into the file's
    UTF-8 text, the end exclusive. `language` and `symbol` (a dotted path) are "" where they are not known. `header` is
    the first line of the definition around it (a method's class), "" at the top level; it is no part of `text`.
    """

    path: str
    start_line: int
    end_line: int
    start_byte: int
    end_byte: int
    language: str
    symbol: str
    header: str
    text: str
    content_hash: str

    @property
    def searched_text(self) -> str:
        """What a search finds it by: its place and what is around it, then the code."""
        return f"{self.path}\n{self.symbol}\n{self.header}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Region:
    """Lines (1-based, inclusive) of a file that must never be returned: the code being completed."""

    path: str
    first_line: int
    last_line: int

    def overlaps(self, chunk: Chunk) -> bool:
        """Whether `chunk` has a line in this region."""
        return chunk.path == self.path and chunk.start_line <= self.last_line and chunk.end_line >= self.first_line


@dataclass(frozen=True, slots=True)
class Filter:
    """Which chunks a search may return: those of these languages and of paths that match one of these globs.

    Empty means any. A glob is matched against the whole path; `*` crosses no `/`, `**` does; a glob without wildcards
    names a file or a folder.
    """

    languages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A chunk that a query found, its unit vector, and its rank (from 1) in each search that found it."""

    chunk: Chunk
    vector: FloatArray
    dense_rank: int | None
    lexical_rank: int | None


@dataclass(frozen=True, slots=True)
class FileStat:
    """What a directory listing says of a file: its size in bytes and its modification time in nanoseconds."""

    path: str
    size: int
    mtime_ns: int


class SkipReason(StrEnum):
    """Why a file is not indexed. What an ignore file names is left out in silence: the user said so."""

    BINARY = "binary"
    CRASHED = "crashed"
    DATA = "data"
    GENERATED = "generated"
    IGNORED = "ignored"
    MINIFIED = "minified"
    NOT_UTF8 = "not-utf8"
    SECRET = "secret"  # noqa: S105 - a reason, not a password
    SYMLINK = "symlink"
    SYMLINK_OUTSIDE = "symlink-outside"
    TOO_LARGE = "too-large"
    UNREADABLE = "unreadable"
    VANISHED = "vanished"
    VENDORED = "vendored"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not indexed, and why. `detail` is for people."""

    path: str
    reason: SkipReason
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is: `done` of `total` files in this `stage` ("wait", "verify", "scan", "index", "optimize")."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync did. `files` and `chunks` count what the index now holds; added, replaced, dropped count files.

    `rebuilt_because` says why the store was built anew, and is None when it was not (or never existed before).
    """

    files: int
    added: int
    replaced: int
    dropped: int
    chunks: int
    skipped: tuple[Skipped, ...]
    seconds: float
    rebuilt_because: str | None

    @property
    def changed(self) -> bool:
        """Whether the store holds anything else than before."""
        return bool(self.added or self.replaced or self.dropped or self.rebuilt_because)


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """What the index holds. `bytes_on_disk` counts the whole store; `changed` are the files that a sync would look at;
    `held` tells whether a process keeps it fresh or is writing it now."""

    root: Path
    store: Path
    files: int
    chunks: int
    bytes_on_disk: int
    schema_version: int
    embedder: str
    skipped: tuple[Skipped, ...]
    changed: int
    held: bool


@dataclass(frozen=True, slots=True)
class Glance:
    """How much a store holds, without a look at the files. `revision` is another one after every write."""

    revision: str
    files: int
    chunks: int
    bytes_on_disk: int
