"""Identifiers as subwords: what text and code have in common.

Owns the split of identifiers (camelCase, snake_case) into lower-cased words. Pure.
"""

import re

_SUBWORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")


def subwords(text: str) -> list[str]:
    """The lower-cased parts of all identifiers and words in `text`, in order; digits and signs are dropped."""
    return [match.lower() for match in _SUBWORD.findall(text)]
