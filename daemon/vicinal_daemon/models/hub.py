"""Fetches a model from the Hugging Face hub, or finds one that is already in its cache.

Owns which of a repository's files are wanted, and the only calls of huggingface_hub. Pickles are never
fetched, and no code from a repository is. It does not know where models are kept.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models.progress import Progress, growing

_SINGLE_FILES = (
    "tokenizer.model",
    "merges.txt",
    "vocab.txt",
    "chat_template.jinja",
    "LICENSE",
    "LICENSE.txt",
)
_CACHE_PATTERNS = ["*.safetensors", "*.json", *_SINGLE_FILES]


@dataclass(frozen=True, slots=True)
class HubFiles:
    """The files of one repository that a pull fetches; `gguf` is among `names` where there is one."""

    names: tuple[str, ...]
    gguf: str | None
    total_bytes: int


def wanted_files(repo_id: str, sizes: Mapping[str, int]) -> HubFiles:
    """Choose the files to fetch from a repository's listing (name -> bytes). Pure.

    Only top-level files count. Safetensors weights are preferred; the GGUF file is taken when it is the only
    one, as of several nobody can know which is meant.

    Raises:
        ModelUnusable: if there are neither safetensors weights nor exactly one GGUF file.
    """
    top = [name for name in sizes if "/" not in name]
    weights = [name for name in top if name.endswith(".safetensors")]
    if any(name.startswith("model") for name in weights):
        # Some repositories carry the same weights twice, as model*.safetensors and consolidated*.safetensors.
        weights = [name for name in weights if name.startswith("model")]
    ggufs = [name for name in top if name.endswith(".gguf")]
    gguf = ggufs[0] if len(ggufs) == 1 else None
    if not weights and gguf is None:
        if ggufs:
            raise ModelUnusable(
                f"{repo_id} holds {len(ggufs)} GGUF files and no safetensors: " + ", ".join(sorted(ggufs)),
                hint="Download the one you want and give its path as the model's name.",
            )
        raise ModelUnusable(
            f"{repo_id} has no safetensors weights; pickles are refused, as loading one runs code.",
            hint="Choose a repository with *.safetensors files.",
        )
    texts = [name for name in top if name.endswith(".json") or name in _SINGLE_FILES]
    names = tuple(sorted({*weights, *texts, *([gguf] if gguf else [])}))
    return HubFiles(names, gguf, sum(sizes[name] for name in names))


def fetch_from_hub(
    repo_id: str, into: Path, progress: Progress, *, endpoint: str | None = None
) -> tuple[HubFiles, str]:
    """Download the wanted files of `repo_id` into `into`, resuming what an earlier call left there.

    Returns the files and the commit they are from. `endpoint` is another hub's address; None
    means the user's own setting.

    Raises:
        ModelMissing: if the hub has no such repository, or asks for an account that has access.
        ModelUnusable: if the repository has no weights that may be fetched.
        ModelError: if the hub cannot be reached.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    # Its HTTP library differs between versions; the base of its own error is that library's root.
    transport_error: type[BaseException] = HfHubHTTPError.__bases__[0]
    bars = not are_progress_bars_disabled()
    try:
        info = HfApi(endpoint=endpoint).model_info(repo_id, files_metadata=True)
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
        files = wanted_files(repo_id, sizes)
        _require_space(into, files.total_bytes)
        disable_progress_bars()
        with growing(into, "download", files.total_bytes, progress):
            snapshot_download(
                repo_id,
                revision=info.sha,
                allow_patterns=list(files.names),
                local_dir=into,
                endpoint=endpoint,
            )
    except RepositoryNotFoundError as error:  # also a gated repository, and one that wants a login
        raise ModelMissing(
            f"The hub has no model {repo_id} that you may read.",
            hint="Check its spelling; for a gated model, accept its terms and log in with: hf auth login",
        ) from error
    except (transport_error, LocalEntryNotFoundError, ConnectionError, TimeoutError) as error:
        raise ModelError(
            f"The hub could not be reached for {repo_id}: {error}",
            hint="Check the network, proxy and certificates, then pull again: it goes on where it stopped.",
        ) from error
    finally:
        if bars:
            enable_progress_bars()
    shutil.rmtree(into / ".cache", ignore_errors=True)
    return files, str(info.sha)


def find_in_hub_cache(repo_id: str) -> Path | None:
    """Return the snapshot of `repo_id` in the Hugging Face cache, or None. Never uses the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repo_id, local_files_only=True, allow_patterns=_CACHE_PATTERNS))
    except LocalEntryNotFoundError:
        return None


def _require_space(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"{folder} has {free // 1_000_000} MB free; the model needs {needed // 1_000_000} MB.",
            hint="Free some space, or set model.cache_dir to another disk.",
        )
