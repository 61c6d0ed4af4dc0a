"""What must never be stored or trained on.

Owns the names of files that hold secrets, and the detection of secrets in text. Only precise detectors are used
(private keys, tokens of known shape): guesses by entropy would leave out half of every test suite.
"""

import re
from fnmatch import fnmatch
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    discord,
    github_token,
    gitlab_token,
    mailchimp,
    npm,
    openai,
    private_key,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    twilio,
)
from detect_secrets.plugins import jwt as jwt_plugin

_NAMES = (
    ".env", ".env.*", "*.env", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx",
    "*.jks", "*.keystore", "*.kdbx", ".netrc", ".npmrc", ".pypirc", ".htpasswd", ".pgpass", "credentials",
    "credentials.json", "secrets.y*ml", "secrets.json", "*.tfstate",
)  # fmt: skip
_PUBLIC_NAMES = ("*.example", "*.sample", "*.template", "*.pub", ".env.dist")
_MODULES = (
    aws, azure_storage_key, discord, github_token, gitlab_token, jwt_plugin, mailchimp, npm, openai, private_key,
    pypi_token, sendgrid, slack, square_oauth, stripe, twilio,
)  # fmt: skip


def by_name(path: str) -> str | None:
    """Why a file of this name must be left alone, None if its name is harmless."""
    name = PurePosixPath(path).name.lower()
    if any(fnmatch(name, pattern) for pattern in _PUBLIC_NAMES):
        return None
    pattern = next((pattern for pattern in _NAMES if fnmatch(name, pattern)), None)
    return f"its name is like {pattern}" if pattern else None


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """(kind, pattern) of each detector; the detectors' own expressions, without their line-by-line machinery."""
    found: list[tuple[str, re.Pattern[str]]] = []
    for module in _MODULES:
        for value in vars(module).values():
            deny: Any = getattr(value, "denylist", None)
            if isinstance(value, type) and value.__module__ == module.__name__ and isinstance(deny, (list, tuple)):
                kind = str(getattr(value, "secret_type", module.__name__))
                found.extend((kind, pattern) for pattern in deny)
    return tuple(found)


def by_content(text: str) -> str | None:
    """The kind of the first secret in `text`, None if there is none."""
    return next((kind for kind, pattern in _patterns() if pattern.search(text)), None)
