"""`vicinal confidence`: what the number beside an answer rests on, and what a threshold on it does.

Owns the command's arguments and the tables. How it is fitted is `uncertainty.fitting`'s matter.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vicinal_daemon.uncertainty.calibration import DataSheet
    from vicinal_daemon.uncertainty.recalibration import Recalibration
    from vicinal_daemon.uncertainty.scoring import Hiding

_EXAMPLES = """
**Examples**

`vicinal confidence` - what "80 % sure" rests on, and how often such answers were right

`vicinal confidence --hide-wrong 0.5` - the number below which half of the wrong answers lie: for the editor's
`minConfidence`

`vicinal confidence --repo ~/code/shop --json`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("confidence", epilog=_EXAMPLES)(confidence)


def confidence(
    hide_wrong: Annotated[
        float | None,
        typer.Option("--hide-wrong", min=0.01, max=0.99, help="Print what hides this share of the wrong answers."),
    ] = None,
    repo: Annotated[Path | None, typer.Option("--repo", help="Whose feedback counts; default: where you are.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the confidence of answers means: what it was fitted on, how well it keeps its word, what thresholds do.

    All numbers are of repositories that the calibration had not seen.
    """
    from rich.console import Console

    from vicinal_daemon.cli.indexes import load_settings, repository_or_here
    from vicinal_daemon.uncertainty.beliefs import belief_about
    from vicinal_daemon.uncertainty.calibration import load

    root = repository_or_here(repo)
    settings = load_settings(root, {})
    sheet = load(settings.index.data_dir).sheet
    local = belief_about(str(root.resolve()), settings.index.data_dir).local
    chosen = sheet.to_hide(hide_wrong) if hide_wrong is not None else None
    if as_json:
        held = {"sheet": asdict(sheet), "local": asdict(local), "hide": asdict(chosen) if chosen else None}
        typer.echo(json.dumps(held, indent=2))
        return
    console = Console(highlight=False, soft_wrap=True)
    if chosen is not None:
        console.print(_in_words(chosen))
        return
    _show(console, sheet, local)


def _in_words(hiding: "Hiding") -> str:
    return (
        f"minConfidence {hiding.threshold:.2f} hides {hiding.wrong_hidden:.0%} of the wrong answers "
        f"and {hiding.right_hidden:.0%} of the right ones"
    )


def _show(console: "Console", sheet: "DataSheet", local: "Recalibration") -> None:
    share = sum(source.right for source in sheet.sources) / sheet.answers
    where = ", ".join(f"{source.repository} ({source.language})" for source in sheet.sources)
    console.print(
        f"The confidence is the probability that the text shown is exactly right.\n"
        f"Fitted {sheet.fitted} on {sheet.answers:,} answers of {sheet.model}, {share:.0%} of them right, in {where}."
    )
    for name, said in _MEASURES.items():
        if (found := sheet.measures.get(name)) is not None:
            interval = f"95 % within {found.low:.3f} to {found.high:.3f}"
            console.print(f"  {said}: [bold]{found.value:.3f}[/]  [dim]{interval}[/]")
    console.print(_reliability(sheet))
    console.print(_thresholds(sheet))
    if local.observations:
        formula = f"logit p' = {local.offset:+.2f} {local.slope:+.2f} logit p"
        console.print(f"Here, {local.observations} judgements correct it: {formula}")
    else:
        console.print("[dim]No feedback here yet corrects it.[/]")


_MEASURES = {
    "auroc": "a right answer is surer than a wrong one (AUROC)",
    "brier_skill": "better than always saying the average (Brier skill)",
    "calibration_error": "claims are off by (calibration error)",
}


def _reliability(sheet: "DataSheet") -> "RenderableType":
    from rich.table import Table

    table = Table(title="how often it was right", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("said", "were right", "answers"):
        table.add_column(heading, justify="right")
    for part in sheet.reliability:
        table.add_row(f"{part.claimed:.0%}", f"{part.right:.0%}", str(part.count))
    return table


def _thresholds(sheet: "DataSheet") -> "RenderableType":
    from rich.table import Table

    table = Table(title="what minConfidence does", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for heading in ("minConfidence", "wrong ones hidden", "right ones hidden"):
        table.add_column(heading, justify="right")
    for one in sheet.hiding:
        table.add_row(f"{one.threshold:.2f}", f"{one.wrong_hidden:.0%}", f"{one.right_hidden:.0%}")
    return table
