"""What an index holds and leaves out, on a terminal; and what the commands that say so have in common.

Owns these words. It does not know where they come from: this process, or the daemon.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vicinal_daemon.protocol.state import HoldingsState, SkippedState
    from vicinal_indexer.types import IndexStatus, Skipped

Repo = Annotated[
    Path | None, typer.Argument(metavar="[REPO]", help="The repository; default: the one around the current folder.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def out() -> "Console":
    """Standard output: long lines stay lines."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def show_holdings(console: "Console", found: "IndexStatus | HoldingsState") -> None:
    """Print how much is indexed, and where that lies."""
    console.print(
        f"{found.files:,} files, {found.chunks:,} chunks, {found.bytes_on_disk / 1e6:.1f} MB in {found.store}"
    )


def show_reasons(console: "Console", skipped: "Sequence[Skipped] | Sequence[SkippedState]") -> None:
    """Print how many files were left out, by reason."""
    reasons = Counter(str(item.reason) for item in skipped)
    if reasons:
        told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())
        console.print(f"left out: {told}  [dim](vicinal status --skipped)[/]")
