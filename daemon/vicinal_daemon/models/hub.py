"""Fetches a model from the Hugging Face hub, or finds one that is already in its cache.

Owns which of a repository's files are wanted, and the only calls of huggingface_hub. Pickles are never
fetched, and no code from a repository is. It does not know where models are kept.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vicinal_daemon.errors import ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models.progress import Progress, downloaded

_SINGLE_FILES = (
    "tokenizer.model",
    "merges.txt",
    "vocab.txt",
    "chat_template.jinja",
    "LICENSE",
    "LICENSE.txt",
)
_NO_ACCESS = 44
_CHILD = f"""
import json, sys
from huggingface_hub import snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.utils import disable_progress_bars
disable_progress_bars()
try:
    snapshot_download(**json.loads(sys.argv[1]), local_dir=".")
except RepositoryNotFoundError:
    sys.exit({_NO_ACCESS})
except Exception as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}".splitlines()[0])
"""
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
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    # Its HTTP library differs between versions; the base of its own error is that library's root.
    transport_error: type[BaseException] = HfHubHTTPError.__bases__[0]
    no_access = ModelMissing(
        f"The hub has no model {repo_id} that you may read.",
        hint="Check its spelling; for a gated model, accept its terms and log in with: hf auth login",
    )
    try:
        info = HfApi(endpoint=endpoint).model_info(repo_id, files_metadata=True)
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
        files = wanted_files(repo_id, sizes)
        _require_space(into, files.total_bytes)
        wanted = {"repo_id": repo_id, "revision": info.sha, "allow_patterns": files.names, "endpoint": endpoint}
        # -P: the child's folder holds what was downloaded, of which nothing may be imported.
        ended = downloaded((sys.executable, "-P", "-c", _CHILD, json.dumps(wanted)), into, files.total_bytes, progress)
        if ended.status == _NO_ACCESS:  # a gated repository tells of itself, and keeps its files
            raise no_access
        if ended.status != 0:
            raise ConnectionError(ended.words.strip() or f"the download ended with status {ended.status}")
    except RepositoryNotFoundError as error:  # also a repository that wants a login
        raise no_access from error
    except (transport_error, ConnectionError, TimeoutError) as error:
        raise ModelError(
            f"The hub could not be reached for {repo_id}: {error}",
            hint="Check the network, proxy and certificates, then pull again: it goes on where it stopped.",
        ) from error
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
