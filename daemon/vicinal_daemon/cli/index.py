"""`vicinal index`, `status`, `pause` and `resume`: an index that is up to date, and what is in it.

Owns these commands' arguments and what they print.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vicinal_daemon.config import Settings
    from vicinal_indexer.errors import VicinalError
    from vicinal_indexer.index import RepositoryIndex
    from vicinal_indexer.types import IndexStatus, Skipped, SyncReport

_INDEX_EXAMPLES = """
**Examples**

`vicinal index` - the repository you stand in; a second run touches only what changed

`vicinal index ~/code/shop --watch` - and keep it fresh, until Ctrl-C

`vicinal index --rebuild` - throw the index away and build it anew
"""
_STATUS_EXAMPLES = """
**Examples**

`vicinal status` - how much is indexed, how much is not, and whether anything has changed since

`vicinal status --skipped` - every file that was left out, and why
"""

Repo = Annotated[
    Path | None, typer.Argument(metavar="[REPO]", help="The repository; default: the one around the current folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("index", epilog=_INDEX_EXAMPLES)(index)
    app.command("status", epilog=_STATUS_EXAMPLES)(status)
    app.command("pause")(pause)
    app.command("resume")(resume)


def index(
    repo: Repo = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep it fresh as files change, until Ctrl-C.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Throw the index away and build it anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index a repository. Other commands do this by themselves; run it ahead to have it done, or watch."""
    from vicinal_daemon.cli.indexes import load_settings, open_index, repository_or_here, shown_by
    from vicinal_daemon.cli.progress import stages

    root = repository_or_here(repo)
    settings = load_settings(root, {})
    with open_index(root, settings) as opened:
        with stages() as on_stage:
            report = (opened.rebuild if rebuild else opened.sync)(shown_by(on_stage))
            found = opened.status()
        if as_json:
            typer.echo(json.dumps({"sync": asdict(report), "status": asdict(found)}, default=str))
        else:
            _show_report(_console(), report, found)
        if watch:
            _watch(opened, settings, as_json=as_json)


def status(
    repo: Repo = None,
    skipped: Annotated[bool, typer.Option("--skipped", help="List every file that was left out, and why.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what the index of a repository holds, what it leaves out and why. Indexes nothing."""
    from vicinal_daemon.cli.indexes import load_settings, open_index, repository_or_here
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.workspaces.pause import pause_flag

    root = repository_or_here(repo)
    settings = load_settings(root, {})
    with stages() as on_stage, open_index(root, settings) as opened:
        on_stage("scan", 0, 0)
        found = opened.status()
    paused = pause_flag(settings.index.data_dir).exists()
    if as_json:
        typer.echo(json.dumps({**asdict(found), "paused": paused}, indent=2, default=str))
        return
    console = _console()
    _show_holdings(console, found)
    if found.held:
        console.print("another vicinal keeps it fresh" + (", paused: `vicinal resume`" if paused else ""))
    elif found.changed:
        console.print(f"{found.changed:,} files are new, changed or gone since; the next command takes them in")
    else:
        console.print("up to date")
    _show_reasons(console, found.skipped)
    if skipped:
        for item in found.skipped:
            console.print(f"  {item.reason.value:16s} {item.path}  ({item.detail})", markup=False)


def pause() -> None:
    """Let everything that keeps an index fresh rest, until `vicinal resume`."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.workspaces.pause import pause_flag
    from vicinal_indexer.errors import StoreUnavailable

    flag = pause_flag(load_settings(None, {}).index.data_dir)
    try:
        flag.parent.mkdir(parents=True, exist_ok=True)
        flag.touch()
    except OSError as error:
        raise StoreUnavailable(f"{flag} cannot be written: {error}", hint="mend its folder's permissions") from error
    typer.echo("paused; what changes meanwhile is taken in after `vicinal resume`")


def resume() -> None:
    """Let it go on."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.workspaces.pause import pause_flag

    flag = pause_flag(load_settings(None, {}).index.data_dir)
    typer.echo("resumed" if flag.exists() else "nothing was paused")
    flag.unlink(missing_ok=True)


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _show_report(console: "Console", report: "SyncReport", found: "IndexStatus") -> None:
    if report.rebuilt_because:
        console.print("rebuilt: " + report.rebuilt_because, style="yellow", markup=False)
    _show_holdings(console, found)
    console.print(
        f"{report.added:,} added, {report.replaced:,} replaced, {report.dropped:,} dropped in {report.seconds:.2f} s"
    )
    _show_reasons(console, report.skipped)


def _show_holdings(console: "Console", found: "IndexStatus") -> None:
    console.print(
        f"{found.files:,} files, {found.chunks:,} chunks, {found.bytes_on_disk / 1e6:.1f} MB in {found.store}"
    )


def _show_reasons(console: "Console", skipped: Sequence["Skipped"]) -> None:
    reasons = Counter(item.reason.value for item in skipped)
    if reasons:
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        console.print(f"left out: {told}  [dim](vicinal status --skipped)[/]")


def _watch(opened: "RepositoryIndex", settings: "Settings", *, as_json: bool) -> None:
    """Follow the repository until Ctrl-C."""
    import os

    from vicinal_daemon.workspaces.pause import pause_flag
    from vicinal_indexer.errors import StoreUnavailable
    from vicinal_indexer.follow import Follower
    from vicinal_indexer.watch import watching

    flag = pause_flag(settings.index.data_dir)
    console = _console()

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

    if hasattr(os, "nice"):
        os.nice(5)  # the machine is the user's
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
