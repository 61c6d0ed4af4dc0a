"""Small files that are replaced as a whole.

Owns how that is done. It does not know what is in them.
"""

import os
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
