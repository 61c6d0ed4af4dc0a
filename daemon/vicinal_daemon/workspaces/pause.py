"""The file that lets everything that keeps an index fresh rest.

Owns its name.
"""

from pathlib import Path


def pause_flag(data_dir: Path) -> Path:
    """While this file is there, nothing is indexed unless it is asked for (`vicinal pause`, `vicinal resume`)."""
    return data_dir / "paused"
