"""`vicinal doctor`: is everything here that Vicinal needs, and what to do about what is not."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

_MARKS = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "fail": "[bold red]FAIL[/]"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog="**Example**\n\n`vicinal doctor --json`")(doctor)


def doctor(
    repo: Annotated[Path | None, typer.Option("--repo", help="Also read this repository's settings.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Check Python, torch, the model, the store and the disk. Exit code 1 if anything stops Vicinal."""
    from rich.console import Console
    from rich.markup import escape

    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.doctor import check_all

    checks = check_all(load_settings(repo, {}))
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for check in checks:
            console.print(f"{_MARKS[check.status]}  [bold]{check.name}[/]  {escape(check.detail)}")
            if check.remedy:
                console.print(f"      [bold]do:[/] {escape(check.remedy)}")
    return 1 if any(check.status == "fail" for check in checks) else 0
