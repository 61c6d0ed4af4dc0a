"""`vicinal eval`: does it help on your repository, and does it know?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vicinal_daemon.config import Settings
    from vicinal_daemon.evaluate.record import Header, Record

_EXAMPLES = """
**Examples**

`vicinal eval` - thirty lines of the repository you stand in, the quick modes

`vicinal eval ../app --tasks line,api,commit --count 100 --modes prompt,tuning --out app.jsonl`

`vicinal eval --modes in-file,prompt:bm25,tune:sift+prompt:sift --set tune.steps=4 --json`

`vicinal eval --report-only app.jsonl other.jsonl --report table.md --plots plots`

`vicinal eval --tune` - pick settings for this repository and machine
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval", epilog=_EXAMPLES)(evaluate)


def evaluate(
    repo: Annotated[Path | None, typer.Argument(help="The repository; default: the one you stand in.")] = None,
    tasks: Annotated[
        str, typer.Option(help="Kinds: line, api (calls something of the repository), commit (what somebody added).")
    ] = "line,api",
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Tasks in all, as many of each kind.")] = 30,
    lines: Annotated[int, typer.Option(min=1, max=3, help="Lines that a task hides.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the tasks; nothing looks at the results.")] = 0,
    modes: Annotated[
        str, typer.Option(help="Groups (quick, prompt, tuning, warmed, planted, all) and modes, with commas.")
    ] = "quick",
    curve: Annotated[bool, typer.Option("--curve", help="Also measure after 1, 2, 4 ... steps.")] = False,
    scales: Annotated[
        str, typer.Option(help="What else than all of an adapter the guard may keep; '' for all or nothing.")
    ] = "0.5",
    out: Annotated[Path | None, typer.Option(help="The file of records; run it again to go on.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the tables here, as Markdown.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write PNGs into this folder, and draw in the terminal.")] = None,
    report_only: Annotated[
        list[Path] | None, typer.Option("--report-only", help="Measure nothing; show these files. May be repeated.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hide lines of a repository, let each mode predict them, and compare: exact match, bits per byte, seconds.

    Everything stays on this machine. What was measured is kept line by line in `--out`; after Ctrl-C the same command
    goes on. `--report-only` puts several repositories' files into one table.
    """
    from vicinal_daemon.cli.indexes import load_settings, repository_or_here
    from vicinal_daemon.evaluate.record import read_all

    if plots is not None:
        from vicinal_daemon.evaluate import plots as drawing

        drawing.require()
    if report_only:
        headers, records = read_all([Path(path) for path in (*report_only, *([repo] if repo else []))])
    else:
        root = repository_or_here(repo)
        settings = load_settings(root, {**_assigned(more or []), "seed": seed})
        headers, records = _measured(
            root, settings, tasks=tasks, count=count, lines=lines, modes=modes, curve=curve, scales=scales, out=out
        )
    _show(headers, records, report, plots, as_json=as_json)


def _measured(
    root: Path,
    settings: "Settings",
    *,
    tasks: str,
    count: int,
    lines: int,
    modes: str,
    curve: bool,
    scales: str,
    out: Path | None,
) -> tuple[list["Header"], list["Record"]]:
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.complete import tunable
    from vicinal_daemon.evaluate.measure import CURVE_STEPS, Extent
    from vicinal_daemon.evaluate.modes import parse_modes
    from vicinal_daemon.evaluate.run import Order, parse_kinds, parse_scales, run
    from vicinal_daemon.stages import Stopwatch

    order = Order(parse_kinds(tasks), count, lines, parse_modes(modes), out)
    extent = Extent(parse_scales(scales), CURVE_STEPS if curve else ())
    try:
        with stages() as on_stage, open_workbench(root, settings, Stopwatch(), on_stage) as bench:
            header, records = run(root, tunable(bench.engine), bench.index, settings, order, extent, on_stage)
    except KeyboardInterrupt:
        if out is not None and out.exists():
            typer.echo(f"{out} holds what was measured; run the same command again to go on.", err=True)
        raise
    return [header], records


def _show(
    headers: Sequence["Header"], records: Sequence["Record"], report: Path | None, plots: Path | None, *, as_json: bool
) -> None:
    from dataclasses import asdict

    from vicinal_daemon.evaluate.report import markdown, summary

    text = markdown(headers, records)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(text, encoding="utf-8")
    if as_json:
        typer.echo(json.dumps({"headers": [asdict(header) for header in headers], **summary(records)}, indent=2))
    else:
        typer.echo(text)
    if plots is not None:
        from vicinal_daemon.evaluate import plots as drawing
        from vicinal_daemon.evaluate.figures import all_figures, main_modes
        from vicinal_daemon.evaluate.sketch import sketch

        drawn = [main_modes(figure) if figure.name != "compute" else figure for figure in all_figures(records)]
        drawing.save(drawn, plots)
        if not as_json:
            for figure in drawn:
                typer.echo(f"{sketch(figure)}\n")


def _assigned(pairs: Sequence[str]) -> dict[str, object]:
    """`KEY=VALUE` as flags."""
    from vicinal_indexer.errors import InputError

    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set {pair}: it has no value", hint="write --set KEY=VALUE, e.g. --set tune.steps=4")
    return dict(pair.split("=", 1) for pair in pairs)
