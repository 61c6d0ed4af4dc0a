"""`vicinal adapters list | pin | unpin | drop`: what the daemon has learned and keeps.

Owns these commands' arguments and what they print.
"""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli.holdings import AsJson

if TYPE_CHECKING:
    from vicinal_daemon.client import Client
    from vicinal_daemon.protocol.state import AdaptersState

_EXAMPLES = """
**Examples**

`vicinal adapters list` - what was learned, from which files, and when it was last used

`vicinal adapters pin 3f2a9c` - keep it even when space is short; the beginning of a key is enough

`vicinal adapters drop --all` - forget everything that is not pinned
"""
_KEY = 8
"""Characters of a key that are shown; its beginning names it as long as that is unique."""

Key = Annotated[str, typer.Argument(metavar="KEY", help="The adapter's key, or the beginning of it.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="List, keep and forget what the daemon has learned; it needs a running daemon.",
        epilog=_EXAMPLES,
        rich_markup_mode="markdown",
    )
    group.command("list", epilog="**Example**\n\n`vicinal adapters list --json`")(list_)
    group.command("pin", epilog="**Example**\n\n`vicinal adapters pin 3f2a9c`")(pin)
    group.command("unpin", epilog="**Example**\n\n`vicinal adapters unpin 3f2a9c`")(unpin)
    group.command("drop", epilog="**Examples**\n\n`vicinal adapters drop 3f2a9c`\n\n`vicinal adapters drop --all`")(
        drop
    )
    app.add_typer(group, name="adapters")


def list_(as_json: AsJson = False) -> None:
    """Show the adapters, the last used first."""
    with _daemon() as client:
        state = client.adapters()
    if as_json:
        typer.echo(state.model_dump_json(indent=2))
    else:
        _show(state)


def pin(key: Key, as_json: AsJson = False) -> None:
    """Keep an adapter even when space is short."""
    _set_pin(key, pinned=True, as_json=as_json)


def unpin(key: Key, as_json: AsJson = False) -> None:
    """Let an adapter give way again."""
    _set_pin(key, pinned=False, as_json=as_json)


def drop(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="The adapter's key, or its beginning.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are not pinned.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget an adapter, or all that are not pinned."""
    from vicinal_indexer.errors import InputError

    if (key is None) is not everything:
        raise InputError("either a KEY or --all", hint="`vicinal adapters list` shows the keys")
    with _daemon() as client:
        if key is not None:
            wanted = [_found(client, key)]
        else:
            wanted = [adapter.key for adapter in client.adapters().adapters if not adapter.pinned]
        dropped = [one for one in wanted if client.drop_adapter(one)["count"]]
        kept = len(client.adapters().adapters)
    if as_json:
        typer.echo(json.dumps({"dropped": dropped, "kept": kept}))
    else:
        typer.echo(f"dropped {len(dropped):,}, kept {kept:,}")


def _set_pin(key: str, *, pinned: bool, as_json: bool) -> None:
    from vicinal_daemon.protocol.requests import PinRequest

    with _daemon() as client:
        whole = _found(client, key)
        client.pin_adapter(whole, PinRequest(pinned=pinned))
    if as_json:
        typer.echo(json.dumps({"key": whole, "pinned": pinned}))
    else:
        typer.echo(f"{whole[:_KEY]}: {'pinned' if pinned else 'no longer pinned'}")


def _daemon() -> "Client":
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.remote import demand

    return demand(load_settings(None, {}))


def _found(client: "Client", beginning: str) -> str:
    """The one key that begins so.

    Raises:
        InputError: there is none, or more than one.
    """
    from vicinal_indexer.errors import InputError

    keys = [adapter.key for adapter in client.adapters().adapters if beginning and adapter.key.startswith(beginning)]
    if len(keys) != 1:
        what = "no adapter's key begins" if not keys else f"{len(keys)} adapters' keys begin"
        raise InputError(f"{what} with {beginning!r}", hint="`vicinal adapters list --json` shows the whole keys")
    return keys[0]


def _show(state: "AdaptersState") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from vicinal_daemon.cli.state import home, size, span, tail

    console = Console(highlight=False)
    now = time.time()
    if state.adapters:
        table = Table("key", "kind", "steps", "used", "", "learned from", box=None, padding=(0, 2, 0, 0))
        for adapter in sorted(state.adapters, key=lambda one: one.used, reverse=True):
            files = adapter.paths[0] if adapter.paths else ""
            more = f" and {len(adapter.paths) - 1} more" if len(adapter.paths) > 1 else ""
            table.add_row(
                adapter.key[:_KEY],
                adapter.kind,
                str(adapter.steps),
                f"{span(now - adapter.used)} ago",
                Text("pinned", "cyan") if adapter.pinned else "",
                Text(f"{tail(home(adapter.workspace), 24)}: {tail(files, 24)}{more}"),
            )
        console.print(table)
    console.print(
        f"{len(state.adapters):,} of at most {state.limit_count:,} adapters, "
        f"{size(state.bytes)} of at most {size(state.limit_bytes)}",
        style="dim",
    )
