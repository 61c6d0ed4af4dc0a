"""Token healing: the model re-chooses how the end of the prompt is cut into tokens.

Owns the vocabulary as bytes and the constraint "spell this prefix first". Pure.

A prompt that ends inside a token (`\\n    ` before an indented line, half a name) is cut in a way that the
model never saw in training, and its predictions fall apart. So the last tokens are taken back, and generation
is held to their bytes until they are spelt again.
"""

from bisect import bisect_left
from collections.abc import Sequence
from functools import cache


class Vocabulary:
    """Every token as the bytes it stands for; looked up by prefix.

    Args:
        tokens: the bytes of token i at index i; b"" for special tokens, which are never generated from text.
    """

    def __init__(self, tokens: Sequence[bytes]) -> None:
        self.tokens = tuple(tokens)
        self._sorted = sorted((token, index) for index, token in enumerate(tokens) if token)
        self._ids: dict[bytes, list[int]] = {}
        for token, index in self._sorted:
            self._ids.setdefault(token, []).append(index)

    def compatible(self, prefix: bytes) -> list[int]:
        """Tokens that begin with `prefix`, and tokens that are a beginning of it."""
        found = [i for length in range(1, len(prefix)) for i in self._ids.get(prefix[:length], ())]
        position = bisect_left(self._sorted, (prefix, -1))
        while position < len(self._sorted) and self._sorted[position][0].startswith(prefix):
            found.append(self._sorted[position][1])
            position += 1
        return found


@cache
def _byte_of_symbol() -> dict[str, int]:
    """The inverse of GPT-2's printable alphabet for bytes (byte-level BPE)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    shifted = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(256 + n): byte for n, byte in enumerate(shifted)})
    return table


def byte_level_token(token: str) -> bytes:
    """The bytes of a byte-level BPE token, b"" if it is none (an added, special token)."""
    table = _byte_of_symbol()
    return bytes(table[symbol] for symbol in token) if all(symbol in table for symbol in token) else b""


def sentencepiece_token(token: str) -> bytes:
    """The bytes of a SentencePiece token: `▁` is a space, `<0x0A>` a byte."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace("▁", " ").encode()


def take_back(text: str, spans: Sequence[tuple[int, int]]) -> int:
    """How many tokens to keep: all but the white space at the end of `text` and one token before it.

    Args:
        text: the prompt, whose tokens are `spans`, [start, end) in characters.
    """
    solid = len(text.rstrip())
    keep = len(spans)
    while keep > 0 and spans[keep - 1][1] > solid:
        keep -= 1
    keep = max(0, keep - 1)
    # A character of several tokens is taken back whole.
    while 0 < keep < len(spans) and spans[keep][0] < spans[keep - 1][1]:
        keep -= 1
    return max(1, keep)
