"""The daemon, for the commands: is there one, does it suit, and what crosses to it and back.

Owns the choice between the daemon and this process. It does not know what the commands ask. Imports nothing heavy.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

if TYPE_CHECKING:
    from vicinal_daemon.client import Client, Connection, OnEvent
    from vicinal_daemon.config import Settings
    from vicinal_daemon.protocol.requests import CompleteRequest, Scalar
    from vicinal_daemon.stages import OnStage

CLIENT: Final = "cli"
"""The name by which the daemon knows these requests."""

_CANCEL_SECONDS: Final = 2.0

Mode = Literal["found", "started", "none"]
"""Use the daemon if one runs; start it if none does; leave it alone."""

UseDaemon = Annotated[
    bool | None,
    typer.Option(
        "--daemon/--no-daemon",
        help="Have the daemon do it, started if need be; or never. Default: if it runs.",
        show_default=False,
    ),
]


def mode_of(option: bool | None) -> Mode:
    """What the option `--daemon/--no-daemon` says."""
    return "found" if option is None else "started" if option else "none"


def reach(settings: "Settings", mode: Mode) -> "Client | None":
    """The daemon that does the work, or None: then it is done in this process. The caller closes the client.

    A daemon that runs with other settings, or is of another version, is not used; a line on stderr says so.

    Raises:
        DaemonRunning: with `started`, there is such a one already.
        DaemonUnreachable: with `started`, it does not start.
    """
    if mode == "none":
        return None
    from vicinal_daemon import client

    connection = client.ensure(settings) if mode == "started" else client.find(settings)
    if connection is None:
        return None
    why = unsuited(connection, settings)
    if not why:
        return client.Client(connection)
    if mode == "started":
        from vicinal_daemon.errors import DaemonRunning

        raise DaemonRunning(
            f"the daemon that runs {why}", hint="`vicinal daemon restart` has it begin anew; or leave --daemon out"
        )
    typer.echo(f"the daemon {why}; this runs without it (vicinal daemon restart)", err=True)
    return None


def demand(settings: "Settings") -> "Client":
    """The daemon that runs, for what only a daemon can do; whatever its settings. The caller closes the client.

    Raises:
        DaemonNotRunning: there is none.
    """
    from vicinal_daemon import client
    from vicinal_daemon.errors import DaemonNotRunning

    connection = client.find(settings)
    if connection is None:
        raise DaemonNotRunning("no daemon runs")
    return client.Client(connection)


def sent_settings(settings: "Settings") -> "dict[str, Scalar]":
    """All settings that a request can carry, so that the answer does not depend on who started the daemon."""
    from vicinal_daemon.config import settings_table

    return {row.key: attrgetter(row.key)(settings) for row in settings_table() if row.from_repo}


def shown_by(on_stage: "OnStage") -> "OnEvent":
    """The progress of a streamed request, drawn by `on_stage`."""
    return lambda event: on_stage(event.stage, event.done, event.total)


@contextmanager
def well_formed() -> Iterator[None]:
    """Around the making of a request: what no request can hold is an error of the user's, not of ours.

    Raises:
        InputError: a field is too long, or too large.
    """
    from pydantic import ValidationError

    from vicinal_indexer.errors import InputError

    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the daemon cannot be asked that: {where}: {first['msg']}", hint="see --help") from None


@contextmanager
def called_off(client: "Client", request: "CompleteRequest") -> Iterator[None]:
    """While the daemon works on this completion: if this process is interrupted, so are answer and tuning there."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        from vicinal_daemon.client import Client
        from vicinal_daemon.protocol.requests import CancelRequest
        from vicinal_indexer.errors import VicinalError

        cancel = CancelRequest(id=request.id, client=request.client, workspace=request.workspace, path=request.path)
        # It is gone, and so is the request; or it will notice that we are.
        with suppress(VicinalError), Client(client.connection, _CANCEL_SECONDS) as other:
            other.cancel(cancel)
        raise


def unsuited(connection: "Connection", settings: "Settings") -> str:
    """Why a daemon is not the one for these settings, in words that go on from "the daemon"; empty if it is."""
    from vicinal_indexer import __version__

    version = connection.serving.version
    if version != __version__:
        return f"is of version {version}, this is {__version__}"
    return "" if connection.suits(settings) else "has other settings"
