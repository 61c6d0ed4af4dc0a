"""What a client may set: one table of keys, types, ranges, defaults and meanings.

Owns the reading of `initializationOptions` and of the section `vicinal` of a client's configuration, and whether the
settings allow completions in a document. It does not know how settings arrive or what they do. Pure.
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final

from vicinal_indexer.globs import to_regex

_SECTION: Final = "vicinal"
_ALL: Final = "*"


def _setting(
    default: Any, meaning: str, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    table = {"meaning": meaning, "low": low, "high": high, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=lambda: MappingProxyType(default), metadata=table)
    return field(default=default, metadata=table)


@dataclass(frozen=True, slots=True)
class LspSettings:
    """The settings of one client, or of one of its folders."""

    enabled: bool = _setting(True, "Whether there are completions at all.")
    automatic: bool = _setting(True, "Whether there are completions that were not asked for, while one types.")
    languages: Mapping[str, bool] = _setting(
        {}, 'Languages (their LSP names) with completions or without; `"*"` is for all that are not named.'
    )
    exclude: tuple[str, ...] = _setting(
        (),
        "Globs of files without completions, relative to the workspace folder or absolute; `*` crosses no `/`, `**` "
        "does.",
    )
    debounce_ms: int = _setting(75, "How long typing must rest before an automatic request is made, in ms.", 0, 5000)
    budget_automatic_ms: int = _setting(300, "How long an automatic completion may take, in ms.", 1, 60_000)
    budget_invoked_ms: int = _setting(3000, "How long a completion that was asked for may take, in ms.", 1, 600_000)
    max_lines: int = _setting(8, "Lines at most in one completion.", 1, 100)
    alternatives: int = _setting(2, "Further completions beside the first where one was asked for.", 0, 4)
    min_confidence: float = _setting(
        0.05,
        "Automatic completions less sure than this are not shown; `vicinal confidence` says what a number hides.",
        0.0,
        1.0,
    )
    feedback: bool = _setting(True, "Whether the daemon is told what became of completions. It stays on this machine.")
    notify: bool = _setting(True, "Whether each answer's confidence and evidence are sent as `vicinal/answer`.")
    menu: str = _setting(
        "auto",
        "Whether completions also come as items of the editor's menu: `on`, `off`, or `auto`, where it knows no inline "
        "completions.",
        choices=("auto", "on", "off"),
    )
    hints: bool = _setting(True, "Whether the daemon may prepare for the place where the cursor rests.")


@dataclass(frozen=True, slots=True)
class Row:
    """A setting as the documentation lists it."""

    key: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """A type of settings: its name, and a reading of JSON that raises ValueError with what it must be."""

    name: str
    read: Callable[[object], object]


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _read_number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return value


def _read_integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise ValueError("a whole number")
    return int(value)


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def _read_globs(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("a list of globs")
    return tuple(value)


def _read_switches(value: object) -> Mapping[str, bool]:
    if not isinstance(value, Mapping):
        raise ValueError("languages, each with true or false")
    return MappingProxyType(dict(value))


_KINDS: Final[Mapping[object, _Kind]] = {
    bool: _Kind("boolean", _read_bool),
    int: _Kind("integer", _read_integer),
    float: _Kind("number", _read_number),
    str: _Kind("string", _read_text),
    tuple[str, ...]: _Kind("list of strings", _read_globs),
    Mapping[str, bool]: _Kind("object of booleans", _read_switches),
}
_FIELDS: Final = {setting.name: setting for setting in fields(LspSettings)}


def parse(value: object) -> tuple[LspSettings, tuple[str, ...]]:
    """The settings in what a client sent, and a warning for each key that is unknown or has a bad value.

    Never raises: a bad value leaves the default. Keys may be in camelCase or snake_case, and may stand in a section
    `vicinal`, beside those of others. null sets nothing.

    >>> settings, warnings = parse({"vicinal": {"debounceMs": 9000, "max_line": 3}})
    >>> settings.debounce_ms, warnings[0]
    (75, 'vicinal.debounceMs must be from 0 to 5000, not 9000; 75 is used')
    >>> warnings[1]
    'vicinal.max_line is unknown; did you mean maxLines?'
    """
    if isinstance(value, Mapping) and _SECTION in value:
        value = value[_SECTION]
    if value is None:
        return LspSettings(), ()
    if not isinstance(value, Mapping):
        return LspSettings(), (f"the settings of {_SECTION} must be an object, not {_shown(value)}; defaults are used",)
    found: dict[str, Any] = {}
    warnings = []
    for written, given in value.items():
        key = str(written).removeprefix(f"{_SECTION}.")
        name = _snake(key)
        if name not in _FIELDS:
            warnings.append(f"{_SECTION}.{key} is unknown{_advice(name)}")
        elif given is not None:
            good, problems = _good_entries(name, given)
            warnings += [f"{_SECTION}.{key}{problem}" for problem in problems]
            try:
                found[name] = _read(name, good)
            except (ValueError, OverflowError) as error:
                default = _json(getattr(LspSettings(), name))
                warnings.append(f"{_SECTION}.{key} must be {error}, not {_shown(given)}; {default} is used")
    return LspSettings(**found), tuple(warnings)


def _good_entries(name: str, given: object) -> tuple[object, list[str]]:
    """What can be used of a list or an object, so that one bad entry does not switch off its neighbours' effect."""
    if name == "exclude" and isinstance(given, list | tuple):
        good = [glob for glob in given if isinstance(glob, str) and glob.strip()]
        bad = [(f"[{at}]", glob) for at, glob in enumerate(given) if glob not in good]
        return good, [f"{at} must be a glob, not {_shown(glob)}; it is left out" for at, glob in bad]
    if name == "languages" and isinstance(given, Mapping):
        switches = {str(language): on for language, on in given.items() if isinstance(on, bool)}
        others = [(language, on) for language, on in given.items() if not isinstance(on, bool)]
        return switches, [f".{key} must be true or false, not {_shown(on)}; it is left out" for key, on in others]
    return given, []


