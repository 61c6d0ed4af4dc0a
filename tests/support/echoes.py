"""What the language server beside `tests/lsp/echo_server.py` was asked, told by the digest that the echo answers with.

It knows how the daemon counts places, and nothing of messages.
"""

import hashlib


def digest_of(text: str, offset: int) -> str:
    """What the echo answers for a text and a place, by the daemon's way to count: lines end at a newline alone."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    row = text[start : end if end != -1 else len(text)].removesuffix("\r")
    place = f"{text.count(chr(10), 0, offset) + 1}:{min(offset - start, len(row)) + 1}"
    return hashlib.sha256(f"{place}\n{text}".encode()).hexdigest()
