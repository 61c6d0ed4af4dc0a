"""Which paths the user's ignore files leave out: .gitignore at every level, .git/info/exclude, the user's global
excludes, .vicinalignore.

Owns the order of the rules, which is git's: the deepest file with a matching pattern decides, in it the last pattern;
then .git/info/exclude, then the global excludes. A .vicinalignore is read after the .gitignore of its folder, so it can
add to it and take back from it; unlike the .gitignore it also holds inside submodules, which git treats as repositories
of their own. Ignore files of the folders above the root count up to the folder that holds .git.
"""

import errno
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

from vicinal_indexer.errors import RepositoryUnreadable
from vicinal_indexer.failures import EXHAUSTED

TOOL_FOLDERS = frozenset(
    ".git .hg .svn .bzr .jj .venv venv .tox .nox __pycache__ .mypy_cache .pytest_cache .ruff_cache .hypothesis"
    " .next .nuxt .svelte-kit .parcel-cache .turbo .gradle .terraform .eggs .idea .vs .direnv .cache"
    " .ipynb_checkpoints".split()
)
"""Folders that hold tools' state; never looked into, whatever the ignore files say."""

GIT_IGNORE, OWN_IGNORE = IGNORE_FILES = (".gitignore", ".vicinalignore")
_MAX_IGNORE_BYTES = 1_000_000
_GIT_SECONDS = 5


class _Spec:
    """One ignore file's patterns. Most paths match none of them, which one expression over all patterns tells fast."""

    def __init__(self, spec: GitIgnoreSpec) -> None:
        self._spec = spec
        sources = [_source(pattern.regex) for pattern in spec.patterns if pattern.regex is not None]
        self._any = re.compile("|".join(f"(?:{source})" for source in sources) or r"(?!)")

    def decide(self, path: str) -> bool | None:
        """True: left out; False: taken back by a `!pattern`; None: not mentioned."""
        return self._spec.check_file(path).include if self._any.match(path) else None


def _source(regex: re.Pattern[str]) -> str:
    return re.sub(r"\(\?P<\w+>", "(?:", regex.pattern)


@dataclass(frozen=True, slots=True)
class _Level:
    """A spec, the prefix that its paths are relative to, and whether it ends where another repository begins."""

    prefix: str
    spec: _Spec
    only_this_repository: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that hold in one folder, deepest last."""

    levels: tuple[_Level, ...]

    def decide(self, path: str) -> bool | None:
        """Whether `path` (POSIX, relative to the top of the rules; folders end in "/") is left out (True), taken back
        (False) or not mentioned (None)."""
        for level in reversed(self.levels):
            decision = level.spec.decide(path[len(level.prefix) :])
            if decision is not None:
                return decision
        return None

    def ignores(self, path: str) -> bool:
        """Whether `path` is left out."""
        return bool(self.decide(path))

    def within(self, folder: Path, prefix: str, names: frozenset[str]) -> "Rules":
        """The rules of `folder`, given those of its parent; its paths begin with `prefix`, it may hold `names`."""
        levels = self.levels
        if prefix and ".git" in names and (folder / ".git").exists():  # a submodule or a nested repository
            levels = tuple(level for level in levels if not level.only_this_repository)
            levels += _levels(prefix, _git_dir(folder) / "info" / "exclude")
        for name in IGNORE_FILES:
            if name in names:
                levels += _levels(prefix, folder / name)
        return self if levels is self.levels else Rules(levels)


def root_rules(root: Path) -> tuple[Rules, str]:
    """The rules at `root`, without those of its own ignore files, and the prefix of its paths in them.

    Raises:
        RepositoryUnreadable: an ignore file cannot be read just now.
    """
    above = list(_up_to_repository(root))
    top = above[-1] if above else root
    rules = Rules((*_levels("", global_excludes()), *_levels("", _git_dir(top) / "info" / "exclude")))
    for folder in reversed(above[1:] if top == root else above):
        if folder != root:
            rules = rules.within(folder, _prefix(folder, top), frozenset(IGNORE_FILES))
    prefix = _prefix(root, top)
    if prefix and rules.ignores(prefix):
        # Whoever names an ignored folder means it: a package inside .venv, a vendored library.
        return Rules(()), ""
    return rules, prefix


def global_excludes() -> Path:
    """The user's ignore file for all repositories: git's core.excludesFile, else git's default place."""
    command = ["git", "config", "--type=path", "--get", "core.excludesFile"]
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_GIT_SECONDS, cwd=Path.home(), check=False
        )
        named = os.fsdecode(done.stdout).strip()
    except (OSError, RuntimeError, subprocess.SubprocessError):  # no git, no home: no global excludes but the default
        named = ""
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - never raises
    return Path(base) / "git" / "ignore"


def _git_dir(folder: Path) -> Path:
    """The git folder of a repository: in a submodule or a linked worktree `.git` is a file that names it."""
    git = folder / ".git"
    try:
        if git.is_dir():
            return git
        named = git.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
        git = folder / named
        return git / (git / "commondir").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return git


def _prefix(folder: Path, top: Path) -> str:
    relative = folder.relative_to(top).as_posix()
    return "" if relative == "." else f"{relative}/"


def _up_to_repository(root: Path) -> Iterator[Path]:
    """`root` and the folders above it up to the one that holds .git; nothing if there is none."""
    folders = [root, *root.parents]
    for count, folder in enumerate(folders, start=1):
        if (folder / ".git").exists():
            yield from folders[:count]
            return


def _levels(prefix: str, path: Path) -> tuple[_Level, ...]:
    spec = _read(path)
    return () if spec is None else (_Level(prefix, spec, path.name != OWN_IGNORE),)


def _read(path: Path) -> _Spec | None:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_IGNORE_BYTES)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in EXHAUSTED | {errno.EIO}:
            raise RepositoryUnreadable(f"{path} cannot be read: {error}") from error
        return None  # Most folders have none; one that is closed to us cannot be obeyed.
    lines = data.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    if not lines:
        return None
    try:
        return _Spec(GitIgnoreSpec.from_lines(lines))
    except GitIgnorePatternError:
        # Like git, drop the line that is no pattern and obey the others.
        return _Spec(GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)]))


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except GitIgnorePatternError:
        return False
    return True
