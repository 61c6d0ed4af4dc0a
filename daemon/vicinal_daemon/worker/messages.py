"""What the daemon and its engine process say to each other.

Owns the units of work that the accelerator does: each one takes at most one training step or one generation (with
its alternatives), so that whoever schedules them can change its mind in between. Values only: no torch here, all of it
pickles. Both ends are the same version of Vicinal, as one starts the other.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vicinal_daemon.target import Target

NO_MEMORY_FOR_GOOD = 4
"""The code with which an engine process ends that found no memory, and would not work again if there were some."""


@dataclass(frozen=True, slots=True)
class Code:
    """Code from elsewhere in the repository, for the prompt or to learn from (a `generate.prompt.Snippet`)."""

    path: str
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Wear:
    """An adapter by name. The engine keeps the last few in memory and reads others from `file`."""

    key: str
    file: Path | None


@dataclass(frozen=True, slots=True)
class PromptShape:
    """How a prompt is built: see `generate.prompt.build_prompt`."""

    target: Target
    snippets: tuple[Code, ...]
    context_tokens: int
    pick_tokens: int


@dataclass(frozen=True, slots=True)
class Load:
    """Load the model; the answer is `Loaded`. Must come first.

    Attributes:
        engine: that writes: `auto`, `transformers` or `llama`.
        depth, precision: see `TransformersEngine`.
        threads: see `use_threads`.
        copies, copy: see `LlamaFiles`; needed where llama.cpp writes.
    """

    transformers_dir: Path
    gguf: Path | None
    name: str
    engine: Literal["auto", "transformers", "llama"]
    device: str
    depth: float
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    copies: Path | None = None
    copy: Literal["auto", "keep", "f16", "q8_0"] = "auto"
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model is ready. `device` and `precision` in torch's words; `engine`: that writes."""

    device: str
    precision: str
    engine: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Write:
    """Complete at the target, wearing an adapter (None: the base model); the answer is `Written`.

    `stops`: texts at which to end, besides the number of lines; `lines` 0 is no bound on lines. With `streams`,
    `Piece`s of the completion come before the answer. `alternatives`: at most so many others are written, too.
    `memory`: the repository whose tokens have their say, as named in `Remember`; of one that is not remembered the open
    file's alone do; None: the model alone writes. `unremembered`: paths in it that must not be used.
    """

    prompt: PromptShape
    wear: Wear | None
    lines: int
    max_tokens: int
    stops: tuple[str, ...] = ()
    streams: bool = False
    alternatives: int = 0
    memory: str | None = None
    unremembered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Text so far, untrimmed."""

    text: str


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something else that could stand there: see `Written` for its attributes. `seconds` that it took."""

    text: str
    log_probabilities: tuple[float, ...]
    tokens: int
    seconds: float
    finished: bool


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        text: as it is to be shown.
        log_probabilities: natural logs, of the tokens shown.
        tokens: generated, before trimming.
        prompt_tokens: of the whole prompt; `read_tokens` of them had to be read, the others were known from before.
        read_seconds, write_seconds: of reading the prompt, of writing; without those of the alternatives.
        finished: whether it ended by itself (end token or stop rule) rather than by `max_tokens` or cancellation.
        alternatives: other texts, the likeliest tokens first; all differ, none is empty.
        first_entropy: nats, at the first token of the text.
        least_token: the least likely token shown.
    """

    text: str
    log_probabilities: tuple[float, ...]
    tokens: int
    prompt_tokens: int
    read_tokens: int
    read_seconds: float
    write_seconds: float
    finished: bool
    alternatives: tuple[Alternative, ...] = ()
    first_entropy: float = 0.0
    least_token: str = ""


@dataclass(frozen=True, slots=True)
class Chat:
    """Answer a question in words, by the base model; the answer is `Written`."""

    system: str
    user: str
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin to tune: one step an example, in order. `start` is the adapter to start from (None: a new one).

    The answer is `Begun`. Steps are asked for one by one. With `watched`, the prompt that the adapter is for, the run
    may be over before its last example (`TuningRun`).
    """

    run: str
    examples: tuple[Code, ...]
    rank: int
    learning_rate: float
    max_tokens: int
    seed: int
    start: Wear | None = None
    done: int = 0
    """Steps taken in an earlier life of this run (a checkpoint): they are skipped, `start` has their effect."""
    watched: PromptShape | None = None
    depth: float | None = None
    """The share of the layers that learns; None: as in `Load`."""
    momentum: float | None = None
    """Adam's beta_1; None: the usual one."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run waits for its first step; `steps` is how many there will be (examples too short to learn from are none)."""

    steps: int


@dataclass(frozen=True, slots=True)
class Step:
    """Take the next step of a run; the answer is `Stepped`."""

    run: str


@dataclass(frozen=True, slots=True)
class Stepped:
    """A step was taken. `loss` in nats per token, before it; `tokens` of the example.

    `steps` is how many there are in all, fewer than before if the guard has ended the run.
    """

    done: int
    steps: int
    loss: float
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Judge:
    """Make an adapter of what a run has learned so far, guarded; the run can go on afterwards. The answer is `Judged`.

    Attributes:
        key: the name that the adapter will have.
        prompt: its visible context is what the guard scores; None: no guard.
        held_out: texts that the guard scores instead, where there is no prompt (the warm adapter).
        file: where to write it (safetensors; through a temporary file), None to keep it in memory only.
        metadata: strings to write into the file's header.
        most: of the adapter that is worn; the guard chooses between so much, half of it and nothing.
    """

    run: str
    key: str
    prompt: PromptShape | None
    held_out: tuple[Code, ...] = ()
    file: Path | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    most: float = 1.0


@dataclass(frozen=True, slots=True)
class Judged:
    """What the guard found: nats per token by scale (0.0 is the base; empty if there was no guard), and the scale kept.

    With `scale` 0 the adapter was dropped, and nothing was written.
    """

    context_loss: tuple[tuple[float, float], ...]
    scale: float
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget a run; no answer but `Done`."""

    run: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Forget adapters by key, in memory; no answer but `Done`."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remember:
    """Some files of a repository have changed, and some are gone; the answer is `Memorised`.

    Attributes:
        workspace: the repository's name.
        replaced: (path, text) of files that are new or were known with another text.
        dropped: paths.
    """

    workspace: str
    replaced: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memorised:
    """`tokens` that are remembered of that repository; `workspaces` of which anything is."""

    tokens: int
    workspaces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to say."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A unit failed by a typed error; the process goes on. `kind` is its name as in the API (`errors.error_type`)."""

    kind: str
    message: str
    hint: str


Unit = Load | Write | Chat | Begin | Step | Judge | Drop | Forget | Remember
Result = Loaded | Written | Begun | Stepped | Judged | Memorised | Done


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message of either direction: `number` pairs answers with units."""

    number: int
    body: Unit | Result | Piece | Failed | None
    """None, to the engine: cancel that unit."""
