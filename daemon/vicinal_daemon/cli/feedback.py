"""`vicinal feedback show | erase`: what is noted of answers, and what became of them.

Owns these commands' arguments and what they print.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vicinal_daemon.cli.holdings import AsJson

if TYPE_CHECKING:
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.state import FeedbackState
    from vicinal_daemon.uncertainty.feedback import FeedbackStore

_EXAMPLES = """
**Examples**

`vicinal feedback show` - how many answers were accepted, by what they rested on

`vicinal feedback erase` - forget all of it

`VICINAL_FEEDBACK_ENABLED=false vicinal daemon restart` - note nothing any more
"""


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Show or erase what is noted of answers: numbers, no code. It stays on this machine.",
        epilog=_EXAMPLES,
        rich_markup_mode="markdown",
    )
    group.command("show", epilog="**Example**\n\n`vicinal feedback show --json`")(show)
    group.command("erase", epilog="**Example**\n\n`vicinal feedback erase --yes`")(erase)
    app.add_typer(group, name="feedback")


def show(as_json: AsJson = False) -> None:
    """Show how often answers were shown, accepted and rejected."""
    state = _state()
    if as_json:
        typer.echo(state.model_dump_json(indent=2))
    else:
        _show(state)


def erase(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget all answers and what became of them."""
    answers = _state().answers
    if not yes:
        typer.confirm(f"Forget {answers:,} answers and what became of them?", abort=True, err=True)
    _erase()
    typer.echo(json.dumps({"erased": answers}) if as_json else f"forgot {answers:,} answers")


def _state() -> "FeedbackState":
    from vicinal_daemon.cli.remote import reach

    settings = _settings()
    if client := reach(settings, "found"):
        with client:
            return client.feedback_state()
    from vicinal_daemon.uncertainty.tally import tally

    with _stored(settings) as store:
        return tally(store.told() if store is not None else (), settings.feedback)


def _erase() -> None:
    from vicinal_daemon.cli.remote import reach

    settings = _settings()
    if client := reach(settings, "found"):
        with client:
            client.erase_feedback()
        return
    with _stored(settings) as store:
        if store is not None:
            store.erase()


def _settings() -> "Settings":
    from vicinal_daemon.cli.indexes import load_settings

    return load_settings(None, {})


@contextmanager
def _stored(settings: "Settings") -> "Iterator[FeedbackStore | None]":
    """The file itself, where no daemon answers; None if nothing was ever noted. Any number of processes may use it."""
    from vicinal_daemon.uncertainty.feedback import FeedbackStore, feedback_file

    file = feedback_file(settings.index.data_dir)
    if not file.exists():
        yield None
        return
    store = FeedbackStore(file)
    try:
        yield store
    finally:
        store.close()


def _show(state: "FeedbackState") -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if state.kinds:
        table = Table("adaptation", "answers", "seen", "accepted", "", box=None, padding=(0, 2, 0, 0))
        for kind in state.kinds:
            share = f"{kind.acceptance:.0%}" if kind.acceptance is not None else ""
            table.add_row(kind.kind, f"{kind.answers:,}", f"{kind.judged:,}", f"{kind.accepted:,}", share)
        console.print(table)
    told = ", ".join(f"{count:,} {event}" for event, count in state.events.items()) or "nothing was told of them"
    console.print(f"{state.answers:,} answers: {told}", style="dim")
    if not state.enabled:
        console.print("feedback is off (feedback.enabled): nothing more is noted")
