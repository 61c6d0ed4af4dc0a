"""A folder of real source files to index: copies of installed packages' files, the same ones every time.

Owns the choice and the copying. The originals are only read.
"""

import shutil
from pathlib import Path

from vicinal_indexer.files import read_text, walk


def copy_corpus(source: Path, target: Path, files: int) -> int:
    """Copy the first `files` indexable files of `source`, by path, into `target`; returns how many there were."""
    copied = 0
    for stat in walk(source)[0]:
        if copied >= files:
            break
        if stat.size and isinstance(read_text(source, stat.path), str):
            goal = target / stat.path
            goal.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / stat.path, goal)
            copied += 1
    return copied
