"""A daemon's parts, put together as the product puts them together, on a small real model."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from vicinal_daemon import config
from vicinal_daemon.config import Settings
from vicinal_daemon.daemon import Daemon


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    with TemporaryDirectory(prefix="v") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Iterator["Stage"]:
    """A daemon that the tests of a module share; each has a repository of its own."""
    with (
        TemporaryDirectory(prefix="v") as short,
        Stage(tmp_path_factory.mktemp("daemon"), short, tiny_model_dir) as made,
    ):
        yield made


class Stage:
    """A daemon's parts on an event loop, in temporary folders, with a small real model."""

    def __init__(self, folder: Path, short: str, model: Path) -> None:
        self.user_file = folder / "config.toml"
        self.user_file.write_text(
            f"""
            model = {{ name = "{model}", device = "cpu" }}
            index = {{ data_dir = "{folder / "data"}" }}
            daemon = {{ folder = "{short}", log_dir = "{folder / "log"}" }}
            prompt = {{ context_tokens = 128 }}
            tune = {{ max_tokens = 64, rank = 4, steps = 3, guard = false }}
            generate = {{ max_tokens = 12 }}
            # It comes behind the answers, so the same request could be answered in two ways. Its own tests turn it on.
            memory = {{ enabled = false }}
            """
        )
        self._runner = asyncio.Runner()
        self._daemon: Daemon | None = None

    def load(self, root: Path | None = None) -> Settings:
        """The settings, of a repository too."""
        return config.load(root, {}, {}, self.user_file)

    def play(self, scene: "Callable[[Daemon], Awaitable[None]]") -> None:
        """Play a scene with the daemon, which is opened for it if it is not open."""

        async def run() -> None:
            if self._daemon is None:
                self._daemon = Daemon(self.load(), lambda: "test", self.load)
                await self._daemon.open()
            await asyncio.wait_for(scene(self._daemon), 120)

        self._runner.run(run())

    def restart(self) -> None:
        """Close the daemon; the next scene has a new one."""
        daemon, self._daemon = self._daemon, None
        if daemon is not None:
            self._runner.run(daemon.close())

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.restart()
        finally:
            self._runner.close()


@pytest.fixture
def daemon_settings(tmp_path: Path, short_folder: Path, tiny_model_dir: Path) -> Callable[..., Settings]:
    """Settings of a daemon in temporary folders that runs the small model; more by keyword (`tune__steps`)."""

    def make(**more: object) -> Settings:
        flags: dict[str, object] = {
            "model.name": str(tiny_model_dir),
            "model.device": "cpu",
            "index.data_dir": tmp_path / "data",
            "daemon.folder": short_folder,
            "daemon.log_dir": tmp_path / "log",
            "prompt.context_tokens": 128,
            "tune.max_tokens": 64,
            "tune.rank": 4,
            "tune.steps": 3,
            "generate.max_tokens": 12,
        }
        flags |= {key.replace("__", "."): value for key, value in more.items()}
        return config.load(None, flags, {}, tmp_path / "no-settings.toml")

    return make


Play = Callable[[Daemon], Awaitable[None]]


@pytest.fixture
def with_daemon(daemon_settings: Callable[..., Settings]) -> Callable[..., None]:
    """Play a scene with a daemon's parts on one event loop."""

    def run(play: Play, **more: object) -> None:
        async def scene() -> None:
            settings = daemon_settings(**more)
            daemon = Daemon(settings, lambda: "test", lambda root: settings)
            await daemon.open()
            try:
                await asyncio.wait_for(play(daemon), 120)
            finally:
                await daemon.close()

        asyncio.run(scene())

    return run
