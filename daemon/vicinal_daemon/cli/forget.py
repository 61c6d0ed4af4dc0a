"""`vicinal forget`: what was indexed of files, and learned from them, goes; and it is proven that it went.

Owns this command's arguments, what it prints, and who does the work: the daemon, or this process in its place.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from vicinal_daemon.cli.holdings import AsJson

if TYPE_CHECKING:
    from vicinal_daemon.client import Client
    from vicinal_daemon.config import Settings
    from vicinal_daemon.forget import Wanted
    from vicinal_daemon.protocol.state import ForgottenState
    from vicinal_daemon.stages import OnStage
    from vicinal_indexer.traces import Traces

EVERYTHING: Final = "all"
_EXAMPLES = """
**Examples**

`vicinal forget src/keys.py` - one file; a line in .vicinalignore keeps it out from now on

`vicinal forget vendor/acme --yes --json` - a folder with all that is in it, without a question

`vicinal forget all` - everything of the repository you stand in, as if it had never been indexed

`vicinal forget all --repo ~/code/gone` - also of one that is not there any more
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forget", epilog=_EXAMPLES)(forget)


def forget(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...|all", help="Files and folders of one repository; `all` is all of it."),
    ],
    repo: Annotated[
        Path | None, typer.Option("--repo", help="The repository; default: the one around the first path.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget files: their code in the index, what was learned from it, what was noted of answers that used it.

    Then every byte of the data folder is searched for the lines that only these files have. What lies outside of it, in
    records of `vicinal eval` or pages of `vicinal map`, stays. A file named `all` is `./all`.
    """
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.cli.progress import stages
    from vicinal_indexer.exclude import exclude
    from vicinal_indexer.traces import search

    wanted = _wanted(paths, repo)
    settings = load_settings(wanted.root if wanted.root.is_dir() else None, {})
    with _done_by(settings) as daemon:
        with stages() as on_stage:
            on_stage("search", 0, 0)
            lines = _telling(wanted, settings)
            studied = _studied(daemon, wanted) if daemon is not None else 0
        if not yes:
            typer.confirm(_question(wanted), abort=True, err=True)
        added = exclude(wanted.root, wanted.paths) if wanted.paths is not None else ()
        with stages() as on_stage:
            on_stage("forget", 0, 0)
            gone = _by_daemon(daemon, wanted) if daemon is not None else _here(wanted, settings, on_stage)
            # Those that a daemon let go as soon as the line stood in the ignore file count, too.
            gone = gone.model_copy(update={"adapters": max(gone.adapters, studied)})
            left = search(settings.index.data_dir, lines, lambda done: on_stage("search", done, 0))
    if as_json:
        proof = {**asdict(left), "found": [asdict(trace) for trace in left.found]}
        typer.echo(json.dumps({**gone.model_dump(), "excluded": list(added), "proof": proof}))
    else:
        _show(wanted, gone, added, left)
    _judge(wanted, left, settings)


def _wanted(paths: list[str], repo: Path | None) -> "Wanted":
    from vicinal_daemon.cli.indexes import repository_or_here
    from vicinal_daemon.forget import wanted
    from vicinal_daemon.target import find_repository, is_repository, path_inside
    from vicinal_indexer.errors import InputError

    if EVERYTHING in paths:
        if len(paths) > 1:
            raise InputError("`all` stands alone", hint="a file of that name is ./all")
        return wanted(repository_or_here(repo), None)
    first = Path(paths[0])
    if repo is None and is_repository(first):
        raise InputError(f"{first} is a repository itself", hint=f"vicinal forget all --repo {first}")
    root = (repo if repo is not None else find_repository(first)).resolve()
    found = frozenset(path_inside(root, path.parent / path.name, path) for path in map(Path, paths))
    if "." in found:
        raise InputError(f"{root} is the repository itself", hint="`vicinal forget all` forgets all of it")
    return wanted(root, found)


@contextmanager
def _done_by(settings: "Settings") -> "Iterator[Client | None]":
    """The daemon that runs; None if none does, and none can start within the block.

    Raises:
        DaemonRunning: it has other settings: its files lie elsewhere, or it is of another version.
    """
    from filelock import FileLock, Timeout

    from vicinal_daemon import client
    from vicinal_daemon.cli.remote import unsuited
    from vicinal_daemon.errors import DaemonRunning
    from vicinal_daemon.place import Place

    connection = client.find(settings)
    if connection is not None:
        if why := unsuited(connection, settings):
            raise DaemonRunning(f"the daemon that runs {why}", hint="`vicinal daemon restart`, then forget")
        with client.Client(connection) as found:
            yield found
        return
    place = Place.of(settings)
    place.prepare()
    try:
        with FileLock(place.lock, timeout=0, mode=0o600):
            yield None
    except Timeout:
        raise DaemonRunning("a daemon is just starting or ending", hint="try again in a moment") from None


def _telling(wanted: "Wanted", settings: "Settings") -> frozenset[str]:
    """The lines by which the files would be known again."""
    from vicinal_daemon.cli.indexes import open_index
    from vicinal_indexer.stored import stored_lines

    if wanted.paths is None:
        return stored_lines(wanted.root, settings.index.data_dir)
    with open_index(wanted.root, settings) as index:
        return index.telling(wanted.paths)


def _studied(daemon: "Client", wanted: "Wanted") -> int:
    """How many adapters rest on the files."""
    own = (adapter for adapter in daemon.adapters().adapters if adapter.workspace == str(wanted.root))
    return sum(any(map(wanted.holds, adapter.paths)) for adapter in own)


def _question(wanted: "Wanted") -> str:
    if wanted.paths is None:
        return f"Forget everything of {wanted.root}? It is indexed again when it is used again."
    names = ", ".join(sorted(wanted.paths))
    return f"Forget {names} of {wanted.root}? A line in .vicinalignore will keep it out."


def _by_daemon(daemon: "Client", wanted: "Wanted") -> "ForgottenState":
    from vicinal_daemon.cli.remote import well_formed
    from vicinal_daemon.protocol.requests import ForgetRequest

    with well_formed():
        paths = sorted(wanted.paths) if wanted.paths is not None else None
        request = ForgetRequest(root=str(wanted.root), paths=paths)
    return daemon.forget(request)


def _here(wanted: "Wanted", settings: "Settings", on_stage: "OnStage") -> "ForgottenState":
    """In this process; the caller has seen to it that there is no daemon meanwhile."""
    from vicinal_daemon.cli.indexes import open_index, shown_by
    from vicinal_daemon.forget import forget_learned
    from vicinal_daemon.protocol.state import ForgottenState
    from vicinal_daemon.tune.adapters import AdapterStore
    from vicinal_daemon.uncertainty.feedback import FeedbackStore, feedback_file
    from vicinal_daemon.workspaces.memory import Memory
    from vicinal_indexer.stored import erase

    data = settings.index.data_dir
    files: tuple[str, ...] = ()
    if wanted.paths is None:
        erase(wanted.root, data)
        Memory(data / "workspaces.json").forget(wanted.root)
    else:
        with open_index(wanted.root, settings) as index:
            files = index.forget(wanted.paths, shown_by(on_stage))
    adapters = AdapterStore(data / "adapters", settings.adapters.limit_mb * 1_000_000, settings.adapters.limit_count)
    feedback = FeedbackStore(feedback_file(data))
    try:
        learned = forget_learned(wanted, adapters, feedback)
    finally:
        feedback.close()
    return ForgottenState(
        root=str(wanted.root),
        files=list(files),
        adapters=len(learned.adapters),
        checkpoints=learned.checkpoints,
        answers=learned.answers,
    )


def _show(wanted: "Wanted", gone: "ForgottenState", added: tuple[str, ...], left: "Traces") -> None:
    what = "everything" if wanted.paths is None else f"{len(gone.files):,} indexed files"
    typer.echo(f"forgot {what}, {gone.adapters:,} adapters, {gone.checkpoints:,} checkpoints, {gone.answers:,} answers")
    if added:
        typer.echo(f"{', '.join(added)} in .vicinalignore: kept out from now on")
    elif wanted.paths is not None:
        typer.echo("an ignore file keeps it out from now on")
    typer.echo(
        f"searched {left.files:,} files, {left.bytes / 1e6:,.1f} MB, and {left.texts:,} stored texts"
        f" for {left.lines:,} telling lines: {'none is left' if not left.found else 'some are left'}"
    )
    for trace in left.found:
        typer.echo(f"  {trace.where}: {trace.lines:,} lines")
    if not left.lines:
        typer.echo("no line tells these files from others: there was nothing to search for")


def _judge(wanted: "Wanted", left: "Traces", settings: "Settings") -> None:
    """Lines in another repository's index are that repository's.

    Raises:
        NotForgotten: lines are left elsewhere.
    """
    from vicinal_indexer.errors import NotForgotten
    from vicinal_indexer.stored import folder_of

    own = folder_of(wanted.root, settings.index.data_dir).name
    others = [t for t in left.found if t.where.startswith("stores/") and not t.where.startswith(f"stores/{own}/")]
    bad = [trace.where for trace in left.found if trace not in others]
    if others:
        typer.echo("the same lines stand in another repository's files; forget them there, too", err=True)
    if bad:
        raise NotForgotten(
            f"{bad[0]} still holds lines of it",
            hint="try again when no editor completes; else delete the data folder: all but feedback is made anew",
        )
