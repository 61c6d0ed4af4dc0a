"""A repository as tokens, for the token-level memory.

Owns which text has been tokenised already, and how large a repository may be. It does not know where texts come from,
nor what is done with the memory.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

import numpy as np

from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.memory import Gate, Memory, Tokens, TokenStore, default_gate
from vicinal_indexer.types import digest

MOST_CHARACTERS = 8_000_000
"""Of a repository's texts, some 2.5 million tokens in 50 MB, sorted in half a second; what comes behind that is not
remembered."""

OPEN_CHARACTERS = 64_000
"""Of the open file on each side of the cursor."""

STABLE_CHARACTERS = 2_048
"""The text before the cursor is tokenised in two pieces. The first ends at the last line before a multiple of so many
characters: it stays the same while somebody types, and is not tokenised again."""

PIECES_IN_MEMORY = 16
"""Pieces of open files whose tokens are kept."""

AT_ONCE = 64
"""Files that are tokenised in one call: the tokenizer uses all cores."""


class Remembered:
    """The tokens of one repository's files.

    Args:
        gate: how far a memory is believed.
    """

    def __init__(self, codec: Codec, gate: Gate | None = None) -> None:
        self._codec = codec
        self._gate = gate or default_gate()
        self._files: dict[str, tuple[str, int]] = {}  # path -> digest and characters of its text
        self._known: dict[str, Tokens] = {}  # by the text's digest
        self._store = TokenStore({})
        self._tokens_of = lru_cache(PIECES_IN_MEMORY)(lambda text: np.array(codec.ids([text])[0], np.int32))

    @property
    def files(self) -> int:
        """How many are remembered."""
        return len(self._files)

    @property
    def tokens(self) -> int:
        """Of all files."""
        return len(self._store) - len(self._files)  # without the breaks between them

    def update(self, texts: Mapping[str, str]) -> None:
        """From now on the repository has these files, path -> text; what is known of it is not tokenised again."""
        self.change(texts, self._files.keys() - texts.keys())

    def change(self, replaced: Mapping[str, str], dropped: Collection[str] = ()) -> None:
        """From now on it has these files, too, and those not any more; the others stay.

        A file for which there is no room is left out, with all that come behind it in `replaced`.
        """
        files = {path: told for path, told in self._files.items() if path not in dropped and path not in replaced}
        room = MOST_CHARACTERS - sum(characters for _, characters in files.values())
        texts: dict[str, str] = {}
        for path, text in replaced.items():
            room -= len(text)
            if room < 0:
                break
            name = digest(text)
            files[path] = name, len(text)
            texts[name] = text
        self._learn([(name, text) for name, text in texts.items() if name not in self._known])
        files = dict(sorted(files.items()))
        known = {name: self._known[name] for name, _ in files.values()}
        store = TokenStore({path: known[name] for path, (name, _) in files.items()})
        self._files, self._known, self._store = files, known, store

    def _learn(self, unknown: list[tuple[str, str]]) -> None:
        for start in range(0, len(unknown), AT_ONCE):
            names, texts = zip(*unknown[start : start + AT_ONCE], strict=True)
            tokens = (np.array(ids, np.int32) for ids in self._codec.ids(texts))
            self._known.update(zip(names, tokens, strict=True))

    def at(self, path: str, left: str, right: str, without: Collection[str] = ()) -> Memory:
        """The memory of a request: the open file's text around the cursor, and the repository without that file.

        Args:
            without: more paths that are left out.
        """
        near = left.rstrip()
        begin = max(0, len(near) - OPEN_CHARACTERS)
        begin -= begin % STABLE_CHARACTERS
        cut = near.rfind("\n", begin, len(near) - len(near) % STABLE_CHARACTERS) + 1
        pieces = (near[begin:cut] if cut > begin else "", near[max(begin, cut) :], right[:OPEN_CHARACTERS])
        first, last, behind = map(self._tokens_of, pieces)
        before = np.concatenate([first, last])
        # Healing takes the last token and white space back (`healing.take_back`), to have them written better. Were
        # they remembered, what is written would find itself in the file, and be told to end as it did.
        return Memory(self._store, path, before[:-1], behind, self._gate, without)
