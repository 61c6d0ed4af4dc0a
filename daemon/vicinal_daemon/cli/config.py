"""`vicinal config`: every setting, its value and where it came from."""

import json
from operator import attrgetter
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLES = """
**Examples**

`vicinal config` - in the repository you stand in

`VICINAL_TUNE_STEPS=4 vicinal config --json`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("config", epilog=_EXAMPLES)(config)


def config(
    repo: Annotated[Path, typer.Option("--repo", help="Whose `.vicinal.toml` counts.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print each setting with its value and where it came from.

    Defaults give way to the user's file, that to the repository's `.vicinal.toml`, that to `VICINAL_*`
    variables, and those to flags.
    """
    from rich.console import Console
    from rich.table import Table

    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.config import settings_table, user_config_file

    settings = load_settings(repo, {})
    rows = [(row.key, attrgetter(row.key)(settings), settings.origins[row.key]) for row in settings_table()]
    if as_json:
        typer.echo(json.dumps({k: {"value": v, "origin": o} for k, v, o in rows}, indent=2, default=str))
        return
    table = Table("setting", "value", "from", box=None, padding=(0, 2, 0, 0))
    for key, value, origin in rows:
        table.add_row(key, str(value), origin, style="" if origin != "default" else "dim")
    console = Console()
    console.print(table)
    console.print(f"[dim]user file: {user_config_file()}   every setting is explained in docs/settings.md[/]")
