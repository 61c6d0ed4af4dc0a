"""Worker processes: the same rows as without them, and no file that can end the indexing."""

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

from vicinal_indexer import globs
from vicinal_indexer.embed import StaticEmbedder
from vicinal_indexer.files import walk
from vicinal_indexer.index import RepositoryIndex
from vicinal_indexer.types import SkipReason
from vicinal_indexer.workers import batches, isolated_batches

DEADLY = '"${' * 1_500
"""Aborts the process in the native code of the grammar for Kotlin."""


def fill(root: Path, files: int) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        (root / f"m{number}.py").write_text(f"def read_{number}(file):\n    return parse(file, {number})\n")


def test_rows_are_the_same_with_and_without_workers(tmp_path: Path) -> None:
    fill(tmp_path, 70)
    stats, embedder = walk(tmp_path)[0], StaticEmbedder()
    here, there = list(batches(tmp_path, stats, embedder)), list(isolated_batches(tmp_path, stats, embedder))
    assert [batch.rows for batch in here] == [batch.rows for batch in there]
    assert all(a.chunks.equals(b.chunks) for a, b in zip(here, there, strict=True))


def test_a_file_that_kills_its_worker_is_skipped_and_the_others_are_not(tmp_path: Path) -> None:
    fill(tmp_path, 5)
    (tmp_path / "deadly.kt").write_text(DEADLY)
    rows = [row for batch in isolated_batches(tmp_path, walk(tmp_path)[0], StaticEmbedder()) for row in batch.rows]
    assert {row.path: row.reason for row in rows if row.reason} == {"deadly.kt": SkipReason.CRASHED}
    assert sum(row.chunks for row in rows) == 5


SYNC = """
import sys
from pathlib import Path
from vicinal_indexer.index import RepositoryIndex
with RepositoryIndex.open(Path(sys.argv[1]), Path(sys.argv[2])) as index:
    print(len(index.sync().skipped))
"""


@pytest.mark.slow
def test_a_crash_costs_one_command(tmp_path: Path) -> None:
    root, data = tmp_path / "repo", tmp_path / "data"
    fill(root, 3)
    (root / "deadly.kt").write_text(DEADLY)
    command = [sys.executable, "-c", SYNC, str(root), str(data)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stdout) == (0, "1\n")
    with RepositoryIndex.open(root, data) as index:
        assert index.sync().files == 3


def test_globs_example() -> None:
    assert doctest.testmod(globs).failed == 0


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("src", "src/a.py", True),
        ("src", "lib/src/a.py", True),
        ("src/", "srcs/a.py", False),
        ("./src/*.py", "src/a.py", True),
        ("*.py", "a.pyi", False),
        ("a?.py", "ab.py", True),
        ("**/test_*.py", "test_a.py", True),
        ("**/test_*.py", "x/y/test_a.py", True),
        ("a+(b).py", "a+(b).py", True),
    ],
)
def test_globs(glob: str, path: str, matches: bool) -> None:
    import re

    assert bool(re.search(globs.to_regex(glob), path)) is matches
