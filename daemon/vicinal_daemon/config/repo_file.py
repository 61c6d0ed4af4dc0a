"""Changing a repository's `.vicinal.toml`: some values, and nothing else of what its owner wrote.

Owns the edit of the text. Pure: text in, text out. It does not know why a value is changed.
"""

import re
import tomllib
from collections.abc import Mapping

from vicinal_daemon.config.table import entries
from vicinal_daemon.errors import ConfigError

Value = str | int | float | bool


def with_values(text: str, values: Mapping[str, Value]) -> str:
    """`text` with these settings (`tune.steps`) set; comments, order and all else stay.

    A key that is there keeps its line, and the comment behind it; a new one goes to the end of its section.

    Raises:
        ConfigError: a key that a repository may not set, or a text that is no TOML, or is written in a way that this
            edit does not understand (inline tables, dotted keys).
    """
    for key, value in values.items():
        if key not in entries() or not entries()[key].row.from_repo:
            raise ConfigError(f"{key} cannot be set in a repository's file")
        text = _with_value(text, *key.rpartition(".")[::2], _toml(value))
    wanted = dict(values)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the settings file is no valid TOML: {error}", hint=_by_hand(wanted)) from error
    for key, value in wanted.items():
        section, _, name = key.rpartition(".")
        inner = document.get(section, {}) if section else document
        if not isinstance(inner, dict) or inner.get(name) != value:
            raise ConfigError(f"the settings file writes {key} in a way that cannot be edited", hint=_by_hand(wanted))
    return text


def _with_value(text: str, section: str, name: str, value: str) -> str:
    lines = text.split("\n")
    start = 0
    if section:
        header = re.compile(rf"^\s*\[\s*{re.escape(section)}\s*\]\s*(#.*)?$")
        found = next((number for number, line in enumerate(lines) if header.match(line)), None)
        if found is None:
            body = text.rstrip("\n")
            return f"{body}\n\n[{section}]\n{name} = {value}\n".lstrip("\n")
        start = found + 1
    end = next((n for n in range(start, len(lines)) if re.match(r"^\s*\[", lines[n])), len(lines))
    own = re.compile(rf"^(\s*{re.escape(name)}\s*=\s*)[^#]*?(\s*(#.*)?)$")
    for number in range(start, end):
        if match := own.match(lines[number]):
            lines[number] = f"{match[1]}{value}{match[2]}"
            return "\n".join(lines)
    while end > start and not lines[end - 1].strip():
        end -= 1
    lines.insert(end, f"{name} = {value}")
    changed = "\n".join(lines)
    return changed if changed.endswith("\n") else changed + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _by_hand(values: Mapping[str, Value]) -> str:
    return "write by hand: " + ", ".join(f"{key} = {_toml(value)}" for key, value in values.items())
