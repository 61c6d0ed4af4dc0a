"""`vicinal lsp`: this process becomes the language server.

Owns that change. Imports run from the language server to the daemon, so this room knows it by its name only; the server
reads its own arguments. Imports nothing heavy: an editor waits for it.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typer

NAME: Final = "lsp"
_MODULE: Final = "vicinal_lsp"
_EXAMPLES: Final = """
**Examples**

`vicinal lsp --stdio` - what an editor runs

`vicinal lsp --tcp 127.0.0.1:7777` - to look at what is said

`vicinal lsp --help` - its own arguments
"""


def serve(arguments: Sequence[str]) -> None:
    """Be the language server, with these arguments, until its client leaves."""
    import runpy

    sys.argv = [_MODULE, *arguments]
    runpy.run_module(_MODULE, run_name="__main__", alter_sys=True)


def register(app: "typer.Typer") -> None:
    """Add the command, for `vicinal --help`; `cli.main` goes to `serve` without it."""
    import typer

    def lsp(context: typer.Context) -> None:
        """Complete in any editor that speaks LSP: the language server, started by the editor."""
        serve(context.args)

    # All arguments are the server's, --help too.
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    app.command(NAME, epilog=_EXAMPLES, context_settings=passed_on)(lsp)
