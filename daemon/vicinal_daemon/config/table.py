"""The settings as rows: what `vicinal config` prints, `docs/settings.md` holds and the layers look keys up
in.

Owns the walk over the settings' classes. It does not read any value.
"""

import functools
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from vicinal_daemon.config.settings import Settings

ENVIRONMENT_PREFIX = "VICINAL_"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting, in words. `default` is as in a TOML file, or a description if machines differ."""

    key: str
    type: str
    default: str
    environment: str
    description: str
    from_repo: bool
    """Whether a repository's own file may set it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting, for checking values."""

    row: SettingRow
    adapter: TypeAdapter[Any]
    is_path: bool


def settings_table() -> tuple[SettingRow, ...]:
    """Return a row for every setting, in the order of the classes."""
    return tuple(entry.row for entry in entries().values())


def render_markdown() -> str:
    """Return the text of `docs/settings.md`."""
    lines = [
        "# Settings",
        "",
        "<!-- Written by vicinal_daemon.config.render_markdown(); a test compares the two. -->",
        "",
        "Each layer overrides those before it: the defaults, your own file (`vicinal config` prints its",
        "path), the repository's `.vicinal.toml`, environment variables, command line flags. An unknown key",
        "is an error.",
        "",
        "In a file, `tune.steps` is the key `steps` in the section `[tune]`. A repository's file may not set",
        "what is marked *no* in the last column: a cloned repository must not choose what is loaded or where",
        "files are written.",
        "",
        "| key | type | default | environment variable | meaning | in a repository's file |",
        "|---|---|---|---|---|---|",
    ]
    for row in settings_table():
        cells = (f"`{row.key}`", row.type, row.default, f"`{row.environment}`", row.description)
        lines.append("| " + " | ".join((*cells, "yes" if row.from_repo else "*no*")) + " |")
    return "\n".join(lines) + "\n"


@functools.cache
def entries() -> Mapping[str, Entry]:
    """Return every setting by its dotted key."""
    found: dict[str, Entry] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for key, inner in field.annotation.model_fields.items():
                found[f"{name}.{key}"] = _entry(f"{name}.{key}", inner)
        elif name != "origins":
            found[name] = _entry(name, field)
    return types.MappingProxyType(found)


def variable_of(key: str) -> str:
    """The environment variable that sets `key`."""
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def _entry(key: str, field: FieldInfo) -> Entry:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    is_path = field.annotation is Path
    row = SettingRow(
        key=key,
        type=_type_words(field),
        default=str(extra["shown_default"]) if "shown_default" in extra else f"`{_toml(field.default)}`",
        environment=variable_of(key),
        description=field.description or "",
        from_repo=bool(extra.get("from_repo", True)),
    )
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return Entry(row, TypeAdapter(kind), is_path)


def _type_words(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    words = {int: "integer", float: "number", bool: "true or false", str: "text", Path: "path"}
    name = words[field.annotation] if field.annotation in words else str(field.annotation)
    low: Any = next((limit.ge for limit in field.metadata if isinstance(limit, annotated_types.Ge)), None)
    if low is None:
        low = next((limit.gt for limit in field.metadata if isinstance(limit, annotated_types.Gt)), None)
    high = next((limit.le for limit in field.metadata if isinstance(limit, annotated_types.Le)), None)
    return f"{name}, {low:,} to {high:,}" if low is not None and high is not None else name


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
