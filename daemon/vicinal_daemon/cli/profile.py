"""`vicinal profile PATH:LINE[:COL]`: where the time of a request goes.

Owns the command's arguments, and how a profile looks in a terminal and as JSON. What is measured is `profile`'s matter.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli import options

if TYPE_CHECKING:
    from rich.table import Table

    from vicinal_daemon.config import Settings
    from vicinal_daemon.profile.report import Row, Step
    from vicinal_daemon.profile.run import Measured
    from vicinal_daemon.target import Location

_EXAMPLES = """
**Examples**

`vicinal profile src/app.py:42` - a first request and three more, as a table and bars

`vicinal profile src/app.py:42 --repeat 0 --steps 2` - only a first request, with two training steps

`vicinal profile src/app.py:42 --png profile.png --set prompt.context_tokens=512`

`vicinal profile src/app.py:42 --json | jq '.parts | max_by(.later) | .key'` - the longest part
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("profile", epilog=_EXAMPLES)(profile)


def profile(
    place: options.Place,
    repo: options.Repo = None,
    repeat: Annotated[
        int, typer.Option(min=0, max=1000, help="Requests behind the first one; their median is shown.")
    ] = 3,
    png: Annotated[Path | None, typer.Option("--png", help="Draw it here (needs vicinal[pictures]).")] = None,
    strategy: options.Strategy = None,
    steps: options.Steps = None,
    picks: options.Picks = None,
    lines: options.Lines = None,
    model: options.ModelName = None,
    device: options.Device = None,
    seed: options.Seed = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Answer a request several times in this process, and show where its time goes against the least it could take.

    The least is arithmetic over the rate of matrix products, or bytes over the rate at which memory is read, whichever
    is more; both rates are measured here, at the end. Close what else computes on this machine: it is timed, too.
    """
    from vicinal_daemon.cli.indexes import assigned, load_settings
    from vicinal_daemon.target import find_repository, parse_location

    location = parse_location(place)
    root = repo if repo is not None else find_repository(location.path)
    flags = options.as_settings(
        strategy=strategy, steps=steps, picks=picks, lines=lines, model=model, device=device, seed=seed
    )
    named = {key: value for key, value in flags.items() if value is not None}
    settings = load_settings(root, {**assigned(more or []), **named})
    if png is not None:
        _check(png)
    measured, ready = _measured(root, location, settings, repeat)
    _show(measured, ready, png, as_json=as_json)


def _check(png: Path) -> None:
    """Say so before a minute of work, not after."""
    from vicinal_daemon.extras import require_matplotlib
    from vicinal_indexer.errors import InputError

    require_matplotlib()
    if png.is_dir():
        raise InputError(f"{png} is a folder", hint="name a file in it")
    if not png.absolute().parent.is_dir():
        raise InputError(f"there is no folder {png.parent}", hint="make it first, or name another file")


def _measured(
    root: Path, location: "Location", settings: "Settings", repeat: int
) -> tuple["Measured", dict[str, float]]:
    """The profile, and the seconds that it took to be ready: index and model."""
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.generate.transformers_engine import TransformersEngine
    from vicinal_daemon.profile.run import Request, profile
    from vicinal_daemon.stages import Stopwatch
    from vicinal_daemon.target import read_target
    from vicinal_daemon.uncertainty.beliefs import belief_about

    belief = belief_about(str(root.resolve()), settings.index.data_dir)
    target = read_target(root, location, settings.generate.lines)
    watch = Stopwatch()
    with stages() as on_stage, open_workbench(root, settings, watch, on_stage) as bench:
        if not isinstance(bench.engine, TransformersEngine):
            from vicinal_daemon.errors import ModelUnusable

            raise ModelUnusable(
                "only the transformers engine can be looked into", hint="use --set model.engine=transformers"
            )
        request = Request(
            target,
            bench.index,
            bench.engine,
            settings,
            repository=str(root.resolve()),
            skipped_files=len(bench.sync.skipped),
            belief=belief,
        )
        return profile(request, repeat, on_stage), dict(watch.seconds)


def _show(measured: "Measured", ready: dict[str, float], png: Path | None, *, as_json: bool) -> None:
    from rich.markup import escape

    from vicinal_daemon.cli.holdings import out
    from vicinal_daemon.profile.chart import bars
    from vicinal_daemon.profile.report import notes_of, rows_of, steps_of

    rows = rows_of(measured.first, measured.later, measured.heard, measured.rates)
    steps = steps_of(measured.later or (measured.first,))
    notes = notes_of(rows)
    answer = measured.answer
    if png is not None:
        from vicinal_daemon.profile.picture import save

        save(rows, steps, f"{answer.path}:{answer.line}, {answer.model} on {answer.device}", png)
    if as_json:
        typer.echo(json.dumps(_as_json(measured, ready, rows, steps, notes), indent=2))
        return
    console = out()
    rates = measured.rates
    later = f"{len(measured.later)} more" if measured.later else "no more"
    console.print(
        f"[bold]{escape(answer.path)}:{answer.line}[/], {escape(answer.model)} on {answer.device}, "
        f"{measured.threads} threads, {measured.cores:.2f} cores had: a first request and {later}"
    )
    console.print(
        f"this machine: {rates.flops / 1e9:.3g} GFLOP/s in {rates.numbers} products of the model's shapes, "
        f"{rates.bandwidth / 1e9:.3g} GB/s read from memory"
    )
    if not measured.counted:
        console.print("what this model's architecture computes is not counted, so it has no floors")
    console.print(f"before the first request: index {ready['index']:.3g} s, model {ready['load']:.3g} s\n")
    console.print(_table(rows))
    if steps:
        console.print()
        console.print(_step_table(steps))
    console.print(f"\n{escape(bars(rows))}\n")
    for note in notes:
        console.print(escape(note))
    if png is not None:
        console.print(f"wrote {escape(str(png))}")


def _table(rows: "list[Row]") -> "Table":
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    table.add_column("part")
    for name in ("first s", "later s", "share", "times", "floor s", "ratio"):
        table.add_column(name, justify="right")
    shown = ""
    for row in rows:
        table.add_row(
            row.stage if row.stage != shown else "",
            row.label,
            f"{row.first:.3f}",
            f"{row.later:.3f}",
            f"{row.share:.0%}",
            f"{row.times:g}",
            "" if row.floor is None else f"{row.floor:.3f}",
            "" if row.ratio is None else f"{row.ratio:.1f}",
        )
        shown = row.stage
    sums = [sum(row.first for row in rows), sum(row.later for row in rows)]
    known = sum(row.floor for row in rows if row.floor is not None)
    table.add_row("[bold]all[/]", "", *(f"[bold]{value:.3f}[/]" for value in sums), "", "", f"{known:.3f}", "")
    return table


def _step_table(steps: "list[Step]") -> "Table":
    from rich.table import Table

    names = ("trunk", "forward", "backward", "optimiser", "guard", "attach", "rest")
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("step, later ms", justify="right")
    for name in (*names, "all"):
        table.add_column(name, justify="right")
    for step in steps:
        values = [*(seconds for _, seconds in step.seconds), step.total]
        table.add_row(str(step.number), *(f"{1000 * value:,.0f}" for value in values))
    return table


def _as_json(
    measured: "Measured", ready: dict[str, float], rows: "list[Row]", steps: "list[Step]", notes: list[str]
) -> dict[str, object]:
    from vicinal_daemon.profile.report import rates_as_json, row_as_json

    answer = measured.answer
    return {
        "repository": answer.repository,
        "path": answer.path,
        "line": answer.line,
        "column": answer.column,
        "model": answer.model,
        "device": answer.device,
        "threads": measured.threads,
        "cores": measured.cores,
        "machine": rates_as_json(measured.rates),
        "ready": ready,
        "requests": {
            "first": measured.first.seconds,
            "later": [trace.seconds for trace in measured.later],
        },
        "parts": [row_as_json(row) for row in rows],
        "steps": [{"step": step.number, **dict(step.seconds)} for step in steps],
        "notes": notes,
    }
