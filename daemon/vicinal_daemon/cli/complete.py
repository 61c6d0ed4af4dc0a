"""`vicinal complete PATH:LINE[:COL]`."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("complete", epilog=_EXAMPLES)(complete)


_EXAMPLES = """
**Examples**

`vicinal complete src/app.py:42` - complete line 42 anew; what stands there now is hidden from the model

`vicinal complete src/app.py:42:9 --explain` - from column 9 on, and say what it rests on

`vicinal complete app.py:7 --repo ~/code/shop --strategy nn --steps 4 --json`
"""


def complete(
    place: Annotated[str, typer.Argument(metavar="PATH:LINE[:COL]", help="Where the cursor stands, from 1.")],
    repo: Annotated[Path | None, typer.Option("--repo", help="The repository; default: the one around PATH.")] = None,
    strategy: Annotated[str | None, typer.Option(help="How code is chosen: sift, nn or none.")] = None,
    steps: Annotated[int | None, typer.Option(help="Most training steps; 0 leaves the weights alone.")] = None,
    picks: Annotated[int | None, typer.Option(help="Picks shown in the prompt; 0 shows none.")] = None,
    lines: Annotated[int | None, typer.Option(help="Lines to complete.")] = None,
    model: Annotated[str | None, typer.Option(help="A known name, a hub id, a folder or a GGUF file.")] = None,
    engine: Annotated[str | None, typer.Option(help="transformers, or llama (needs vicinal[llama]).")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cuda, mps or cpu.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same inputs, same seed, same answer.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the uncertainty curve, steps and guard.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print docs/answer.schema.json's shape.")] = False,
) -> None:
    """Complete a place in a file, after studying the code of the repository that tells most about it."""
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.progress import stages
    from vicinal_daemon.cli.show import show_answer
    from vicinal_daemon.cli.workbench import open_workbench
    from vicinal_daemon.complete import complete as run
    from vicinal_daemon.stages import Stopwatch
    from vicinal_daemon.target import find_repository, parse_location, read_target

    location = parse_location(place)
    root = repo if repo is not None else find_repository(location.path)
    flags = {
        "select.strategy": strategy,
        "tune.steps": steps,
        "prompt.picks": picks,
        "generate.lines": lines,
        "model.name": model,
        "model.engine": engine,
        "model.device": device,
        "seed": seed,
    }
    settings = load_settings(root, flags)
    target = read_target(root, location, settings.generate.lines)
    watch = Stopwatch()
    with stages() as on_stage, open_workbench(root, settings, watch, on_stage) as bench:
        answer = run(
            target,
            bench.index,
            bench.engine,
            settings,
            repository=str(root.resolve()),
            skipped_files=len(bench.sync.skipped),
            watch=watch,
            on_stage=on_stage,
        )
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        show_answer(answer, explain=explain)
