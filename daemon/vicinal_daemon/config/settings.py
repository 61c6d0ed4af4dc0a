"""Every setting of Vicinal: its key, type, range, default and meaning. The single source of all four.

Owns the table. It does not know where values come from (`layers`) or how they are shown (`table`).
A setting marked `_NOT_FROM_REPO` chooses what is loaded or where files lie, which a cloned repository must
not.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from platformdirs import user_cache_path, user_data_path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

APP_NAME: Final = "vicinal"

_NOT_FROM_REPO: Final[dict[str, Any]] = {"from_repo": False}


def _absolute(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError as error:  # ~name of a user that this machine does not have
        raise ValueError(str(error)) from error
    if not expanded.is_absolute():
        raise ValueError("must be an absolute path, or begin with ~")
    return expanded


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
    engine: Literal["transformers", "llama"] = Field(
        default="transformers",
        description="What generates text; llama is faster on CPUs and needs the extra vicinal[llama].",
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

    strategy: Literal["sift", "nn", "none"] = Field(
        default="sift",
        description="sift picks what is relevant and not redundant, nn the nearest neighbours, none nothing.",
    )
    noise: float = Field(
        default=0.1,
        ge=1e-6,
        le=100.0,
        description="SIFT's lambda': small values prefer variety, large ones repeat the nearest chunk.",
    )
    alpha: float = Field(
        default=0.15,
        ge=0.0,
        le=10.0,
        description="Stop at pick n if the uncertainty exceeds 1/(alpha n): larger stops earlier, 0 never.",
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
    learning_rate: float = Field(
        default=1.5e-3,
        ge=1e-6,
        le=0.1,
        description="Adam's learning rate at the first step; it falls linearly.",
    )
    max_tokens: int = Field(default=256, ge=16, le=8192, description="Tokens of one chunk that are trained on.")
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


class GenerateSettings(_Section):
    """How much is written."""

    lines: int = Field(default=1, ge=1, le=100, description="Lines at most in one completion.")
    max_tokens: int = Field(default=64, ge=1, le=4096, description="Tokens at most in one completion.")


class Settings(_Section):
    """All settings of one process. `origins` tells for each key which layer set it."""

    model: ModelSettings = ModelSettings()
    index: IndexSettings = IndexSettings()
    select: SelectSettings = SelectSettings()
    tune: TuneSettings = TuneSettings()
    prompt: PromptSettings = PromptSettings()
    generate: GenerateSettings = GenerateSettings()
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Same inputs and same seed give the same answer.")
    origins: Mapping[str, str] = Field(default=MappingProxyType({}), exclude=True, repr=False)
