"""The command `vicinal`: its subcommands, and how failures end.

Owns exit codes and the promise that an expected failure is one clear message, never a traceback. Heavy imports
stay inside the commands, so that `vicinal --help` is instant.
"""

import logging
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from typer.exceptions import TyperException

from vicinal_daemon.cli import (
    adapters,
    complete,
    confidence,
    config,
    daemon,
    demo,
    doctor,
    evaluate,
    feedback,
    forget,
    index,
    lsp,
    mapping,
    models,
    profile,
    query,
    status,
    workspaces,
)
from vicinal_daemon.machine import waiting_threads_sleep
from vicinal_indexer import __version__
from vicinal_indexer.errors import VicinalError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
TERMINATED = 143
_INTERRUPTED = "interrupted; your files and the model are as they were"

app = typer.Typer(
    name="vicinal",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Complete code with a small local model that first studies the neighbourhood of your cursor.",
    epilog="Exit codes: 0 done, 1 failed, 2 the request cannot be right, 3 the index, 4 the model, 5 the daemon, "
    "6 dropped for a newer request, 130 interrupted, 143 terminated.",
)
_modules = (
    complete,
    query,
    lsp,
    index,
    status,
    demo,
    mapping,
    evaluate,
    profile,
    daemon,
    workspaces,
    adapters,
    feedback,
    forget,
    confidence,
    models,
    config,
    doctor,
)
for module in _modules:
    module.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vicinal {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and debug logs.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of every command."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.ERROR, stream=sys.stderr)


def main() -> None:
    """Run the command line and leave with its exit code; SIGTERM closes everything in order, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    waiting_threads_sleep()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; the exit code is returned, the message has been printed."""
    debug = "--debug" in arguments
    # `--debug` is an option of all commands; users write it wherever they are.
    arguments = (["--debug"] if debug else []) + [a for a in arguments if a != "--debug"]
    try:
        result = app(arguments, standalone_mode=False)
    except VicinalError as error:
        if debug:
            _errors().print_exception()
        _complain(error.message, error.hint)
        return error.exit_code
    except TyperException as error:
        _complain(error.format_message(), "every command explains itself with --help")
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _errors().print(_INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; there is nobody to tell
        return 1
    except Exception as error:
        if debug:
            raise
        said = f"{type(error).__name__}: {error}"
        _complain(said, "run it again with --debug, and report what it prints", kind="internal error")
        return 1
    if result == INTERRUPTED:  # typer has caught it
        _errors().print(_INTERRUPTED)
    return result if isinstance(result, int) else 0


def _errors() -> "Console":
    from rich.console import Console  # late: most commands end well

    return Console(stderr=True, highlight=False, soft_wrap=True)


def _complain(message: str, hint: str, kind: str = "error") -> None:
    from rich.markup import escape

    console = _errors()
    console.print(f"[bold red]{kind}:[/] {escape(message)}")
    if hint:
        console.print(f"[bold]hint:[/] {escape(hint)}")
