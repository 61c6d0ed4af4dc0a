"""Which paths the user's ignore files leave out: .gitignore at every level, .git/info/exclude, .vicinalignore.

Owns the order of the rules, which is git's: the deepest file with a matching pattern decides, in it the last pattern.
A .vicinalignore is read after the .gitignore of its folder, so it can add to it and take back from it. Ignore files of
the folders above the root count up to the folder that holds .git. The user's global ignore file is not read: the index
of a repository depends on the repository alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

ALWAYS_PRUNED = frozenset(
    ".git .hg .svn .bzr .jj .venv venv .tox .nox __pycache__ .mypy_cache .pytest_cache .ruff_cache .hypothesis"
    " node_modules bower_components .yarn .pnpm-store .next .nuxt .svelte-kit .parcel-cache .turbo"
    " .gradle .terraform .eggs .idea .vs .direnv .cache .ipynb_checkpoints site-packages".split()
)
"""Folders that hold tools' output or other people's code, whatever the ignore files say."""

IGNORE_FILES = (".gitignore", ".vicinalignore")
_MAX_IGNORE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that hold in one folder: each spec with the prefix that its paths are relative to, deepest last."""

    levels: tuple[tuple[str, GitIgnoreSpec], ...]

    def ignores(self, path: str) -> bool:
        """Whether `path` (POSIX, relative to the top of the rules; folders end in "/") is left out."""
        for prefix, spec in reversed(self.levels):
            include = spec.check_file(path[len(prefix) :]).include
            if include is not None:
                return include
        return False

    def within(self, folder: Path, prefix: str) -> "Rules":
        """The rules of `folder`, whose paths begin with `prefix`, given these rules of the folder above."""
        spec = _spec(folder, IGNORE_FILES)
        return self if spec is None else Rules((*self.levels, (prefix, spec)))


def root_rules(root: Path) -> tuple[Rules, str]:
    """The rules at `root`, without those of its own ignore files, and the prefix of its paths in them."""
    above = list(_up_to_repository(root))
    top = above[-1] if above else root
    exclude = _spec(top / ".git" / "info", ("exclude",))
    rules = Rules(() if exclude is None else (("", exclude),))
    for folder in reversed(above[1:] if top == root else above):
        if folder != root:
            rules = rules.within(folder, _prefix(folder, top))
    prefix = _prefix(root, top)
    if prefix and rules.ignores(prefix):
        # Whoever names an ignored folder means it: a package inside .venv, a vendored library.
        return Rules(()), ""
    return rules, prefix


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


def _spec(folder: Path, names: tuple[str, ...]) -> GitIgnoreSpec | None:
    lines: list[str] = []
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                data = file.read(_MAX_IGNORE_BYTES)
        except OSError:
            continue  # Most folders have none; one that cannot be read cannot be obeyed.
        lines += data.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    if not lines:
        return None
    try:
        return GitIgnoreSpec.from_lines(lines)
    except GitIgnorePatternError:
        # Like git, drop the line that is no pattern and obey the others.
        return GitIgnoreSpec.from_lines([line for line in lines if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except GitIgnorePatternError:
        return False
    return True
