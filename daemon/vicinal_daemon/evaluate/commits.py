"""Commit tasks: lines that somebody really added, in the repository as it was before.

Owns the reading of git's history, and the folder that holds a commit's files. Nothing is written into the repository or
its `.git`: the folder has an index of its own. No hook or filter runs, and what is not here is not fetched.

A task's left context is the file as of the commit, with what was added above; what stands behind it is the file as it
was before, since the user had not typed the rest yet.
"""

import os
import random
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import HistoryUnusable
from vicinal_daemon.evaluate.tasks import Task, is_code, make_task
from vicinal_indexer import languages
from vicinal_indexer.files import judge
from vicinal_indexer.symbols import CODE, outline

PER_COMMIT = 3
"""Tasks at most from one commit, so that many commits have a say."""

MOST_ADDED = 2_000
"""A commit that adds more lines is an import or a reformatting, not typing."""

MOST_COMMITS = 5_000
"""How far back is looked."""

GIT_SECONDS = 120

_LOCAL = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0"}
"""A partial clone fetches what it lacks whenever it is read. The first is for git from 2.44 on, the second for all."""

_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
OnCommit = Callable[[int, int], None]


class _NotHere(HistoryUnusable):
    """Git fails at one commit: mostly since a shallow or partial clone, or a damaged one, lacks an object."""


@dataclass(frozen=True, slots=True)
class Change:
    """A hunk: lines `added` from `line` (1-based, in the new file) on; the old file goes on behind line `old_end`."""

    path: str
    line: int
    added: tuple[str, ...]
    old_end: int


def sample_commit_lines(
    root: Path, count: int, seed: int, on_commit: OnCommit = lambda found, wanted: None
) -> list[Task]:
    """Up to `count` commit tasks, from the newest commits of the first-parent history; merges are left out.

    A commit that git cannot read is left out. Of each other up to `PER_COMMIT` lines, chosen by seed: code
    (`tasks.is_code`), not inside a comment, and not anywhere in the repository before. The same HEAD and seed give the
    same tasks; fewer tasks are the first of more.

    Raises:
        HistoryUnusable: it is no git repository, or git is missing or fails at every commit.
    """
    found: list[Task] = []
    unread: _NotHere | None = None
    for commit, parent in _commits(root):
        if len(found) >= count:
            break
        on_commit(len(found), count)
        try:
            found += _sample(root, commit, parent, min(PER_COMMIT, count - len(found)), seed)
        except _NotHere as error:
            unread = error
    if not found and unread is not None:
        raise unread
    return found


def _sample(root: Path, commit: str, parent: str, most: int, seed: int) -> list[Task]:
    candidates = list(_candidates(root, commit, parent))
    random.Random(f"commit {seed} {commit}").shuffle(candidates)  # noqa: S311 - reproducible, not cryptography
    found: list[Task] = []
    for change, offset in candidates:
        if len(found) == most:
            break
        if not _stood_before(root, parent, change.added[offset].strip()):
            found.append(_task(root, commit, parent, change, offset))
    return found


def parse_changes(diff: str) -> list[Change]:
    """The hunks of `git diff --unified=0` that add lines."""
    changes: list[Change] = []
    path, added, at = "", [], (0, 0)  # type: str, list[str], tuple[int, int]

    def close() -> None:
        if added and path:
            changes.append(Change(path, at[0], tuple(added), at[1]))
        added.clear()

    in_hunk = False
    for line in diff.split("\n"):
        hunk = _HUNK.match(line)
        if line.startswith("diff --git "):
            close()
            path, in_hunk = "", False
        elif not in_hunk and line.startswith("+++ "):
            path = line[6:] if line.startswith("+++ b/") else ""
        elif hunk:
            close()
            in_hunk = True
            old, old_count = int(hunk[1]), int(hunk[2] if hunk[2] is not None else 1)
            at = int(hunk[3]), old + old_count - 1 if old_count else old
        elif in_hunk and line.startswith("+"):
            added.append(line[1:])
    close()
    return changes


