"""Adapters on disk: one safetensors file each.

Owns the file's form and its checksum: a file that was cut off or changed is an error, never a slightly other
adapter. It does not know how many there are, nor when they are used.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vicinal_daemon.errors import ModelDamaged
from vicinal_daemon.tune.lora import Adapter, Tensors
from vicinal_indexer.errors import StoreUnavailable

_RANK, _SCALE, _DIGEST = "vicinal.rank", "vicinal.scale", "vicinal.digest"
_ANEW = "delete it; it is learned anew"


def write_adapter(adapter: Adapter, file: Path, metadata: Mapping[str, str]) -> int:
    """Write a finished adapter, with `metadata` in the file's header; returns its size in bytes.

    A reader sees the old file or the new one, never a part.

    Raises:
        StoreUnavailable: the folder cannot be written, the disk is full.
    """
    header = {**metadata, _RANK: str(adapter.rank), _SCALE: repr(adapter.scale)}
    data = save(dict(adapter.tensors), header | {_DIGEST: _digest(adapter.tensors, header)})
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(file)
    except OSError as error:
        with suppress(OSError):  # the first error says more
            temporary.unlink(missing_ok=True)
        raise StoreUnavailable(
            f"an adapter cannot be written to {file}: {error.strerror}", hint="check the disk's space and permissions"
        ) from error
    return len(data)


def read_adapter(file: Path) -> Adapter:
    """Read an adapter; the numbers are bit for bit those that were written.

    Raises:
        ModelDamaged: there is no such file, or it is not as it was written.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            header = dict(opened.metadata() or {})
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except FileNotFoundError as error:
        raise ModelDamaged(f"the adapter {file} is gone", hint="it is learned anew") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelDamaged(f"the adapter {file} cannot be read: {error}", hint=_ANEW) from error
    if header.pop(_DIGEST, "") != _digest(tensors, header):
        raise ModelDamaged(f"the adapter {file} is not what was written", hint=_ANEW)
    try:
        adapter = Adapter(tensors, int(header[_RANK]), float(header[_SCALE]))
    except (KeyError, ValueError) as error:
        raise ModelDamaged(f"the adapter {file} does not tell its rank and scale", hint=_ANEW) from error
    if not all(_is_half_of_pair(name, value, adapter.rank) for name, value in tensors.items()):
        raise ModelDamaged(f"the adapter {file} holds other shapes than its rank tells", hint=_ANEW)
    return adapter


def _is_half_of_pair(name: str, value: torch.Tensor, rank: int) -> bool:
    inner = 0 if ".lora_A." in name else 1
    return value.dim() == 2 and value.shape[inner] == rank and value.dtype == torch.float16


def _digest(tensors: Tensors, header: Mapping[str, str]) -> str:
    digest = hashlib.blake2b(json.dumps(sorted(header.items())).encode(), digest_size=16)
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().numpy().data)
    return digest.hexdigest()
