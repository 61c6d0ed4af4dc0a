"""A repository as tokens, for the token-level memory.

Owns which text has been tokenised already, and how large a repository may be. It does not know where texts come from,
nor what is done with the memory.
"""

from collections.abc import Mapping

import numpy as np

from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.memory import Memory, Tokens, TokenStore, default_gate
from vicinal_indexer.types import digest

MOST_CHARACTERS = 16_000_000
"""Of a repository's texts, some five million tokens in 60 MB; files behind that, by path, are not remembered."""

AT_ONCE = 64
"""Files that are tokenised in one call: the tokenizer uses all cores."""


class Remembered:
    """The tokens of one repository's files."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._known: dict[str, Tokens] = {}  # by the text's digest
        self._store = TokenStore({})

    def update(self, texts: Mapping[str, str]) -> None:
        """From now on the repository has these files, path -> text; what is known of it is not tokenised again."""
        digests: dict[str, str] = {}
        room = MOST_CHARACTERS
        for path, text in texts.items():
            room -= len(text)
            if room < 0:
                break
            digests[path] = digest(text)
        unknown = {name: texts[path] for path, name in digests.items() if name not in self._known}
        waiting = list(unknown.items())
        for start in range(0, len(waiting), AT_ONCE):
            names, some = zip(*waiting[start : start + AT_ONCE], strict=True)
            tokens = (np.array(ids, np.int32) for ids in self._codec.ids(some))
            self._known.update(zip(names, tokens, strict=True))
        wanted = set(digests.values())
        self._known = {name: tokens for name, tokens in self._known.items() if name in wanted}
        self._store = TokenStore({path: self._known[name] for path, name in digests.items()})

    def at(self, path: str, left: str, right: str) -> Memory:
        """The memory of a request: the repository without the open file, and that file's text around the cursor."""
        before, behind = (np.array(ids, np.int32) for ids in self._codec.ids([left, right]))
        return Memory(self._store, path, before, behind, default_gate())
