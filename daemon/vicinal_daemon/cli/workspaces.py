"""`vicinal workspaces list | add | remove`: the repositories that the daemon keeps fresh.

Owns these commands' arguments and what they print.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli.holdings import AsJson, Repo

if TYPE_CHECKING:
    from vicinal_daemon.client import Client
    from vicinal_daemon.protocol.requests import WorkspaceRequest

_EXAMPLES = """
**Examples**

`vicinal workspaces list` - what is open; the first request in a repository opens it by itself

`vicinal workspaces add ~/code/shop` - have it indexed ahead

`vicinal workspaces remove ~/code/shop` - close it; its index stays on disk
"""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The repositories that the daemon keeps fresh; it needs a running daemon.",
        epilog=_EXAMPLES,
        rich_markup_mode="markdown",
    )
    group.command("list", epilog="**Example**\n\n`vicinal workspaces list --json`")(list_)
    group.command("add", epilog="**Example**\n\n`vicinal workspaces add ~/code/shop`")(add)
    group.command("remove", epilog="**Example**\n\n`vicinal workspaces remove ~/code/shop`")(remove)
    app.add_typer(group, name="workspaces")


def list_(as_json: AsJson = False) -> None:
    """Show the repositories that are open."""
    with _daemon() as client:
        state = client.status()
    if as_json:
        shown = [workspace.model_dump(mode="json") for workspace in state.workspaces]
        typer.echo(json.dumps({"workspaces": shown}, indent=2))
        return
    from rich.console import Console

    from vicinal_daemon.cli.state import workspaces_view

    Console(highlight=False).print(workspaces_view(state.workspaces))


def add(repo: Repo = None, as_json: AsJson = False) -> None:
    """Open a repository; it is indexed behind, and kept fresh from here on."""
    with _daemon() as client:
        answer = client.add_workspace(_request(repo))
    typer.echo(json.dumps(answer) if as_json else f"{answer['root']}: {answer['state']}")


def remove(
    repo: Annotated[Path | None, typer.Argument(metavar="[REPO]", help="Default: the one you stand in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Close a repository, and do not open it again until it is used; its index stays."""
    request = _request(repo)
    with _daemon() as client:
        count = client.remove_workspace(request)["count"]
    if as_json:
        typer.echo(json.dumps({"root": request.root, "removed": bool(count)}))
    else:
        typer.echo(f"{request.root}: " + ("closed; its index stays" if count else "was not open"))


def _request(repo: Path | None) -> "WorkspaceRequest":
    from vicinal_daemon.cli.indexes import repository_or_here
    from vicinal_daemon.cli.remote import well_formed
    from vicinal_daemon.protocol.requests import WorkspaceRequest

    with well_formed():
        return WorkspaceRequest(root=str(repository_or_here(repo).resolve()))


def _daemon() -> "Client":
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.remote import demand

    return demand(load_settings(None, {}))