def _advice(name: str) -> str:
    from difflib import get_close_matches  # late: few clients misspell

    close = get_close_matches(name, _FIELDS, 1)
    return f"; did you mean {_camel(close[0])}?" if close else ""


def _read(name: str, given: object) -> object:
    setting = _FIELDS[name]
    value = _KINDS[setting.type].read(given)
    low, high = setting.metadata["low"], setting.metadata["high"]
    if low is not None and isinstance(value, int | float) and not low <= value <= high:
        raise ValueError(f"from {low} to {high}")
    choices = setting.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"one of {', '.join(choices)}")
    return value


def allows(settings: LspSettings, language: str, path: PurePath | None, folder: PurePath | None) -> str:
    """Why a document gets no completions, in words that name the setting; "" if it does get them.

    Args:
        language: the LSP's name of its language.
        path: of the document, absolute; None if it is no file.
        folder: the workspace folder it is in; None if it is in none, then relative globs see its name only.
    """
    if not settings.enabled:
        return "vicinal.enabled is false"
    if not settings.languages.get(language, settings.languages.get(_ALL, True)):
        named = language if language in settings.languages else _ALL
        return f"vicinal.languages has {named!r} off"
    if path is not None:
        inside = path.relative_to(folder) if folder is not None and path.is_relative_to(folder) else path.name
        for glob in settings.exclude:
            if _matches(glob, path.as_posix(), PurePath(inside).as_posix()):
                return f"vicinal.exclude has {glob!r}"
    return ""


def _matches(glob: str, absolute: str, relative: str) -> bool:
    path = PurePath(glob.strip())  # where paths have `\`, globs may have it too
    return _compiled(path.as_posix()).search(absolute if path.is_absolute() else relative) is not None


@lru_cache(maxsize=256)
def _compiled(glob: str) -> re.Pattern[str]:
    return re.compile(to_regex(glob), re.IGNORECASE if os.name == "nt" else 0)


def settings_rows() -> tuple[Row, ...]:
    """Every setting, for the documentation."""
    return tuple(
        Row(_camel(name), _type(name), _json(getattr(LspSettings(), name)), setting.metadata["meaning"])
        for name, setting in _FIELDS.items()
    )


def _type(name: str) -> str:
    kind = _KINDS[_FIELDS[name].type].name
    low, high = _FIELDS[name].metadata["low"], _FIELDS[name].metadata["high"]
    return kind if low is None else f"{kind}, {low} to {high}"


def _json(value: object) -> str:
    plain = dict(value) if isinstance(value, Mapping) else value
    return json.dumps(plain)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key).lower()


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
