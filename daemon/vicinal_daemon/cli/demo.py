"""`vicinal demo`: the effect, over a handful of places that the seed chose."""

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import typer

_EXAMPLES = """
**Examples**

`vicinal demo` - five places of the installed package `rich`

`vicinal demo --package httpx --places 8 --seed 3`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", epilog=_EXAMPLES)(demo)


def demo(
    package: Annotated[str, typer.Option(help="An installed Python package, or a folder.")] = "rich",
    places: Annotated[int, typer.Option(min=1, max=200, help="How many places.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Chooses the places; nothing looks at the results.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hide a line of real code, let the model complete it before and after it has studied the repository."""
    from rich.console import Console

    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.show import show_trial, show_trials
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.complete import remember, tunable
    from vicinal_daemon.evaluate.trial import run_trial, trial_tasks
    from vicinal_daemon.stages import Stopwatch

    root = find_package(package)
    settings = load_settings(None, {"seed": seed})
    console = Console(highlight=False)
    trials = []
    with stages() as on_stage, open_workbench(root, settings, Stopwatch(), on_stage) as bench:
        engine = tunable(bench.engine)
        on_stage("memory", 0, 0)
        remembered = remember(bench.index, engine, settings)
        chosen = trial_tasks(bench.index, places, seed)
        for number, task in enumerate(chosen):
            on_stage("places", number, len(chosen))
            trial = run_trial(engine, bench.index, task, settings, on_stage, remembered)
            trials.append(trial)
            if not as_json:
                show_trial(console, trial, number + 1, len(chosen))
    if as_json:
        typer.echo(json.dumps([trial.to_json() for trial in trials], indent=2))
    else:
        show_trials(console, trials, str(root))


def find_package(name: str) -> Path:
    """The folder of an installed package, or a folder that is named.

    Raises:
        InputError: there is neither.
    """
    from vicinal_indexer.errors import InputError

    if Path(name).is_dir():
        return Path(name)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"no package {name!r} is installed beside vicinal, and it is no folder",
            hint="name an installed package (rich is always there) or a folder",
        )
    return Path(next(iter(spec.submodule_search_locations)))
