"""The command line: reads arguments, shows results. It decides nothing that a library user could not."""

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line and leave with its exit code.

    The language server is reached first: an editor waits for it, and the other commands take a while to import.
    """
    from vicinal_daemon.cli import lsp

    if sys.argv[1:2] == [lsp.NAME]:
        lsp.serve(sys.argv[2:])
        return
    from vicinal_daemon.cli import app

    app.main()
