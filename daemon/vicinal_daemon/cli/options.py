"""Options that several commands have: how an answer is made.

Owns their names, their help and the settings that they stand for.
"""

from pathlib import Path
from typing import Annotated

import typer

Place = Annotated[str, typer.Argument(metavar="PATH:LINE[:COL]", help="Where the cursor stands, from 1.")]
Repo = Annotated[Path | None, typer.Option("--repo", help="The repository; default: the one around PATH.")]
Strategy = Annotated[str | None, typer.Option(help="How code is chosen: sift, nn, mmr, uncertainty, random or none.")]
Steps = Annotated[int | None, typer.Option(help="Most training steps; 0 leaves the weights alone.")]
Picks = Annotated[int | None, typer.Option(help="Picks shown in the prompt; 0 shows none.")]
Lines = Annotated[int | None, typer.Option(help="Lines to complete.")]
ModelName = Annotated[str | None, typer.Option(help="A known name, a hub id, a folder or a GGUF file.")]
Engine = Annotated[str | None, typer.Option(help="transformers, or llama (needs vicinal[llama]).")]
Device = Annotated[str | None, typer.Option(help="auto, cuda, mps or cpu.")]
Seed = Annotated[int | None, typer.Option(help="Same inputs, same seed, same answer.")]

_SETTINGS = {
    "strategy": "select.strategy",
    "steps": "tune.steps",
    "picks": "prompt.picks",
    "lines": "generate.lines",
    "model": "model.name",
    "engine": "model.engine",
    "device": "model.device",
    "seed": "seed",
}


def as_settings(**options: str | int | None) -> dict[str, object]:
    """Settings by their keys, from options by their names; one that was not given is None."""
    return {_SETTINGS[name]: value for name, value in options.items()}
