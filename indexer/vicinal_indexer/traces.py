"""What is left of a text: the proof that something was forgotten.

Owns which lines of a file tell it from all others, and the search for them in every byte below a folder. The store
packs its texts, so that no search of bytes would find them: they are looked for unpacked, too, in every version. It
does not know what is forgotten, or why.
"""

import json
import mmap
import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vicinal_indexer.errors import StoreUnavailable
from vicinal_indexer.store import stored_texts

LEAST_CHARACTERS = 12
"""A shorter line tells nothing: `return None` stands everywhere."""

MOST_IN_BYTES = 64
"""So many lines, the longest, are looked for in bytes, where each costs a pass; all of them in unpacked texts."""

MOST_FILES = 10_000
MOST_BYTES = 20_000_000
"""Of a forgotten folder: files that are read for their lines, and bytes of each."""

OnFile = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Trace:
    """A file or table below the folder, relative to it, and how many of the lines it holds."""

    where: str
    lines: int


@dataclass(frozen=True, slots=True)
class Traces:
    """What a search found.

    Attributes:
        files, bytes: that were searched.
        texts: that were unpacked and searched.
        lines: that were looked for.
        found: where any of them is; empty if nothing is left.
    """

    files: int
    bytes: int
    texts: int
    lines: int
    found: tuple[Trace, ...]


def lines_of(text: str) -> set[str]:
    """The lines of a text that could tell it from others, without their indentation."""
    stripped = (line.strip() for line in text.splitlines())
    return {line for line in stripped if len(line) >= LEAST_CHARACTERS and sum(map(str.isalnum, line)) >= 6}


def telling(own: Iterable[str], others: Iterable[str]) -> frozenset[str]:
    """The lines that stand in one of `own` and in none of `others`."""
    lines = set().union(*map(lines_of, own))
    for text in others:
        if not lines:
            break
        lines -= lines_of(text)
    return frozenset(lines)


def texts_on_disk(root: Path, paths: Collection[str]) -> Iterator[str]:
    """The texts of files and of all in folders, ignored ones too: what is to be forgotten may be ignored by now.

    No link is followed; what cannot be read is left out.
    """
    read = 0
    for path in paths:
        for file in _files(root / path):
            if read == MOST_FILES:
                return
            read += 1
            try:
                with file.open("rb") as opened:
                    yield opened.read(MOST_BYTES).decode("utf-8", "replace")
            except OSError:
                continue


def _files(path: Path) -> Iterator[Path]:
    """The regular files at or below a path."""
    if path.is_symlink():
        return
    if path.is_dir():
        for folder, _, names in os.walk(path):
            yield from (file for name in sorted(names) if _is_regular(file := Path(folder, name)))
    elif _is_regular(path):
        yield path


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def search(folder: Path, lines: Collection[str], on_file: OnFile = lambda done: None) -> Traces:
    """Look for lines in every byte of every file below `folder`, and in every text that its stores hold.

    Args:
        on_file: told of each file that was searched.

    Raises:
        StoreUnavailable: a file cannot be read: nothing is proven then.
        StoreDamaged: a store cannot be read.
    """
    found: Counter[str] = Counter()
    needles = [
        {line.encode(), json.dumps(line)[1:-1].encode(), json.dumps(line, ensure_ascii=False)[1:-1].encode()}
        for line in sorted(lines, key=lambda line: (-len(line), line))[:MOST_IN_BYTES]
    ]
    files = size = 0
    for file in _files(folder):
        try:
            read, hits = _in_bytes(file, needles)
        except FileNotFoundError:  # a store tidies up
            continue
        except OSError as error:
            raise StoreUnavailable(f"{file} cannot be searched: {error}", hint="mend its permissions") from error
        files, size = files + 1, size + read
        if hits:
            found[file.relative_to(folder).as_posix()] += hits
        on_file(files)
    texts, wanted = 0, frozenset(lines)
    for store in sorted((folder / "stores").glob("*/tables")):
        for table, _, text in stored_texts(store.parent):
            texts += 1
            if hits := len(lines_of(text) & wanted):
                found[f"stores/{store.parent.name}/{table}"] += hits
    return Traces(files, size, texts, len(lines), tuple(Trace(where, count) for where, count in sorted(found.items())))


def _in_bytes(file: Path, needles: list[set[bytes]]) -> tuple[int, int]:
    """The size of a file, and how many needles it holds in one of their spellings."""
    with file.open("rb") as opened:
        size = os.fstat(opened.fileno()).st_size
        if not size:
            return 0, 0
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return size, sum(any(content.find(word) >= 0 for word in spellings) for spellings in needles)
