"""`vicinal index`: bring the index of a repository up to date, and say what is in it."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLES = """
**Examples**

`vicinal index` - the repository you stand in; a second run touches only what changed

`vicinal index ~/code/shop --skipped`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("index", epilog=_EXAMPLES)(index)


def index(
    repo: Annotated[Path, typer.Argument(metavar="[REPO]", help="The repository.")] = Path(),
    skipped: Annotated[bool, typer.Option("--skipped", help="List every file that was left out, and why.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Index a repository. `complete` does this by itself; run it ahead to have it done."""
    from rich.console import Console

    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.workbench import load_settings
    from vicinal_indexer.index import RepositoryIndex

    settings = load_settings(repo, {})
    with stages() as on_stage, RepositoryIndex.open(repo, settings.index.data_dir) as opened:
        report = opened.sync(lambda progress: on_stage(progress.stage, progress.done, progress.total))
        status = opened.status()
    if as_json:
        typer.echo(json.dumps({"sync": asdict(report), "status": asdict(status)}, indent=2, default=str))
        return
    console = Console(highlight=False, soft_wrap=True)
    if report.rebuilt_because:
        console.print(f"[yellow]rebuilt:[/] {report.rebuilt_because}")
    console.print(
        f"{status.files:,} files, {status.chunks:,} chunks, {status.bytes_on_disk / 1e6:.1f} MB in {status.store}\n"
        f"{report.added:,} added, {report.replaced:,} replaced, {report.dropped:,} dropped in {report.seconds:.2f} s"
    )
    reasons = Counter(item.reason.value for item in report.skipped)
    if reasons:
        console.print("skipped: " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    if skipped:
        for item in report.skipped:
            console.print(f"  {item.reason.value:12s} {item.path}  [dim]{item.detail}[/]")
