"""What the commands that need an index have in common: settings, the embedder, the repository.

Owns how these are found from what the user said. Nothing heavy is imported before an index is opened: with a
daemon none is.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.stages import OnStage
from vicinal_daemon.target import find_repository

if TYPE_CHECKING:
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.update import OnProgress


def load_settings(repository: Path | None, flags: Mapping[str, object]) -> Settings:
    """Settings of this user, repository and environment, with the flags that are not None."""
    return config.load(repository, flags)


def open_index(root: Path, settings: Settings) -> "RepositoryIndex":
    """The repository's index, not yet brought up to date."""
    from vicinal_daemon.embedder import open_embedder
    from vicinal_indexer.index import RepositoryIndex

    return RepositoryIndex.open(root, settings.index.data_dir, open_embedder(settings))


def shown_by(on_stage: OnStage) -> "OnProgress":
    """The indexer's progress, drawn by `on_stage`."""
    return lambda progress: on_stage(progress.stage, progress.done, progress.total)


def repository_or_here(repo: Path | None) -> Path:
    """The repository that the user named, else the one around the current folder."""
    return repo if repo is not None else find_repository(Path.cwd() / "here")


def assigned(pairs: Sequence[str]) -> dict[str, object]:
    """What `--set KEY=VALUE` says, as flags.

    Raises:
        InputError: one has no value.
    """
    from vicinal_indexer.errors import InputError

    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair}: it has no value", hint="write --set KEY=VALUE, e.g. --set tune.steps=4")
    split = (pair.partition("=") for pair in pairs)
    return {key: value for key, _, value in split}
