"""Modes: what is done before a line is predicted.

Owns their names, and the groups that a user can ask for. It does not know how they are carried out.

A mode's name says what it consists of, joined by `+`: `warm+tune:sift+prompt:bm25`. `in-file` does nothing.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from vicinal_daemon.select.strategies import Strategy
from vicinal_indexer.errors import InputError

Ranking = Literal["bm25", "hybrid"]
"""What a search found, in its own order, without a selection."""

Start = Literal["base", "warm"]
Data = Literal["plain", "planted"]
"""`planted`: the nearest chunks are there many times over (the failure case of nearest neighbours)."""

Recalled = Literal["none", "repository"]

STRATEGIES: tuple[Strategy, ...] = tuple(name for name in get_args(Strategy) if name != "none")
RANKINGS: tuple[Ranking, ...] = get_args(Ranking)
SOURCES: tuple[Strategy | Ranking, ...] = (*RANKINGS, *STRATEGIES)
"""What can choose the code in a prompt."""


@dataclass(frozen=True, slots=True)
class Mode:
    """What is done before the truth is scored and the line is written; None is nothing.

    Attributes:
        prompt: what chooses the code in the prompt.
        weights: the strategy whose picks are tuned on.
        start: what is worn, and what tuning starts from: the base, or the repository's own adapter.
        data: whether duplicates are planted among the candidates.
        memory: whether the token-level memory has its say at each token; `none` or the whole `repository`.
    """

    prompt: Strategy | Ranking | None = None
    weights: Strategy | None = None
    start: Start = "base"
    data: Data = "plain"
    memory: Recalled = "none"

    @property
    def name(self) -> str:
        """Its parts, joined by `+`."""
        parts = [
            "planted" if self.data == "planted" else "",
            "memory" if self.memory == "repository" else "",
            "warm" if self.start == "warm" else "",
            f"tune:{self.weights}" if self.weights else "",
            f"prompt:{self.prompt}" if self.prompt else "",
        ]
        return "+".join(filter(None, parts)) or "in-file"

    @property
    def adapts(self) -> bool:
        """Whether other weights than the base's may be worn."""
        return self.weights is not None or self.start == "warm"


IN_FILE = Mode()
_WORDS: dict[str, dict[str, Any]] = {
    "planted": {"data": "planted"},
    "memory": {"memory": "repository"},
    "warm": {"start": "warm"},
}


def parse_mode(name: str) -> Mode:
    """The mode of a name.

    Raises:
        InputError: it is none.
    """
    mode = Mode()
    for part in [] if name == IN_FILE.name else name.split("+"):
        what, _, which = part.partition(":")
        if part in _WORDS:
            mode = replace(mode, **_WORDS[part])
        elif what == "tune" and which in STRATEGIES:
            mode = replace(mode, weights=which)
        elif what == "prompt" and which in (*STRATEGIES, *RANKINGS):
            mode = replace(mode, prompt=cast(Strategy, which))
        else:
            raise InputError(
                f"{name!r} is no mode: {part!r} is not known",
                hint=f"a mode is in-file, or parts joined by +: {', '.join(_WORDS)}, "
                f"tune:{'|'.join(STRATEGIES)}, prompt:{'|'.join((*RANKINGS, *STRATEGIES))}",
            )
    return mode


_PROMPTS = [Mode(prompt=source) for source in SOURCES if source in (*RANKINGS, "nn", "sift")]
_TUNED = [Mode(weights=s) for s in ("nn", "sift", "random", "uncertainty") if s in STRATEGIES]
_FULL = Mode("sift", "sift")

GROUPS: dict[str, tuple[Mode, ...]] = {
    "quick": (IN_FILE, Mode("sift"), Mode(None, "sift"), _FULL),
    "prompt": (IN_FILE, *_PROMPTS),
    "tuning": (IN_FILE, Mode("sift"), *_TUNED, *(Mode("sift", mode.weights) for mode in _TUNED)),
    "warmed": (
        IN_FILE,
        Mode("sift"),
        Mode(None, None, "warm"),
        Mode("sift", None, "warm"),
        Mode(None, "sift", "warm"),
        Mode("sift", "sift", "warm"),
    ),
    "duplicates": (IN_FILE, Mode(None, "nn"), Mode(None, "sift"), Mode(None, "nn", data="planted"),
                Mode(None, "sift", data="planted")),
}  # fmt: skip
GROUPS["recalled"] = tuple(replace(mode, memory=memory) for mode in GROUPS["quick"] for memory in get_args(Recalled))
GROUPS["all"] = tuple(dict.fromkeys(mode for group in list(GROUPS.values()) for mode in group))


def parse_modes(text: str) -> tuple[Mode, ...]:
    """Groups and names, separated by commas; each mode once, in order. `in-file` is always among them, first.

    Raises:
        InputError: one of them is no mode, or there is none.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise InputError("no mode is named", hint=f"name some, or a group: {', '.join(GROUPS)}")
    modes = [mode for word in words for mode in (GROUPS[word] if word in GROUPS else (parse_mode(word),))]
    return tuple(dict.fromkeys([IN_FILE, *modes]))
