"""Which repository a text comes from, and which of its files.

Owns that guess: the file that holds most of the text's last telling lines. It does not know who asks.
"""

from collections import Counter
from collections.abc import Sequence

from vicinal_daemon.workspaces import Workspace

LAST_LINES = 40
TELLING_CHARACTERS = 12
"""A shorter line (`return None`) stands in every file."""

FEWEST_LINES = 2
CANDIDATES = 40


def infer(text: str, workspaces: Sequence[Workspace], unknown: str) -> tuple[Workspace | None, str]:
    """The repository and the path of the file in it; `unknown` is the path if there is no such file.

    Raises:
        VicinalError: an index cannot be read.
    """
    lines = text.split("\n")[-LAST_LINES:]
    telling = {line.strip() for line in lines[:-1] if len(line.strip()) >= TELLING_CHARACTERS}
    best: tuple[int, Workspace | None, str] = (0, None, unknown)
    for workspace in workspaces:
        index = workspace.at_hand
        if index is None:
            continue
        shared: Counter[str] = Counter()
        for candidate in index.search("\n".join(lines), limit=CANDIDATES):
            shared[candidate.chunk.path] += len(telling & {line.strip() for line in candidate.chunk.text.split("\n")})
        for path, count in shared.most_common(1):
            if count > best[0]:
                best = count, workspace, path
    return best[1:] if best[0] >= min(FEWEST_LINES, len(telling)) else (None, unknown)
