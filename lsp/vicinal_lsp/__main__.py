"""`vicinal lsp`: the language server's command line.

Owns its arguments and its log. Over stdio stdout belongs to the protocol: nothing else is ever written there.
"""

import argparse
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from vicinal_lsp.handshake import greet

LEVELS = ("error", "warning", "info", "debug")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve one editor until it leaves."""
    options = _parser().parse_args(arguments)
    handler = logging.FileHandler(options.log, encoding="utf-8") if options.log else logging.StreamHandler(sys.stderr)
    logging.basicConfig(
        level=options.log_level.upper(), handlers=[handler], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("pygls").setLevel(logging.CRITICAL)  # what it says of messages holds the user's code

    source, sink = greet(*(accepted(*options.tcp) if options.tcp else standard()))
    from vicinal_lsp.server import VicinalServer
    from vicinal_lsp.stdio import serve

    serve(VicinalServer(), source, sink)


def standard() -> tuple[BinaryIO, BinaryIO]:
    """What a client writes to us, and what it reads."""
    # A file of our own: the thread that reads it still waits when Python closes its stdin, which would abort.
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb"), sys.stdout.buffer


def accepted(host: str, port: int) -> tuple[BinaryIO, BinaryIO]:
    """The same of the first client that connects; the place where it may is told on stdout, for port 0 means any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        sys.stdout.write(f"listening on {host}:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        client, _ = listening.accept()
    with client:  # its files keep it open
        return client.makefile("rb"), client.makefile("wb")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vicinal lsp",
        description="The language server: completions in any editor that speaks LSP. Editors start it by themselves; "
        "it finds or starts the daemon.",
        epilog="examples: `vicinal lsp`, `vicinal lsp --log lsp.log --log-level debug`, `vicinal lsp --tcp :9257`",
    )
    stdio = "talk over stdin and stdout; the default, and accepted because many clients say it"
    parser.add_argument("--stdio", action="store_true", help=stdio)
    parser.add_argument("--tcp", type=_address, metavar="HOST:PORT", help="listen on a loopback port, for debugging")
    parser.add_argument("--log", type=Path, metavar="FILE", help="where to log; default: stderr")
    parser.add_argument("--log-level", choices=LEVELS, default="warning", help="default: warning")
    parser.add_argument("--clientProcessId", type=int, help=argparse.SUPPRESS)  # some clients say it
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host or "127.0.0.1"
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise argparse.ArgumentTypeError("only loopback: anyone who can connect can read your files")
    if not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


if __name__ == "__main__":
    main()
