"""What a usable model looks like on disk, judged without loading it.

Owns the cheap structural checks: headers, sizes, the presence of a tokenizer. It does not hash, load or
convert.
"""

import hashlib
import json
import struct
from pathlib import Path

from vicinal_daemon.errors import ModelDamaged, ModelUnusable

_GGUF_VERSIONS = (2, 3)
_MAX_HEADER_BYTES = 100_000_000
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_NOT_GENERATING = (
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
)


def check_transformers_folder(folder: Path) -> None:
    """Check that `folder` holds a causal language model with safetensors weights and a tokenizer.

    Raises:
        ModelUnusable: if something is missing, is only there as a pickle, or is another kind of model.
        ModelDamaged: if a file cannot be parsed or is cut off.
    """
    config_path = folder / "config.json"
    if not config_path.is_file():
        raise ModelUnusable(f"{folder} has no config.json.", hint="Name a folder in the transformers format.")
    weights = _weight_files(folder)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise ModelUnusable(f"{folder} has no tokenizer ({', '.join(_TOKENIZERS)}).")
    config = _read_object(config_path)
    architectures = config.get("architectures")
    kinds = [str(kind) for kind in architectures] if isinstance(architectures, list) else []
    if config.get("is_encoder_decoder") or (kinds and all(kind.endswith(_NOT_GENERATING) for kind in kinds)):
        raise ModelUnusable(
            f"{folder} holds a {', '.join(kinds) or 'sequence-to-sequence model'}: it cannot complete.",
            hint="Choose a causal (decoder-only) language model.",
        )
    for path in weights:
        check_safetensors(path)


def _weight_files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = _read_object(index).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise ModelDamaged(f"{index} names no weights.")
        weights = [folder / str(name) for name in sorted(set(shards.values()))]
        for path in weights:
            if not path.is_file():
                raise ModelDamaged(f"{path} is missing, though {index.name} names it.")
        return weights
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        if any(next(folder.glob(pattern), None) for pattern in _PICKLES):
            raise ModelUnusable(
                f"{folder} holds its weights as pickles only, and loading a pickle runs code.",
                hint="Convert the model to safetensors.",
            )
        raise ModelUnusable(f"{folder} has no *.safetensors weights.")
    return weights


def check_safetensors(path: Path) -> None:
    """Check a safetensors file's header against its size.

    Raises:
        ModelDamaged: if the header cannot be parsed or the file is not as long as its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
            raise ModelDamaged(f"{path} has no safetensors header.")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelDamaged(f"{path} has a safetensors header that cannot be parsed.") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise ModelDamaged(f"{path} has {size} bytes; its header describes {expected}.")


def check_gguf(path: Path) -> None:
    """Check a GGUF file's magic, version and counts.

    Raises:
        ModelDamaged: if the header is not that of a GGUF file.
        ModelUnusable: if the format's version is not one that can be read.
    """
    with path.open("rb") as stream:
        head = stream.read(24)
    if len(head) < 24 or head[:4] != b"GGUF":
        raise ModelDamaged(f"{path} does not begin as a GGUF file does.")
    version, tensors, _ = struct.unpack("<IQQ", head[4:])
    if version not in _GGUF_VERSIONS:
        raise ModelUnusable(f"{path} is GGUF version {version}; versions {_GGUF_VERSIONS} can be read.")
    if not 0 < tensors < 1_000_000:
        raise ModelDamaged(f"{path} claims to hold {tensors} tensors.")


def folder_fingerprint(folder: Path) -> str:
    """Return 64 hex digits that change when a folder's files do, by name, size and time; reads no file."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _read_object(path: Path) -> dict[str, object]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelDamaged(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ModelDamaged(f"{path} holds no JSON object.")
    return document
