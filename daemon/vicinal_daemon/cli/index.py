"""`vicinal index`, `pause` and `resume`: an index that is up to date.

Owns these commands' arguments and what they print.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from vicinal_daemon.cli.holdings import AsJson, Repo, out, show_holdings, show_reasons
from vicinal_daemon.cli.remote import UseDaemon

if TYPE_CHECKING:
    from rich.console import Console

    from vicinal_daemon.client import Client
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.state import HoldingsState, SyncState
    from vicinal_indexer.errors import VicinalError
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.types import IndexStatus, SyncReport

Action = Literal["sync", "rebuild", "verify"]
_INDEX_EXAMPLES = """
**Examples**

`vicinal index` - the repository you stand in; a second run touches only what changed

`vicinal index ~/code/shop --watch` - and keep it fresh, until Ctrl-C

`vicinal index --rebuild` - throw the index away and build it anew

`vicinal index --verify` - do so only if a byte of it is not what was written
"""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("index", epilog=_INDEX_EXAMPLES)(index)
    app.command("pause")(pause)
    app.command("resume")(resume)


def index(
    repo: Repo = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep it fresh as files change, until Ctrl-C; a daemon does so anyway.")
    ] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Throw the index away and build it anew.")] = False,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare every byte of the index with what was written; rebuild if one differs."),
    ] = False,
    use_daemon: UseDaemon = None,
    as_json: AsJson = False,
) -> None:
    """Index a repository. Other commands do this by themselves; run it ahead to have it done, or watch."""
    from vicinal_daemon.cli.indexes import load_settings, open_index, repository_or_here, shown_by
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.remote import mode_of, reach

    root = repository_or_here(repo)
    settings = load_settings(root, {})
    action: Action = "rebuild" if rebuild else "verify" if verify else "sync"
    daemon = reach(settings, mode_of(use_daemon))
    if daemon is not None:
        with daemon:
            _by_daemon(daemon, root, action, as_json=as_json)
        if watch:
            typer.echo("the daemon keeps it fresh from here on", err=True)
        return
    with open_index(root, settings) as opened:
        with stages() as on_stage:
            work = {"sync": opened.sync, "rebuild": opened.rebuild, "verify": opened.verify}[action]
            report = work(shown_by(on_stage))
            found = opened.status()
        if as_json:
            typer.echo(json.dumps({"sync": asdict(report), "status": asdict(found)}, default=str))
        else:
            _show_report(out(), report, found)
        if watch:
            _watch(opened, settings, as_json=as_json)


def _by_daemon(client: "Client", root: Path, action: Action, *, as_json: bool) -> None:
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.remote import shown_by, well_formed
    from vicinal_daemon.protocol.requests import IndexRequest

    with well_formed():
        request = IndexRequest(root=str(root.resolve()), action=action)
    with stages() as on_stage:
        indexed = client.index(request, shown_by(on_stage))
    if as_json:
        shown = indexed.model_dump(mode="json", include={"sync", "holdings"})
        typer.echo(json.dumps({"sync": shown["sync"], "status": shown["holdings"]}))
    elif indexed.sync is not None and indexed.holdings is not None:
        _show_report(out(), indexed.sync, indexed.holdings)


def pause() -> None:
    """Let everything that keeps an index fresh rest, the daemon too, until `vicinal resume`."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.workspaces.pause import pause as put_flag

    put_flag(load_settings(None, {}).index.data_dir)
    typer.echo("paused; what changes meanwhile is taken in after `vicinal resume`")


def resume() -> None:
    """Let it go on."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.workspaces.pause import resume as take_flag

    typer.echo("resumed" if take_flag(load_settings(None, {}).index.data_dir) else "nothing was paused")


def _show_report(console: "Console", report: "SyncReport | SyncState", found: "IndexStatus | HoldingsState") -> None:
    if report.rebuilt_because:
        console.print("rebuilt: " + report.rebuilt_because, style="yellow", markup=False)
    show_holdings(console, found)
    console.print(
        f"{report.added:,} added, {report.replaced:,} replaced, {report.dropped:,} dropped in {report.seconds:.2f} s"
    )
    show_reasons(console, report.skipped)


def _watch(opened: "RepositoryIndex", settings: "Settings", *, as_json: bool) -> None:
    """Follow the repository until Ctrl-C."""
    from vicinal_daemon.workspaces.pause import pause_flag
    from vicinal_indexer.errors import StoreUnavailable
    from vicinal_indexer.follow import Follower
    from vicinal_indexer.priority import step_back
    from vicinal_indexer.watch import watching

    flag = pause_flag(settings.index.data_dir)
    console = out()

    def tell(report: "SyncReport") -> None:
        if as_json:
            typer.echo(json.dumps({"sync": {**asdict(report), "skipped": len(report.skipped)}}, default=str))
            return
        console.print(
            f"{report.added:,} added, {report.replaced:,} replaced, {report.dropped:,} dropped"
            f" in {report.seconds * 1000:.0f} ms; {report.chunks:,} chunks"
        )

    def complain(error: "VicinalError") -> None:
        typer.echo(f"error: {error.message}\n  {error.hint}\n  trying again soon", err=True)

    step_back(5)  # the machine is the user's
    try:
        with opened.holding(), watching(opened.root, opened.cookies) as signals:
            if not as_json:
                console.print(f"watching {opened.root}, Ctrl-C ends it", markup=False)
            Follower(opened, signals, tell, complain, paused=flag.exists, stopped=lambda: False).run()
    except OSError as error:
        raise StoreUnavailable(
            f"the system cannot watch {opened.root}: {error}",
            hint="on Linux raise fs.inotify.max_user_watches; without --watch every command takes in changes itself",
        ) from error
