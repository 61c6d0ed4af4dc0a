"""`vicinal map [REPO]`: a picture of where the model knows the repository.

Owns the command's arguments, where files are written, and what is told. What is measured and how it is drawn is
`map`'s matter.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli.holdings import AsJson, Repo

if TYPE_CHECKING:
    from vicinal_daemon.config import Settings
    from vicinal_daemon.map.survey import Measure, Survey
    from vicinal_daemon.stages import OnStage
    from vicinal_indexer.index import RepositoryIndex

_EXAMPLES = """
**Examples**

`vicinal map --open` - the repository you stand in, in your browser

`vicinal map ~/code/shop --html shop.html --png shop.png`

`vicinal map --bits --count 60` - also let the model read sixty places: a second or more each without a GPU

`vicinal map --json | jq '.files | sort_by(-.irreducible) | .[:5] | .[].path'` - the files it knows least
"""
LEAST_KNOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("map", epilog=_EXAMPLES)(map_)


def map_(
    repo: Repo = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write the page here. Default: beside the indexes, never into the repository."),
    ] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write a picture here (needs vicinal[pictures]).")] = None,
    measure: Annotated[
        str | None, typer.Option(help="Colour by irreducible, coverage or bits; the page can switch.")
    ] = None,
    places: Annotated[int, typer.Option(min=1, max=100_000, help="Most places measured in all.")] = 400,
    bits: Annotated[bool, typer.Option("--bits", help="Let the language model read, too; slow.")] = False,
    count: Annotated[int, typer.Option(min=1, max=100_000, help="Most places that the model reads.")] = 40,
    everything: Annotated[bool, typer.Option("--all", help="Draw prose and data, too, not only code.")] = False,
    model: Annotated[
        str | None, typer.Option(help="For --bits: a known name, a hub id, a folder or GGUF file.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="For --bits: auto, cuda, mps or cpu.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Chooses the places; nothing looks at the results.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in your browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw where the model knows a repository: a treemap of its files, coloured by what is known of them."""
    from vicinal_daemon.cli.indexes import load_settings, open_index, repository_or_here, shown_by
    from vicinal_daemon.cli.progress import stages

    root = repository_or_here(repo)
    settings = load_settings(root, {"seed": seed, "model.name": model, "model.device": device})
    colours = _measure(measure, bits=bits)
    for path in filter(None, (html, png)):
        _check_folder(path)
    with stages() as on_stage, open_index(root, settings) as index:
        index.sync(shown_by(on_stage))
        found = _survey(index, settings, places, count if bits else 0, on_stage, everything=everything)
        page = html
        if html is None and (open_ or not (png or as_json)):
            page = settings.index.data_dir / "maps" / f"{index.folder.name}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
    if png is not None:
        from vicinal_daemon.map.picture import png as drawn

        _write(png, drawn(found, colours))
    if page is not None:
        from vicinal_daemon.map.page import page as written

        _write(page, written(found, colours).encode())
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
    else:
        _tell(found, colours, [path for path in (page, png) if path])
    if open_ and page is not None:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _measure(wanted: str | None, *, bits: bool) -> "Measure":
    from vicinal_indexer.errors import InputError

    if wanted == "bits" and not bits:
        raise InputError("bits are only measured with --bits", hint="vicinal map --bits --measure bits")
    known: dict[str | None, Measure] = {"irreducible": "irreducible", "coverage": "coverage", "bits": "bits"}
    known[None] = "bits" if bits else "irreducible"
    if wanted not in known:
        raise InputError(f"there is no measure {wanted}", hint="use irreducible, coverage or bits")
    return known[wanted]


def _survey(
    index: "RepositoryIndex", settings: "Settings", places: int, count: int, on_stage: "OnStage", *, everything: bool
) -> "Survey":
    from vicinal_daemon.map.measure import is_code, plan, survey, with_bits
    from vicinal_indexer.errors import InputError

    texts = dict(index.texts())
    planned = plan(texts, places, settings.seed, (lambda path, text: True) if everything else is_code)
    if not planned.texts:
        raise InputError(
            f"there is nothing to draw in {index.root}",
            hint="prose and data are drawn with --all; `vicinal status --skipped` lists what is not indexed, and why"
            if texts
            else "is this the right folder? `vicinal status --skipped` lists what was left out, and why",
        )
    engine = None
    if count:
        from vicinal_daemon.cli.workbench import open_engine
        from vicinal_daemon.complete import tunable
        from vicinal_daemon.models import resolve

        files = resolve(settings.model.name, settings.model.cache_dir)
        on_stage("load", 0, 0)
        engine = tunable(open_engine(files, settings))
    found = survey(index, planned, settings, lambda done, total: on_stage("map", done, total))
    if engine is None:
        return found
    return with_bits(found, texts, index, engine, settings, count, lambda done, total: on_stage("bits", done, total))


def _check_folder(path: Path) -> None:
    """Say so before minutes of work, not after."""
    from vicinal_indexer.errors import InputError

    if path.is_dir():
        raise InputError(f"{path} is a folder", hint="name a file in it")
    if not path.absolute().parent.is_dir():
        raise InputError(f"there is no folder {path.parent}", hint="make it first, or name another file")


def _write(path: Path, data: bytes) -> None:
    from vicinal_indexer.errors import InputError

    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="name another file") from error


def _tell(found: "Survey", colours: "Measure", written: list[Path]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from vicinal_daemon.cli.holdings import out
    from vicinal_daemon.map.page import printable
    from vicinal_daemon.map.scale import WORDING
    from vicinal_daemon.map.survey import overall

    console = out()
    wording = WORDING[colours]
    mean = overall(found.files, colours)
    told = "not measured" if mean is None else f"{mean:.2f} (mean over files, by lines)"
    console.print(f"{len(found.files):,} files, {found.lines:,} lines, {found.places:,} places measured")
    console.print(f"{wording.name.lower()}: [bold]{told}[/]")
    measured = [(value, file) for file in found.files if (value := file.value(colours)) is not None]
    sign = -1 if wording.unknown > wording.known else 1
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("known least")
    table.add_column("lines", justify="right")
    table.add_column(wording.name.lower(), justify="right")
    for value, file in sorted(measured, key=lambda pair: (sign * pair[0], pair[1].path))[:LEAST_KNOWN]:
        table.add_row(escape(printable(file.path)), f"{file.lines:,}", f"{value:.2f}")
    console.print(table)
    for path in written:
        console.print(f"wrote {escape(str(path))}")