class Tree:
    """The files of one commit after the other, in a folder of their own; a step changes only what differs.

    Args:
        root: the repository.
        folder: an empty folder outside of it; the caller deletes it.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self.files = folder / root.resolve().name
        self._index = folder / "git-index"
        self.files.mkdir(parents=True)
        self._at = ""

    def go_to(self, commit: str) -> bool:
        """Let the folder hold the files of `commit`; whether anything may have changed.

        Raises:
            HistoryUnusable: git fails.
        """
        if commit == self._at:
            return False
        own = {"GIT_INDEX_FILE": str(self._index), **self._without_filters()}
        _git(self._root, f"--work-tree={self.files}", "read-tree", "-u", "--reset", commit, environment=own)
        self._at = commit
        return True

    def _without_filters(self) -> dict[str, str]:
        """Variables that empty every filter of the configuration: programs that git runs over a file's content.

        Not `-c name=value`, which a name with "=" in it would get around.
        """
        asked = "--null", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process|required)$"
        names = _run(self._root, "config", *asked).stdout.split("\0")[:-1]
        first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)  # the user's own come before
        own = {"GIT_CONFIG_COUNT": str(first + len(names))}
        for number, name in enumerate(names, first):
            own[f"GIT_CONFIG_KEY_{number}"] = name
            own[f"GIT_CONFIG_VALUE_{number}"] = "false" if name.endswith(".required") else ""
        return own


def before(root: Path, commit: str) -> str:
    """The id of the commit's first parent.

    Raises:
        HistoryUnusable: it has none.
    """
    return _git(root, "rev-parse", "--verify", f"{commit}^1").strip()


def _commits(root: Path) -> Iterator[tuple[str, str]]:
    """(commit, parent), the newest first."""
    listing = _git(root, "log", "--first-parent", "--no-merges", f"-{MOST_COMMITS}", "--format=%H %P")
    for line in listing.splitlines():
        commit, *parents = line.split()
        if len(parents) == 1:
            yield commit, parents[0]


def _candidates(root: Path, commit: str, parent: str) -> Iterator[tuple[Change, int]]:
    diff = _git(root, "diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
                "--diff-filter=AM", "--src-prefix=a/", "--dst-prefix=b/", parent, commit)  # fmt: skip
    changes = parse_changes(diff)
    if sum(len(change.added) for change in changes) > MOST_ADDED:
        return
    by_path: dict[str, list[Change]] = {}
    for change in changes:
        by_path.setdefault(change.path, []).append(change)
    for path, own in sorted(by_path.items()):
        if languages.detect(path) not in CODE:
            continue
        text = _git(root, "show", f"{commit}:{path}")
        told = outline(text, languages.detect(path, text[:200]))
        if told is None or judge(path, text) is not None:  # generated, minified, secret
            continue
        for change in own:
            for offset, line in enumerate(change.added):
                number = change.line + offset
                if number > 1 and is_code(line) and number not in told.prose:
                    yield change, offset


def _stood_before(root: Path, parent: str, line: str) -> bool:
    found = _run(root, "grep", "-q", "-I", "-F", "-e", line, parent)
    if found.returncode > 1:
        raise _not_here(root, found)
    return found.returncode == 0


def _task(root: Path, commit: str, parent: str, change: Change, offset: int) -> Task:
    text = _git(root, "show", f"{commit}:{change.path}")
    rows = text.split("\n")
    number = change.line + offset
    old = _run(root, "show", f"{parent}:{change.path}")
    after = old.stdout.split("\n")[change.old_end :] if old.returncode == 0 else []
    left = "\n".join(rows[: number - 1]) + "\n"
    right = "\n" + "\n".join(after) if after else ""
    return make_task("commit", change.path, left, rows[number - 1], right, commit=commit, indexed_line=change.old_end)


def _git(root: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    found = _run(root, *arguments, environment=environment)
    if found.returncode != 0:
        raise _not_here(root, found)
    return found.stdout


def _not_here(root: Path, failed: subprocess.CompletedProcess[str]) -> _NotHere:
    reason = (failed.stderr.strip().splitlines() or ["git says nothing"])[-1]
    return _NotHere(
        f"git cannot tell the history of {root}: {reason}",
        hint="commit tasks need a git repository with history, and nothing is fetched for them; fetch it yourself, or "
        "leave them out with --tasks line,api",
    )


def _run(root: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    # The repository's own hooks and monitors are programs that somebody else wrote.
    safe = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
    try:
        return subprocess.run(
            ["git", "-C", str(root), *safe, *arguments],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=GIT_SECONDS,
            check=False,
            env={**os.environ, **_LOCAL, **(environment or {})},
        )
    except FileNotFoundError as error:
        raise HistoryUnusable("git is not installed", hint="install it, or use --tasks line,api") from error
    except subprocess.TimeoutExpired as error:
        raise HistoryUnusable(f"git took over {GIT_SECONDS} s in {root}", hint="use --tasks line,api") from error
