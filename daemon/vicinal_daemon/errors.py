"""The daemon's branch of the error tree.

VicinalError
├── InputError (exit 2)
│   └── ConfigError                an unknown key or a bad value in a settings file, the environment or a flag
└── ModelError (exit 4)
    ├── ModelMissing               the model is not on this machine; the hint names the command that fetches it
    ├── ModelDamaged               a file fails its checksum or cannot be parsed
    └── ModelUnusable              the model is of a kind that cannot be tuned or run here
"""

from vicinal_indexer.errors import InputError, VicinalError


class ConfigError(InputError):
    """A settings file, environment variable or flag has an unknown key or a bad value."""


class ModelError(VicinalError):
    """The language model cannot be had or used."""

    exit_code = 4


class ModelMissing(ModelError):
    """The model is not on this machine."""


class ModelDamaged(ModelError):
    """A model file fails its checksum or cannot be parsed."""

    remedy = "fetch it anew (vicinal models pull NAME --force), or copy your own files again"


class ModelUnusable(ModelError):
    """The model loads but cannot do what was asked, for example be tuned."""
