"""The prompt: code picked elsewhere first, then the file up to the cursor.

Owns the prompt's form and its budget in tokens. Pure: it is given a tokenizer's offsets, no model.
The evidence comes first and unchanged, so that a KV cache of it can survive typing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vicinal_indexer import languages

COMMENT_MARKS = {
    "python": "#", "notebook": "#", "ruby": "#", "bash": "#", "perl": "#", "r": "#", "yaml": "#", "toml": "#",
    "elixir": "#", "julia": "#", "make": "#", "dockerfile": "#", "powershell": "#",
    "lua": "--", "sql": "--", "haskell": "--", "elm": "--", "ada": "--",
    "lisp": ";", "clojure": ";", "scheme": ";", "erlang": "%", "latex": "%", "matlab": "%",
}  # fmt: skip
CHARACTERS_PER_TOKEN = (5, 12)
"""A cheap cut before the exact one: most code has fewer on average than the first, none more than the last."""

STABLE_LINES = 8
"""The visible context begins at a multiple of so many lines, where that costs no more than half of it."""

Offsets = Callable[[str], Sequence[tuple[int, int]]]
"""The tokenizer, as far as a prompt needs it: text -> [start, end) in characters of each token."""


class Snippet(Protocol):
    """Code from elsewhere in the repository."""

    @property
    def path(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def text(self) -> str: ...


@dataclass(frozen=True, slots=True)
class FillInTheMiddle:
    """A model's own marks for prefix, suffix and middle."""

    prefix: str
    suffix: str
    middle: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model reads.

    Attributes:
        text: all of it.
        context: [start, end) in characters of the part that is the user's file up to the cursor.
        heals: whether the text ends where the completion begins, so that its last token may be healed.
    """

    text: str
    context: tuple[int, int]
    heals: bool = True


def comment_mark(language: str) -> str:
    """What starts a line comment in `language`; `//` where nothing better is known."""
    return COMMENT_MARKS.get(language, "//")


def headed(path: str, language: str, text: str) -> str:
    """`text` under a comment line with its path: the form in which code is shown and trained on alike."""
    return f"{comment_mark(language)} {path}\n{text.strip(chr(10))}\n"


def last_tokens(text: str, limit: int, offsets: Offsets) -> str:
    """A run of whole lines at the end of `text` with at most `limit` tokens, nearly the longest.

    Where `text`, the file up to the cursor, has to be cut, it begins at a line whose number is a multiple of
    `STABLE_LINES`: it moves once in so many lines, and in between a KV cache of it survives typing.
    """
    for each in CHARACTERS_PER_TOKEN:
        tail = text[-limit * each :]
        spans = offsets(tail)
        if len(spans) > limit or len(tail) == len(text):
            break
    if len(spans) <= limit:
        if len(tail) == len(text):
            return text
        start = 0
    else:
        start = spans[len(spans) - limit][0]
    line = tail.find("\n", start)
    # A single line longer than the budget has no line start: cut it where the tokens say.
    if line == -1 or not tail[line + 1 :].strip():
        return tail[start:]
    return _from_stable_line(tail[line + 1 :], text.count("\n", 0, len(text) - len(tail) + line + 1))


def _from_stable_line(text: str, number: int) -> str:
    """`text`, whose first line is line `number` of its file, from a stable line on if that leaves most of it."""
    start = 0
    for _ in range(-number % STABLE_LINES):
        start = text.find("\n", start) + 1
        if start == 0:
            return text  # it ends before
    rest = text[start:]
    return rest if len(rest) * 2 >= len(text) and rest.strip() else text


def first_tokens(text: str, limit: int, offsets: Offsets) -> str:
    """The longest run of whole lines at the start of `text` with at most `limit` tokens."""
    for each in CHARACTERS_PER_TOKEN:
        head = text[: limit * each]
        spans = offsets(head)
        if len(spans) > limit or len(head) == len(text):
            break
    if len(spans) <= limit:
        if len(head) == len(text):
            return text
        end = len(head)
    else:
        end = spans[limit - 1][1]
    line = head.rfind("\n", 0, end)
    return head[: line + 1] if line > 0 else head[:end]


def prompt_at(
    path: str,
    left: str,
    right: str,
    snippets: Sequence[Snippet],
    *,
    context_tokens: int,
    snippet_tokens: int,
    offsets: Offsets,
    fill_in_the_middle: FillInTheMiddle | None = None,
) -> Prompt:
    """As `build_prompt`; the language is told from the file's name and its start."""
    return build_prompt(
        snippets,
        path,
        languages.detect(path, left[:200]),
        left,
        right,
        context_tokens=context_tokens,
        snippet_tokens=snippet_tokens,
        offsets=offsets,
        fill_in_the_middle=fill_in_the_middle,
    )


def build_prompt(
    snippets: Sequence[Snippet],
    path: str,
    language: str,
    left: str,
    right: str,
    *,
    context_tokens: int,
    snippet_tokens: int,
    offsets: Offsets,
    fill_in_the_middle: FillInTheMiddle | None = None,
) -> Prompt:
    """Join evidence and context.

    Args:
        snippets: the most informative first; it is placed last, next to the context.
        left: the file up to the cursor; the last `context_tokens` of it are kept, from a line start.
        right: the file after the region to complete; used, up to half as many tokens, only where the model
            knows fill-in-the-middle.
    """
    evidence = "".join(
        headed(snippet.path, snippet.language, first_tokens(snippet.text, snippet_tokens, offsets)) + "\n"
        for snippet in reversed(snippets)
    )
    visible = last_tokens(left, context_tokens, offsets)
    before = f"{evidence}{comment_mark(language)} {path}\n"
    if fill_in_the_middle is None or not right.strip():
        return Prompt(before + visible, (len(before), len(before) + len(visible)))
    marks = fill_in_the_middle
    before = marks.prefix + before
    after = first_tokens(right, context_tokens // 2, offsets)
    text = f"{before}{visible}{marks.suffix}{after}{marks.middle}"
    return Prompt(text, (len(before), len(before) + len(visible)), heals=False)
