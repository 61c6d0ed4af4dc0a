"""`vicinal status`: what the daemon does, and what the index of a repository holds.

Owns the command's arguments and which of the two is shown.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vicinal_daemon.cli.holdings import AsJson, Repo, out, show_holdings, show_reasons

if TYPE_CHECKING:
    from rich.console import RenderableType

    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.state import DaemonState
    from vicinal_indexer.types import IndexStatus

_EXAMPLES = """
**Examples**

`vicinal status` - the daemon if one runs: repositories, model, queue, last answers; and the repository you stand in

`vicinal status --watch` - and go on as things change, until Ctrl-C

`vicinal status . --skipped` - what the index holds, every file that was left out, and why
"""
_WATCH_SECONDS = 1.0
_NONE = "no daemon runs; vicinal daemon start"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status", epilog=_EXAMPLES)(status)


def status(
    repo: Repo = None,
    skipped: Annotated[bool, typer.Option("--skipped", help="List every file that was left out, and why.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the daemon's state as it changes, until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the daemon does, what the index of a repository holds, what it leaves out and why. Indexes nothing."""
    from vicinal_daemon.cli.indexes import load_settings, repository_or_here
    from vicinal_daemon.target import is_repository

    if watch:
        _watch(load_settings(None, {}), as_json=as_json)
        return
    root = repository_or_here(repo)
    settings = load_settings(root, {})
    state = _state(settings)
    # Without a daemon there is nothing else to tell of; with one, a folder that is no repository is not meant.
    meant = repo is not None or skipped or state is None or is_repository(root)
    if as_json:
        found = _holdings(root, settings) if meant else {}
        typer.echo(
            json.dumps({"daemon": state.model_dump(mode="json") if state else None, **found}, indent=2, default=str)
        )
        return
    if repo is None:
        _show_daemon(state)
    open_there = state is not None and str(root.resolve()) in {workspace.root for workspace in state.workspaces}
    if repo is not None or skipped or (meant and not open_there):
        if repo is None and state is not None:
            typer.echo()
        _show_repository(root, settings, every_skip=skipped)


def _state(settings: "Settings") -> "DaemonState | None":
    """What the daemon says of itself; None if there is none.

    Raises:
        DaemonUnreachable: there is one, and it does not answer.
    """
    from vicinal_daemon import client

    connection = client.find(settings)
    if connection is None:
        return None
    with client.Client(connection) as opened:
        return opened.status()


def _show_daemon(state: "DaemonState | None") -> None:
    from rich.console import Console

    Console(highlight=False).print(_view(state))


def _view(state: "DaemonState | None") -> "RenderableType":
    from rich.text import Text

    from vicinal_daemon.cli.state import view

    return view(state, time.time()) if state is not None else Text(_NONE, style="dim")


def _watch(settings: "Settings", *, as_json: bool) -> None:
    """Show the daemon's state, again and again; Ctrl-C is how this ends well."""
    from rich.console import Console
    from rich.live import Live

    try:
        if as_json:
            while True:
                state = _state_or_none(settings)
                typer.echo(json.dumps({"daemon": state.model_dump(mode="json") if state else None}))
                time.sleep(_WATCH_SECONDS)
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                live.update(_view(_state_or_none(settings)), refresh=True)
                time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _state_or_none(settings: "Settings") -> "DaemonState | None":
    """As `_state`; one that is just beginning or ending is looked at again."""
    from vicinal_daemon.errors import DaemonError

    try:
        return _state(settings)
    except DaemonError:
        return None


def _holdings(root: Path, settings: "Settings") -> dict[str, Any]:
    from vicinal_daemon.workspaces.pause import pause_flag

    return {**asdict(_look(root, settings)), "paused": pause_flag(settings.index.data_dir).exists()}


def _look(root: Path, settings: "Settings") -> "IndexStatus":
    from vicinal_daemon.cli.indexes import open_index
    from vicinal_daemon.cli.progress import stages

    with stages() as on_stage, open_index(root, settings) as opened:
        on_stage("scan", 0, 0)
        return opened.status()


def _show_repository(root: Path, settings: "Settings", *, every_skip: bool) -> None:
    from vicinal_daemon.workspaces.pause import pause_flag

    found = _look(root, settings)
    paused = pause_flag(settings.index.data_dir).exists()
    console = out()
    show_holdings(console, found)
    if found.held:
        console.print("another vicinal keeps it fresh" + (", paused: `vicinal resume`" if paused else ""))
    elif found.changed:
        console.print(f"{found.changed:,} files are new, changed or gone since; the next command takes them in")
    else:
        console.print("up to date")
    show_reasons(console, found.skipped)
    if every_skip:
        for item in found.skipped:
            console.print(f"  {item.reason.value:16s} {item.path}  ({item.detail})", markup=False)
