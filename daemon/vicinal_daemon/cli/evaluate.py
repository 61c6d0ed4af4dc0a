"""`vicinal eval`: does it help on your repository, and does it know?"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vicinal_daemon.config import Settings
    from vicinal_daemon.config.repo_file import Value
    from vicinal_daemon.evaluate.halving import Verdict
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
    where: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="REPO",
            help="The repository; default: the one you stand in. With --report-only: files of records.",
        ),
    ] = None,
    tasks: Annotated[
        str, typer.Option(help="Kinds: line, api (calls something of the repository), commit (what somebody added).")
    ] = "line,api",
    count: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="Tasks in all, as many of each kind; default 30, with --tune 8."),
    ] = None,
    lines: Annotated[int, typer.Option(min=1, max=3, help="Lines that a task hides.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the tasks; nothing looks at the results.")] = 0,
    modes: Annotated[
        str,
        typer.Option(help="Groups (quick, prompt, tuning, warmed, duplicates, recalled, all) and modes, with commas."),
    ] = "quick",
    curve: Annotated[bool, typer.Option("--curve", help="Also measure after 1, 2, 4 ... steps.")] = False,
    scales: Annotated[
        str, typer.Option(help="What else than all of an adapter the guard may keep; '' for all or nothing.")
    ] = "0.5",
    out: Annotated[Path | None, typer.Option(help="The file of records; run it again to go on.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the tables here, as Markdown.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write PNGs into this folder, and draw in the terminal.")] = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Measure nothing; show the files named.")] = False,
    more: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting for this run.")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Let settings race on a few tasks; write the best after asking.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.01, help="With --tune: what a completion may take; default: 1.25 times now.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --tune: write without asking.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hide lines of a repository, let each mode predict them, and compare: exact match, bits per byte, seconds.

    Everything stays on this machine. What was measured is kept line by line in `--out`; after Ctrl-C the same command
    goes on. `--report-only` puts several repositories' files into one table.
    """
    from vicinal_daemon.cli.indexes import assigned, load_settings
    from vicinal_daemon.evaluate.record import read_all

    root = _repository(where or [], report_only=report_only)
    if tune:
        settings = load_settings(root, {**assigned(more or []), "seed": seed})
        _tune(root, settings, count or 8, seconds, yes=yes, as_json=as_json)
        return
    if plots is not None:
        from vicinal_daemon.extras import require_matplotlib

        require_matplotlib()
    if report_only:
        headers, records = read_all(where or [])
    else:
        settings = load_settings(root, {**assigned(more or []), "seed": seed})
        headers, records = _measured(
            root,
            settings,
            tasks=tasks,
            count=count or 30,
            lines=lines,
            modes=modes,
            curve=curve,
            scales=scales,
            out=out,
        )
    _show(headers, records, report, plots, as_json=as_json)


def _repository(where: Sequence[Path], *, report_only: bool) -> Path:
    """The one repository; what stands there are files if only a report is wanted."""
    from vicinal_daemon.cli.indexes import repository_or_here
    from vicinal_indexer.errors import InputError

    if report_only and not where:
        raise InputError("--report-only needs files", hint="name files that --out made")
    if not report_only and len(where) > 1:
        raise InputError("one repository is measured at a time", hint="combine their files with --report-only")
    return repository_or_here(where[0] if where and not report_only else None)


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
        kept = f"{out} holds what was measured; run the same command again to go on."
        typer.echo(kept if out else "Nothing was kept; with --out FILE a run can go on.", err=True)
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


def _tune(root: Path, settings: "Settings", count: int, seconds: float | None, *, yes: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.complete import tunable
    from vicinal_daemon.config import REPO_FILE
    from vicinal_daemon.config.repo_file import with_values
    from vicinal_daemon.evaluate.settle import as_settings, settle
    from vicinal_daemon.stages import Stopwatch
    from vicinal_indexer.atomic import replace_text

    with stages() as on_stage, open_workbench(root, settings, Stopwatch(), on_stage) as bench:
        verdict = settle(tunable(bench.engine), bench.index, settings, count, seconds, on_stage)
    changes, file = as_settings(verdict.changes), root / REPO_FILE
    before = file.read_text(encoding="utf-8-sig") if file.exists() else ""
    after = with_values(before, changes)
    write = bool(changes) and (yes or (not as_json and _agreed(verdict, changes, file)))
    if write:
        replace_text(file, after)
    if as_json:
        told = {"changes": changes, "file": str(file), "written": write, "gain": asdict(verdict.gain)}
        race = [
            {"settings": as_settings(dict(r.values)), "tasks": len(r.outcomes), "bits": r.bits, "seconds": r.seconds}
            for r in verdict.runners
        ]
        typer.echo(json.dumps({**told, "limit_seconds": verdict.limit, "race": race}, indent=2))
    elif not changes:
        typer.echo(f"Nothing was better than the settings of now: {verdict.now.bits:.3f} bits per byte.")
    else:
        typer.echo(f"{file} is written." if write else "Nothing is written.")


def _agreed(verdict: "Verdict", changes: "Mapping[str, Value]", file: Path) -> bool:
    from rich.console import Console
    from rich.table import Table

    table = Table("settings", "tasks", "bits/byte", "seconds", box=None, padding=(0, 2, 0, 0))
    for runner in sorted(verdict.runners, key=lambda runner: (-len(runner.outcomes), runner.bits)):
        words = ", ".join(f"{key} {value:g}" for key, value in runner.values)
        mark = "now: " if runner is verdict.now else ""
        table.add_row(mark + words, str(len(runner.outcomes)), f"{runner.bits:.3f}", f"{runner.seconds:.1f}")
    console = Console(stderr=True, highlight=False)
    console.print(table)
    gain = verdict.gain
    console.print(
        f"\nbest against now: {gain.value:+.3f} bits per byte, 95 % between {gain.low:+.3f} and {gain.high:+.3f}"
        f"{'' if gain.is_clear_of_zero else ' (few tasks: it may be chance; --count 30 tells more)'}"
    )
    console.print(f"This would be written to {file}:")
    for key, value in changes.items():
        console.print(f"  {key} = {value}")
    return typer.confirm("Write it?", default=False, err=True)
