"""What must never be stored or trained on.

Owns the names of files that hold secrets, and the detection of secrets in text. Only precise detectors are used
(private keys, tokens of known shape, values that are random and called a secret): guesses by entropy alone would leave
out half of every test suite.
"""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import Any, Final

from detect_secrets.plugins import (
    aws,
    azure_storage_key,
    discord,
    github_token,
    gitlab_token,
    mailchimp,
    private_key,
    pypi_token,
    sendgrid,
    slack,
    square_oauth,
    stripe,
    twilio,
)

_NAMES = (
    ".env", ".env.*", "*.env", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.pem", "*.key", "*.p12", "*.pfx",
    "*.jks", "*.keystore", "*.kdbx", "*.ppk", ".netrc", "_netrc", ".npmrc", ".pypirc", ".htpasswd", ".pgpass",
    ".git-credentials", ".dockercfg", ".s3cfg", ".boto", ".vault-token", "credentials", "credentials.json",
    "secrets.y*ml", "secrets.json", "secrets.toml", "*.tfstate", "*.tfstate.backup",
)  # fmt: skip
_PUBLIC_NAMES = ("*.example", "*.sample", "*.template", "*.pub", ".env.dist")
_MODULES = (
    aws, azure_storage_key, discord, github_token, gitlab_token, mailchimp,
    private_key, pypi_token, sendgrid, slack, square_oauth, stripe, twilio,
)  # fmt: skip

# The library's detectors for npm, OpenAI and JSON Web Tokens are not used: a line made for them takes them hours.
_OWN: Final = {
    "Private Key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:[\s\\nr\"'+]*[A-Za-z0-9+/=:, -]{16,})*",
    "age Key": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "Anthropic Key": r"sk-ant-[a-z]+\d\d-[\w-]{80,}",
    "Databricks Token": r"dapi[0-9a-f]{32}\b",
    "DigitalOcean Token": r"do[opr]_v1_[0-9a-f]{64}\b",
    "GitHub Token": r"github_pat_\w{22}_\w{59}\b",
    "Google API Key": r"AIza[0-9A-Za-z_-]{35}(?![\w-])",
    "Google OAuth Secret": r"GOCSPX-[\w-]{28}(?![\w-])",
    "Grafana Token": r"glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}\b",
    "Hugging Face Token": r"hf_[A-Za-z]{34}\b",
    "JSON Web Token": r"eyJ[\w=-]{8,1000}\.[\w=-]{8,}",
    "Linear Key": r"lin_api_[A-Za-z0-9]{40}\b",
    "New Relic Key": r"NRAK-[A-Z0-9]{27}\b",
    "NPM Token": r"npm_[A-Za-z0-9]{36}\b|:_authToken=\s{0,9}(?:npm_\w{9,}|[A-Fa-f0-9-]{36})",
    "OpenAI Key": r"sk-(?:proj|svcacct|admin)-[\w-]{40,}|sk-[\w-]{20,200}T3BlbkFJ[A-Za-z0-9]{20}",
    "Shopify Token": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}\b",
    "Slack App Token": r"xapp-\d-[A-Z0-9]+-\d+-[0-9a-f]{64}\b",
    "Stripe Webhook Secret": r"whsec_[A-Za-z0-9+/=]{32,}",
    "Telegram Token": r":AA[\w-]{33}(?![\w-])",
    "Vault Token": r"hv[bs]\.[\w-]{24,}",
}
"""Tokens whose shape gives them away, and that no detector of the library knows."""

_VALUE = re.compile(r"[\"'`]([A-Za-z0-9+/=_.~!@#$%^&*-]{16,200})(?=[\"'`])")
_CALLED_SECRET = re.compile(
    r"(?:secret|token|passwo?r?d|passphrase|pwd|credential|api_?key|access_?key|private_?key|auth_?key|signing_?key"
    r"|encryption_?key)\w{0,20}[\"']?\s{0,3}(?:=>|:=|[:=])\s{0,3}[brfu]{0,2}$",
    re.IGNORECASE,
)
_NAME_CHARACTERS = 60
_WORD = re.compile(r"[\w+/=.-]{0,2000}")
_IN_URL = re.compile(r"://[^\s:/@\"'<>{}]{0,100}:([^\s:/@\"'<>{}$]{8,200})@(?=[\w\[])")
_BASIC = re.compile(r"(?:Basic|BASIC|basic)\s+([A-Za-z0-9+/]{12,400}={0,2})")
_LEAST_BITS = 3.5
"""Of a character of what is called a secret: words and placeholders have fewer, or hold no digits."""


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
    found.extend((kind, re.compile(pattern)) for kind, pattern in _OWN.items())
    return tuple(found)


def by_content(text: str) -> str | None:
    """The kind of the first secret in `text`, None if there is none."""
    return next((kind for kind, _, _ in _found(text)), None)


@lru_cache(maxsize=8)  # an editor sends a document with each keystroke, and most of it is what it was
def masked(text: str) -> str:
    """`text` with an asterisk for each character of a secret; line breaks and all places stay as they are."""
    pieces, done = [], 0
    for _, start, end in sorted(_found(text), key=lambda found: found[1:]):
        if end > done:
            start = max(start, done)
            pieces += [text[done:start], re.sub(r"[^\r\n]", "*", text[start:end])]
            done = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _found(text: str) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each secret; of a key or password that is named, without its name."""
    for kind, pattern in _patterns():
        for match in pattern.finditer(text):
            yield kind, match.start(), _end_of_word(text, match.end())
    values: tuple[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]], ...] = (
        ("Secret Value", _VALUE, lambda match: _is_random(match[1]) and _is_called_secret(match)),
        ("Password in URL", _IN_URL, lambda match: _is_password(match[1])),
        ("Basic Auth", _BASIC, lambda match: _is_basic(match[1])),
    )
    for kind, pattern, is_secret in values:
        for match in pattern.finditer(text):
            if is_secret(match):
                yield kind, *match.span(1)


def _end_of_word(text: str, end: int) -> int:
    """Where a token really ends: a pattern need not match all of it."""
    rest = _WORD.match(text, end)
    return rest.end() if rest is not None else end


def _is_called_secret(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - _NAME_CHARACTERS) : match.start()]
    return _CALLED_SECRET.search(before) is not None


def _is_random(value: str) -> bool:
    """Whether it looks like what a machine drew: enough bits, digits among letters, no words in a row."""
    letters = sum(map(str.isalpha, value))
    digits = sum(map(str.isdigit, value))
    return letters >= 4 and digits >= 3 and _bits(value) >= _LEAST_BITS and not re.search(r"[a-z]{7}|[A-Z]{7}", value)


def _is_password(value: str) -> bool:
    """Whether it is a password that somebody chose, rather than the word for one: `user:password@`."""
    value = re.sub(r"%[0-9A-Fa-f]{2}", "", value)
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and _bits(value) >= 2.75


def _is_basic(value: str) -> bool:
    """Whether it is a user and a password, as a header holds them."""
    try:
        name, colon, password = base64.b64decode(value + "=" * (-len(value) % 4)).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(name.isprintable() and colon and _is_password(password))


def _bits(value: str) -> float:
    """Shannon's entropy of its characters, in bits."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())
