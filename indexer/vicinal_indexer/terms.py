"""Identifiers as subwords: what text and code have in common.

Owns the split of identifiers (camelCase, snake_case) into lower-cased words. Pure. It does not know how subwords are
weighted or stored.
"""

import re

MAX_TERM_LENGTH = 40
"""Longer runs of letters (encoded data) are noise, and the full-text index ignores them."""

_SUBWORD = re.compile(r"[a-z]+|[A-Z](?:[a-z]+|[A-Z]*(?![a-z]))|[^\W\d_A-Za-z]+")


def subwords(text: str) -> list[str]:
    """The lower-cased parts of all identifiers and words in `text`, in order; digits and signs are dropped.

    >>> subwords("HTTPServer.read_lines2(maxBytes)")
    ['http', 'server', 'read', 'lines', 'max', 'bytes']
    """
    words = " ".join(_SUBWORD.findall(text)).lower().split()  # lower-casing them one by one takes twice as long
    return (
        words if max(map(len, words), default=0) <= MAX_TERM_LENGTH else [w for w in words if len(w) <= MAX_TERM_LENGTH]
    )
