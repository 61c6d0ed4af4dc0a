"""`vicinal daemon`: start, stop, restart, status, logs, run, install, uninstall.

Owns these commands' arguments and what they print.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from vicinal_daemon.client import Connection
    from vicinal_daemon.config import Settings
    from vicinal_daemon.lifecycle.units import Unit

_EXAMPLES = """
**Examples**

`vicinal daemon start` - every command starts it when it is needed; this has it ready

`vicinal daemon status --json` - exit code 5 if none runs

`vicinal daemon logs -f` - follow what it does

`vicinal daemon install --now` - have systemd or launchd run it from now on
"""
_NOT_RUNNING = 5
_FOLLOW_SECONDS = 0.3
_TAIL_BYTES = 1_000_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The process that keeps model and indexes ready: one for all editors and repositories.",
        epilog=_EXAMPLES,
        rich_markup_mode="markdown",
    )
    group.command("start", epilog=_example("start"))(start)
    group.command("stop", epilog=_example("stop"))(stop)
    group.command("restart", epilog=_example("restart"))(restart)
    group.command("status", epilog=_example("status --json"))(status)
    group.command("logs", epilog=_example("logs -f", "logs --engine -n 20"))(logs)
    group.command("run", epilog=_example("run", "run --tcp"))(run)
    group.command("install", epilog=_example("install", "install --now"))(install)
    group.command("uninstall", epilog=_example("uninstall"))(uninstall)
    app.add_typer(group, name="daemon")


def _example(*commands: str) -> str:
    return "\n\n".join(["**Examples**", *(f"`vicinal daemon {command}`" for command in commands)])


def start(as_json: AsJson = False) -> None:
    """Start the daemon in the background; if one runs, say so."""
    from vicinal_daemon import client

    settings = _settings()
    running = client.find(settings)
    connection = client.ensure(settings)
    _show_running(connection, "running already" if running else "started", settings, as_json=as_json)


def stop(as_json: AsJson = False) -> None:
    """End the daemon in order; if none runs, say so."""
    from vicinal_daemon import client

    connection = client.find(_settings())
    how = client.stop(connection) if connection else "gone"
    if as_json:
        typer.echo(json.dumps({"pid": connection.pid if connection else None, "ended_by": how}))
    elif connection is None or how == "gone":
        typer.echo("no daemon is running")
    else:
        typer.echo(f"ended: process {connection.pid}" + _HOW[how])


_HOW = {
    "asked": "",
    "terminated": "; it did not answer, and needed SIGTERM",
    "killed": "; it hung, and needed SIGKILL",
}


def restart(as_json: AsJson = False) -> None:
    """End the daemon if one runs, and start it anew: with the settings as they are now."""
    from vicinal_daemon import client

    settings = _settings()
    running = client.find(settings)
    if running:
        client.stop(running)
    connection = client.start(settings)
    _show_running(connection, "restarted" if running else "started", settings, as_json=as_json)


def status(as_json: AsJson = False) -> int:
    """Say what the daemon holds and does. Exit code 5 if none runs."""
    from vicinal_daemon import client

    settings = _settings()
    connection = client.find(settings)
    if connection is None:
        typer.echo(
            json.dumps({"running": False}) if as_json else "no daemon is running; start it: vicinal daemon start"
        )
        return _NOT_RUNNING
    with client.Client(connection) as asked:
        state = asked.status()
    if as_json:
        typer.echo(json.dumps({"running": True, **state.model_dump(mode="json")}, indent=2))
        return 0
    from rich.console import Console

    from vicinal_daemon.cli.state import view

    Console(highlight=False).print(view(state, time.time()))
    _show_other_settings(connection, settings)
    return 0


def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines from the end.")] = 40,
    engine: Annotated[bool, typer.Option("--engine", help="Of the process that runs the model.")] = False,
) -> None:
    """Print the end of the daemon's log. There is no code and no prompt in it."""
    folder = _settings().daemon.log_dir
    path = folder / ("engine.log" if engine else "daemon.log")
    # Newer than the log: a daemon that could not even begin.
    begun = [folder / "daemon.err"] if not engine and _changed(folder / "daemon.err") > _changed(path) else []
    position = 0
    for shown in [*begun, path]:
        position = _print_last(shown, lines)
    if not position and not begun:
        typer.echo(f"nothing was logged yet in {folder}", err=True)
    while follow:
        time.sleep(_FOLLOW_SECONDS)
        position = _print_from(path, position)


