"""`vicinal complete PATH:LINE[:COL]`: by the daemon, else in this process.

Owns the command's arguments. How an answer looks is `show`'s matter.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli import options
from vicinal_daemon.cli.remote import UseDaemon

if TYPE_CHECKING:
    from vicinal_daemon.client import Client
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol import Answer
    from vicinal_daemon.target import Location

BUDGET_MS = 3000
"""How long the daemon may take if nobody says; what does not fit is tuned behind the answer."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("complete", epilog=_EXAMPLES)(complete)


_EXAMPLES = """
**Examples**

`vicinal complete src/app.py:42` - complete line 42 anew; what stands there now is hidden from the model

`vicinal complete src/app.py:42:9 --explain` - from column 9 on, and say what it rests on

`vicinal complete app.py:7 --repo ~/code/shop --strategy nn --steps 4 --json`

`vicinal complete src/app.py:42 --daemon --budget-ms 300` - what fits is tuned now, the rest behind it
"""


def complete(
    place: options.Place,
    repo: options.Repo = None,
    strategy: options.Strategy = None,
    steps: options.Steps = None,
    picks: options.Picks = None,
    lines: options.Lines = None,
    model: options.ModelName = None,
    engine: options.Engine = None,
    device: options.Device = None,
    seed: options.Seed = None,
    budget_ms: Annotated[
        int | None,
        typer.Option(
            "--budget-ms",
            min=0,
            max=3_600_000,
            help=f"How long the daemon may take, in ms; 0: tune in full first. Default: {BUDGET_MS}.",
            show_default=False,
        ),
    ] = None,
    compare: Annotated[
        bool | None,
        typer.Option(
            "--compare/--no-compare",
            help="Show the base model's text beside it. Default: only without a daemon.",
            show_default=False,
        ),
    ] = None,
    use_daemon: UseDaemon = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the uncertainty curve, steps and guard.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print docs/answer.schema.json's shape.")] = False,
) -> None:
    """Complete a place in a file, after studying the code of the repository that tells most about it."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.remote import mode_of, reach
    from vicinal_daemon.target import find_repository, parse_location

    location = parse_location(place)
    root = repo if repo is not None else find_repository(location.path)
    flags = options.as_settings(
        strategy=strategy, steps=steps, picks=picks, lines=lines, model=model, engine=engine, device=device, seed=seed
    )
    settings = load_settings(root, flags)
    daemon = reach(settings, mode_of(use_daemon))
    if daemon is not None:
        budget = BUDGET_MS if budget_ms is None else budget_ms
        with daemon:
            answer = _by_daemon(daemon, root, location, settings, budget_ms=budget, compare=bool(compare))
    else:
        if budget_ms is not None:
            typer.echo("--budget-ms has no effect without a daemon: everything is tuned first", err=True)
        answer = _here(root, location, settings, compare=compare is not False)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        from vicinal_daemon.cli.show import show_answer

        show_answer(answer, explain=explain)


def _by_daemon(
    client: "Client", root: Path, location: "Location", settings: "Settings", *, budget_ms: int, compare: bool
) -> "Answer":
    import uuid

    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.remote import CLIENT, called_off, sent_settings, shown_by, well_formed
    from vicinal_daemon.protocol.requests import CompleteRequest
    from vicinal_daemon.target import locate_file

    with well_formed():
        request = CompleteRequest(
            id=uuid.uuid4().hex,
            workspace=str(root.resolve()),
            path=locate_file(root, location),
            line=location.line,
            column=location.column or 1,
            lines=settings.generate.lines,
            replace_lines=settings.generate.lines,
            budget_ms=budget_ms or None,
            compare=compare,
            wait_for_index=True,
            settings=sent_settings(settings),
            client=CLIENT,
        )
    with called_off(client, request), stages() as on_stage:
        return client.complete(request, shown_by(on_stage))


def _here(root: Path, location: "Location", settings: "Settings", *, compare: bool) -> "Answer":
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.complete import complete as run
    from vicinal_daemon.stages import Stopwatch
    from vicinal_daemon.target import read_target
    from vicinal_daemon.uncertainty.beliefs import belief_about

    belief = belief_about(str(root.resolve()), settings.index.data_dir)
    target = read_target(root, location, settings.generate.lines)
    watch = Stopwatch()
    with stages() as on_stage, open_workbench(root, settings, watch, on_stage) as bench:
        return run(
            target,
            bench.index,
            bench.engine,
            settings,
            repository=str(root.resolve()),
            skipped_files=len(bench.sync.skipped),
            watch=watch,
            on_stage=on_stage,
            compare=compare,
            belief=belief,
        )
