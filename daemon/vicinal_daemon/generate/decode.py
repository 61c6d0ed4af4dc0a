"""Greedy decoding under token healing.

Owns the loop from logits to text. Pure but for the function that it asks for logits; it knows no framework.
"""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vicinal_daemon.generate.codec import Codec
from vicinal_daemon.generate.engine import Cancelled, Generated, Mix, StopRule
from vicinal_daemon.generate.healing import take_back
from vicinal_daemon.generate.prompt import Prompt

Logits = NDArray[np.float32]
NextLogits = Callable[[list[int]], Logits | None]
"""Reads some more tokens; returns the (vocabulary,) logits behind the last of them, None if it was cancelled."""


def greedy(
    codec: Codec,
    next_logits: NextLogits,
    prompt: Prompt,
    stop: StopRule,
    *,
    max_tokens: int,
    cancelled: Cancelled,
    rank: int = 0,
    mix: Mix | None = None,
) -> Generated:
    """Continue `prompt` until `stop(text)`, an end token, `max_tokens` or `cancelled()`.

    `rank` 0 is greedy. Another one is greedy but for one token: the first place where so many others than the best
    would be seen in the text takes the `rank`-th of them. What only spells the healed prompt again is never varied.
    """
    ids, spans = codec.encode(prompt.text)
    keep = take_back(prompt.text, spans) if prompt.heals else len(ids)
    prefix = prompt.text[spans[keep][0] :].encode() if keep < len(ids) else b""
    healed = len(prefix)
    written = bytearray()
    pieces: list[tuple[int, float, float]] = []  # bytes of the answer so far, log p, unmixed: of each token that counts
    first_entropy: float | None = None
    unread = ids[:keep]
    said = list(unread)
    started, read_seconds, tokens, finished = time.perf_counter(), 0.0, 0, False
    for _ in range(max_tokens + healed):  # healing costs at most one token per byte
        if cancelled() or (logits := next_logits(unread)) is None:
            break
        read_seconds = read_seconds or time.perf_counter() - started
        if prefix:
            logits = _allowed(logits, codec, prefix)
        own = logits
        if mix is not None:
            own = log_softmax(logits)
            logits = mix(said, own)
        token = int(logits.argmax())
        if rank and (other := _other(logits, codec, prefix, token, rank)) is not None:
            token, rank = other, 0
        if token in codec.ends:
            finished = True
            break
        tokens += 1
        piece = codec.vocabulary.tokens[token] if token < len(codec.vocabulary.tokens) else b""
        written += piece
        prefix = prefix[len(piece) :]
        if len(written) > healed:
            value = _log_probability(logits, token)
            pieces.append((len(written) - healed, value, float(own[token]) if mix is not None else value))
            if first_entropy is None:
                first_entropy = _entropy(logits)
            # An unfinished character at the end waits for its next token.
            finished = stop(written[healed:].decode(errors="ignore"))
            if finished or len(pieces) >= max_tokens:
                break
        unread = [token]
        said.append(token)
    text = bytes(written[healed:])
    ends = [len(text[:end].decode(errors="ignore")) for end, _, _ in pieces]
    starts = [0, *ends[:-1]] if ends else []
    return Generated(
        text.decode(errors="ignore"),
        tuple(value for _, value, _ in pieces),
        tuple(zip(starts, ends, strict=True)),
        unmixed=tuple(value for _, _, value in pieces),
        prompt_tokens=keep,
        read_tokens=keep,
        read_seconds=read_seconds or time.perf_counter() - started,
        tokens=tokens,
        finished=finished,
        first_entropy=first_entropy or 0.0,
    )


def _allowed(logits: Logits, codec: Codec, prefix: bytes) -> Logits:
    tokens = codec.vocabulary.compatible(prefix)
    masked = np.full_like(logits, -np.inf)
    masked[tokens] = logits[tokens]
    return masked


def _other(logits: Logits, codec: Codec, prefix: bytes, best: int, rank: int) -> int | None:
    """The `rank`-th likely of the other tokens that say more than is left of the healed prompt."""
    tokens, found = codec.vocabulary.tokens, 0
    for token in map(int, np.argsort(-logits, kind="stable")):
        if token >= len(tokens) or token == best or token in codec.ends:
            continue
        if not np.isfinite(logits[token]):
            return None
        if len(tokens[token]) > len(prefix):
            found += 1
            if found == rank:
                return token
    return None


def _log_probability(logits: Logits, token: int) -> float:
    return float(log_softmax(logits)[token])


def log_softmax(logits: Logits) -> Logits:
    """(V,) natural logs of the probabilities."""
    shifted = logits - logits.max()
    result: Logits = shifted - np.log(np.exp(shifted).sum())
    return result


def _entropy(logits: Logits) -> float:
    """In nats; what healing does not allow has no part in it."""
    shifted = logits[np.isfinite(logits)].astype(np.float64) - float(logits.max())
    weights = np.exp(shifted)
    total = float(weights.sum())
    return max(0.0, float(np.log(total) - (weights * shifted).sum() / total))