def run(
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Listen on a loopback port, with a token, instead of a socket.")
    ] = False,
) -> None:
    """Be the daemon, in this terminal, until Ctrl-C: for systemd, launchd and those who want to watch."""
    from vicinal_daemon.machine import few_heaps, one_thread_for_small_matrices

    few_heaps()  # before any thread
    one_thread_for_small_matrices()  # before numpy
    from vicinal_daemon.app import create_app
    from vicinal_daemon.cli.indexes import load_settings
    from vicinal_daemon.lifecycle.run import serve

    serve(create_app, load_settings(None, {"daemon.tcp": tcp or None}))


def install(
    now: Annotated[bool, typer.Option("--now", help="Also start it, now and at every login.")] = False,
) -> None:
    """Have the system run the daemon: writes a systemd user unit, or an agent of launchd."""
    from vicinal_daemon.lifecycle import units

    unit = units.unit_for(_settings())
    units.install(unit)
    typer.echo(f"written: {unit.file}")
    if not now:
        typer.echo(f"to put it in force: {_spelled(unit.enable)}")
        return
    units.carry_out(unit.enable)
    typer.echo("it runs now, and after every login")


def uninstall() -> None:
    """Undo `install`; a daemon that the system runs is ended."""
    import shutil

    from vicinal_daemon.lifecycle import units

    unit = units.unit_for(_settings())
    if not units.installed(unit):
        typer.echo("nothing was installed")
        return
    _take_out_of_force(unit, there=shutil.which(unit.disable[0][0]) is not None)
    typer.echo(f"removed: {unit.file}")


def _take_out_of_force(unit: "Unit", *, there: bool) -> None:
    from vicinal_daemon.errors import DaemonError
    from vicinal_daemon.lifecycle import units

    if there:
        try:
            units.carry_out(unit.disable)
        except DaemonError as error:  # it was never put in force, or there is no session: the file goes all the same
            typer.echo(f"note: {error.message}", err=True)
    units.uninstall(unit)


def _settings() -> "Settings":
    from vicinal_daemon.cli.indexes import load_settings

    return load_settings(None, {})


def _spelled(commands: tuple[tuple[str, ...], ...]) -> str:
    import shlex

    return " && ".join(shlex.join(command) for command in commands)


def _show_running(connection: "Connection", what: str, settings: "Settings", *, as_json: bool) -> None:
    if as_json:
        shown = {"state": what, "pid": connection.pid, "address": connection.address}
        typer.echo(json.dumps({**shown, "version": connection.serving.version, "suits": connection.suits(settings)}))
        return
    typer.echo(f"{what}: process {connection.pid} at {connection.address}")
    _show_other_settings(connection, settings)


def _show_other_settings(connection: "Connection", settings: "Settings") -> None:
    if not connection.suits(settings):
        typer.echo("it began with other settings than there are now; vicinal daemon restart takes them in", err=True)


def _changed(path: Path) -> float:
    """When a file was last written to, if anything is in it; 0 if not."""
    try:
        found = path.stat()
    except OSError:
        return 0.0
    return found.st_mtime if found.st_size else 0.0


def _print_last(path: Path, lines: int) -> int:
    """Print the last lines of a file that may be absent; returns where it ends."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
            content = file.read()
            position = file.tell()
    except OSError:
        return 0
    for line in content.decode("utf-8", "replace").splitlines()[-lines:] if lines else []:
        typer.echo(line)
    return position


def _print_from(path: Path, position: int) -> int:
    """Print what the log has from `position` on; a log that is shorter was put aside, and is read from its start."""
    try:
        with path.open("rb") as file:
            file.seek(position if file.seek(0, 2) >= position else 0)
            content = file.read()
            position = file.tell()
    except OSError:  # between two files
        return 0
    if content:
        typer.echo(content.decode("utf-8", "replace"), nl=False)
    return position
