"""Sentence encoders: vectors from a model, for those who want to wait for them.

Owns the wrapping of sentence-transformers, an optional dependency that is imported on first need. It does not know
where a model comes from, and never fetches one.
"""

from collections.abc import Sequence
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vicinal_indexer.errors import EncoderMissing, EncoderUnusable
from vicinal_indexer.types import FloatArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BATCH_TEXTS = 32


class SentenceEmbedder:
    """A model in the format of sentence-transformers, used as it says of itself (pooling, length, normalisation).

    Args:
        model: a folder, or a model hub's id that is in the hub's cache on this machine already.
        device: as torch names it ("cpu", "cuda", "mps").

    Raises:
        EncoderMissing: sentence-transformers is not installed.
        EncoderUnusable: there is no such model on this machine, or it cannot be loaded.
    """

    in_workers = False

    def __init__(self, model: str | Path, device: str = "cpu") -> None:
        self._model = _load(str(model), device)
        self.dimensions = int(self._encode(["dimensions"]).shape[1])
        folder = Path(model)
        weights = folder_digest(folder) if folder.is_dir() else _parameters_digest(self._model)
        self.name = f"encoder-{folder.name}-{weights}"

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """See `Embedder.embed`. A text without a letter or digit is the zero vector, whatever the model says of it."""
        result = np.zeros((len(texts), self.dimensions), np.float32)
        spoken = [place for place, text in enumerate(texts) if any(map(str.isalnum, text))]
        if spoken:
            result[spoken] = self._encode([texts[place] for place in spoken])
        return result

    def _encode(self, texts: Sequence[str]) -> FloatArray:
        vectors: FloatArray = self._model.encode(
            list(texts), batch_size=BATCH_TEXTS, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors


def _load(model: str, device: str) -> "SentenceTransformer":
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EncoderMissing(f"sentence-transformers, which the encoder {model} needs, cannot be loaded") from error
    try:
        return SentenceTransformer(model, device=device, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a foreign file may fail to load in any way
        raise EncoderUnusable(f"the encoder {model} cannot be loaded: {error}") from error


def folder_digest(folder: Path) -> str:
    """12 hex digits of every file's name and content: another training, tokeniser or pooling is another encoder."""
    hashed = blake2b(digest_size=6)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        hashed.update(f"{path.relative_to(folder).as_posix()}\n".encode())
        with path.open("rb") as file:
            hashed.update(file_digest(file, "blake2b").digest())
    return hashed.hexdigest()


def _parameters_digest(model: "SentenceTransformer") -> str:
    """12 hex digits from the weights themselves, of a model that lies in a cache."""
    hashed = blake2b(digest_size=6)
    for name, tensor in sorted(model.state_dict().items()):
        hashed.update(name.encode())
        hashed.update(tensor.detach().cpu().float().numpy().tobytes())
    return hashed.hexdigest()
