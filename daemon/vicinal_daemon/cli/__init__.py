"""The command line: reads arguments, shows results. It decides nothing that a library user could not."""

from vicinal_daemon.cli.app import main

__all__ = ["main"]
