"""Finding, fetching and verifying model files.

Owns everything between a model's name and files that an engine can load. It does not load models, and
importing it imports no torch. Only `pull` and `pull_again` use the network.
"""

from vicinal_daemon.models.inventory import InstalledModel, list_models, verify
from vicinal_daemon.models.progress import Progress
from vicinal_daemon.models.pull import pull, pull_again
from vicinal_daemon.models.registry import DEFAULT_MODEL, ENCODERS, KNOWN, KnownEncoder, KnownModel
from vicinal_daemon.models.resolve import ModelFiles, resolve, resolve_encoder

__all__ = [
    "DEFAULT_MODEL",
    "ENCODERS",
    "KNOWN",
    "InstalledModel",
    "KnownEncoder",
    "KnownModel",
    "ModelFiles",
    "Progress",
    "list_models",
    "pull",
    "pull_again",
    "resolve",
    "resolve_encoder",
    "verify",
]
