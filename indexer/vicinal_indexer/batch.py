"""Files in, rows out: read, judge, chunk, embed.

Owns what happens to one file on its way into the store. Runs in the caller's process or in a worker; it knows no
database. A file that vanished in between yields no row.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from vicinal_indexer import languages
from vicinal_indexer.chunks import chunk
from vicinal_indexer.embed import Embedder, StaticEmbedder
from vicinal_indexer.files import read_text
from vicinal_indexer.rows import FileRow, chunk_table
from vicinal_indexer.terms import subwords
from vicinal_indexer.types import Chunk, FileStat, Skipped, SkipReason, digest

RACY_NS = 2_000_000_000
"""A file that changed this short before it was read may change again within the clock's grain: read it again."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The rows of some files: their manifest rows, and a table of the chunks of all of them."""

    rows: tuple[FileRow, ...]
    chunks: pa.Table


def read_batch(root: Path, stats: Iterable[FileStat], embedder: Embedder) -> Batch:
    """Read files and make their rows. Never raises for a file."""
    rows: list[FileRow] = []
    chunks: list[Chunk] = []
    for stat in stats:
        row, its_chunks = _read(root, stat)
        if row is not None:
            rows.append(row)
            chunks.extend(its_chunks)
    texts = [c.searched_text for c in chunks]
    words = [subwords(text) for text in texts]
    # The default embedder sees the words that full-text search needs anyway; cutting them twice would cost a fifth.
    vectors = embedder.embed_words(words) if isinstance(embedder, StaticEmbedder) else embedder.embed(texts)
    return Batch(tuple(rows), chunk_table(chunks, [" ".join(w) for w in words], vectors))


def _read(root: Path, stat: FileStat) -> tuple[FileRow | None, list[Chunk]]:
    text = read_text(root, stat.path)
    mtime = stat.mtime_ns if time.time_ns() - stat.mtime_ns > RACY_NS else -1
    if isinstance(text, Skipped):
        if text.reason is SkipReason.VANISHED:
            return None, []
        if text.reason is SkipReason.UNREADABLE:
            mtime = -1  # what mends it, a permission or another disk, need not change its time: try again each time
        return FileRow(stat.path, stat.size, mtime, "", 0, text.reason.value, text.detail), []
    chunks = chunk(stat.path, text, languages.detect(stat.path, text[:200]))
    return FileRow(stat.path, stat.size, mtime, digest(text), len(chunks), "", ""), chunks
