"""Every setting of Vicinal: its key, type, range, default and meaning. The single source of all four.

Owns the table. It does not know where values come from (`layers`) or how they are shown (`table`).
A setting marked `_NOT_FROM_REPO` chooses what is loaded or where files lie, which a cloned repository must
not.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from platformdirs import user_cache_path, user_data_path, user_log_path, user_runtime_path, user_state_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

APP_NAME: Final = "vicinal"

GONE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "index.max_file_bytes": "Remove it: large files are left out by a limit of their own; name others in "
        ".vicinalignore.",
    }
)
"""Settings that there were once: what to do about one that is still set. A setting that is renamed or removed gets a
line here; tests/fixtures/settings.txt has every setting that there ever was."""

_NOT_FROM_REPO: Final[dict[str, Any]] = {"from_repo": False}


def _absolute(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError as error:  # ~name of a user that this machine does not have
        raise ValueError(str(error)) from error
    if not expanded.is_absolute():
        raise ValueError("must be an absolute path, or begin with ~")
    return expanded


def _runtime_folder() -> Path:
    # Without a session's own folder platformdirs takes one in /tmp, where others could be first.
    if sys.platform == "linux" and "XDG_RUNTIME_DIR" not in os.environ:
        return user_state_path(APP_NAME, appauthor=False) / "run"
    return user_runtime_path(APP_NAME, appauthor=False)


Folder = Annotated[Path, AfterValidator(_absolute)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ModelSettings(_Section):
    """Which language model runs, and on what."""

    name: str = Field(
        default="smollm2-135m",
        min_length=1,
        description="The language model: a known name, a hub id (organisation/name), or the path of a folder "
        "or a .gguf file.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        description="Where the model runs; auto takes CUDA, then Apple's Metal (mps), then the CPU.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="What torch computes the model with; auto is bfloat16 where the device has units for it (CUDA; "
        "CPUs with AMX), else float32. Adapters learn in float32 in any case.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Threads that compute the model on a CPU; 0 takes all processors. Fewer leave the others to you.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    engine: Literal["auto", "transformers", "llama"] = Field(
        default="auto",
        description="What writes in the daemon: auto is llama.cpp on CPUs, where the model has a GGUF file and the "
        "extra vicinal[llama] is installed, else transformers. Training is transformers' in any case.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    llama_copy: Literal["auto", "keep", "f16", "q8_0"] = Field(
        default="auto",
        description="What llama.cpp reads: keep is the GGUF file as it is, f16 and q8_0 a copy that is made once; auto "
        "makes one of small models whose format (Q4_1, Q5_0, Q5_1) is read slowly.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    cache_dir: Folder = Field(
        default_factory=lambda: user_cache_path(APP_NAME, appauthor=False),
        description="The folder for model files.",
        json_schema_extra={**_NOT_FROM_REPO, "shown_default": "the platform's cache folder"},
    )


class IndexSettings(_Section):
    """What is indexed and where the index lies."""

    data_dir: Folder = Field(
        default_factory=lambda: user_data_path(APP_NAME, appauthor=False),
        description="The folder for indexes and adapters. It may be deleted at any time; it is rebuilt.",
        json_schema_extra={**_NOT_FROM_REPO, "shown_default": "the platform's data folder"},
    )
    embedder: str = Field(
        default="static",
        min_length=1,
        description="What turns code into vectors: static (word vectors that come with vicinal), minilm, a hub id of a "
        "sentence-transformers model in the hub's cache, or the path of its folder; all but static need "
        "vicinal[encoders].",
        json_schema_extra=_NOT_FROM_REPO,
    )
    candidates: int = Field(
        default=200,
        ge=1,
        le=2000,
        description="Chunks that the search hands to the selection for one request.",
    )


class SelectSettings(_Section):
    """How the chunks to learn from are chosen."""

    strategy: Literal["sift", "nn", "mmr", "uncertainty", "random", "none"] = Field(
        default="sift",
        description="sift picks what is relevant and not redundant, nn the nearest neighbours, none nothing; to "
        "compare with: mmr (maximal marginal relevance), uncertainty (what is least known itself) and random.",
    )
    noise: float = Field(
        default=0.1,
        ge=1e-6,
        le=100.0,
        description="SIFT's lambda': small values prefer variety, large ones repeat the nearest chunk.",
    )
    least_lines: int = Field(
        default=24,
        ge=0,
        le=1000,
        description="A chosen chunk goes on for at least so many lines of its file; 0 takes it as it is.",
    )
    alpha: float = Field(
        default=0.2,
        ge=0.0,
        le=10.0,
        description="No step is taken from pick n on if it leaves more uncertainty than 1/(alpha n); 0 takes all.",
    )


class TuneSettings(_Section):
    """How the model is tuned for one request."""

    steps: int = Field(
        default=8,
        ge=0,
        le=200,
        description="Gradient steps at most for one request, one a pick; 0 never tunes.",
    )
    rank: int = Field(default=16, ge=1, le=256, description="The rank of the LoRA adapter.")
    depth: float = Field(
        default=0.33,
        gt=0,
        le=1,
        description="The share of the model's layers, from the top, that learn. What is below is computed once a "
        "text; 1 trains all of them, several times slower.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    learning_rate: float = Field(
        default=8e-3,
        ge=1e-6,
        le=0.1,
        description="Adam's learning rate at the first step; it falls linearly. If all layers learn, 0.0015 is enough.",
    )
    momentum: float = Field(
        default=0.5,
        ge=0.0,
        lt=1.0,
        description="Adam's first beta: how much of what earlier picks said each step repeats.",
    )
    max_tokens: int = Field(default=256, ge=16, le=8192, description="Tokens of one chunk that are trained on.")
    price: float = Field(
        default=0.0,
        ge=0.0,
        le=10.0,
        description="Bits per byte that each second of tuning or reading must be expected to bring; 0 leaves out only "
        "what is expected to do harm.",
    )
    guard: bool = Field(
        default=True,
        description="Use an adapter only if it predicts the text before the cursor better than the base.",
    )


class PromptSettings(_Section):
    """What the model sees."""

    context_tokens: int = Field(
        default=512, ge=16, le=131_072, description="Tokens of the open file around the cursor in the prompt."
    )
    picks: int = Field(default=4, ge=0, le=64, description="Selected chunks that the prompt shows; 0 shows none.")
    pick_tokens: int = Field(default=200, ge=16, le=8192, description="Tokens of each selected chunk in the prompt.")


class MemorySettings(_Section):
    """What stands elsewhere in the repository, token by token."""

    enabled: bool = Field(
        default=True,
        description="Let what followed on the same tokens elsewhere in the repository have its say in what is written.",
    )


class GenerateSettings(_Section):
    """How much is written."""

    lines: int = Field(default=1, ge=1, le=100, description="Lines at most in one completion.")
    max_tokens: int = Field(default=64, ge=1, le=4096, description="Tokens at most in one completion.")


class DaemonSettings(_Section):
    """The resident process."""

    folder: Folder = Field(
        default_factory=_runtime_folder,
        description="The folder of the daemon's socket, lock and token; one daemon serves it.",
        json_schema_extra={**_NOT_FROM_REPO, "shown_default": "the platform's folder for sockets"},
    )
    log_dir: Folder = Field(
        default_factory=lambda: user_log_path(APP_NAME, appauthor=False),
        description="The folder of the daemon's logs.",
        json_schema_extra={**_NOT_FROM_REPO, "shown_default": "the platform's folder for logs"},
    )
    tcp: bool = Field(
        default=False,
        description="Listen on a loopback port, with a token, instead of a Unix socket; always so on Windows.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    workspace_idle_minutes: float = Field(
        default=240.0,
        ge=0.0,
        le=1e6,
        description="A repository that was not used for so long is closed, until it is used again; 0 never closes.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    queue: int = Field(
        default=256,
        ge=1,
        le=10_000,
        description="Completions that may wait; more are refused.",
        json_schema_extra=_NOT_FROM_REPO,
    )


class EngineSettings(_Section):
    """The process that runs the model for the daemon."""

    memory_mb: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="The most memory the engine may take, in MB; what needs more fails. 0 is three quarters of the "
        "machine's.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    idle_minutes: float = Field(
        default=30.0,
        ge=0.0,
        le=1e6,
        description="The model is unloaded after so long without a request; 0 keeps it.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    hang_seconds: float = Field(
        default=120.0,
        ge=0.1,
        le=86_400.0,
        description="An engine that gives no sign of life for so long is ended and started again.",
        json_schema_extra=_NOT_FROM_REPO,
    )


class AdapterSettings(_Section):
    """What was learned, and how long it is kept."""

    limit_mb: int = Field(
        default=512,
        ge=1,
        le=10_000_000,
        description="Disk for adapters, in MB; the least recently used give way.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    limit_count: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="Adapters kept.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    near: float = Field(
        default=0.6,
        ge=0.0,
        le=1.0,
        description="An adapter serves another selection if they share at least this much; 1 wants the same one.",
    )


class WarmSettings(_Section):
    """The repository's own adapter, trained when the machine is idle."""

    steps: int = Field(
        default=1536, ge=0, le=10_000, description="Training steps of the warm adapter, one a chunk; 0 trains none."
    )
    depth: float = Field(
        default=1.0,
        gt=0.0,
        le=1.0,
        description="The share of the layers that it changes, from the top; it is trained behind everything else.",
    )
    learning_rate: float = Field(
        default=1.5e-3, ge=1e-6, le=0.1, description="As `tune.learning_rate`, for the training of the warm adapter."
    )
    scale: float = Field(
        default=0.7,
        gt=0.0,
        le=1.0,
        description="How much of it is worn: the guard chooses between so much, half of that, and nothing.",
    )
    idle_seconds: float = Field(
        default=60.0,
        ge=0.0,
        le=86_400.0,
        description="It is trained once nobody has asked for anything for so long.",
        json_schema_extra=_NOT_FROM_REPO,
    )
    refresh: float = Field(
        default=0.2, gt=0.0, le=1.0, description="It is trained anew once this share of what it rests on has changed."
    )
    on_battery: bool = Field(
        default=False, description="Train it also without mains power.", json_schema_extra=_NOT_FROM_REPO
    )
    start: bool = Field(default=False, description="Whether tuning for a request starts from it, not from the base.")


class FeedbackSettings(_Section):
    """What is noted of answers and of what became of them. It stays on this machine."""

    enabled: bool = Field(
        default=True,
        description="Note numbers about answers, no code, and whether they were accepted; `vicinal feedback show` and "
        "`erase`.",
        json_schema_extra=_NOT_FROM_REPO,
    )


class Settings(_Section):
    """All settings of one process. `origins` tells for each key which layer set it."""

    model: ModelSettings = ModelSettings()
    index: IndexSettings = IndexSettings()
    select: SelectSettings = SelectSettings()
    tune: TuneSettings = TuneSettings()
    prompt: PromptSettings = PromptSettings()
    memory: MemorySettings = MemorySettings()
    generate: GenerateSettings = GenerateSettings()
    daemon: DaemonSettings = DaemonSettings()
    engine: EngineSettings = EngineSettings()
    adapters: AdapterSettings = AdapterSettings()
    warm: WarmSettings = WarmSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Same inputs and same seed give the same answer.")
    origins: Mapping[str, str] = Field(default_factory=lambda: MappingProxyType({}), exclude=True, repr=False)
