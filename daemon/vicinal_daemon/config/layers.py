"""Where settings come from, and what to say when one is wrong.

Owns the order of the layers (defaults, user file, repository file, environment, flags) and the errors that
name the layer, the key and the nearest valid key. It does not know what a setting means.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_config_path
from pydantic import BaseModel, ValidationError

from vicinal_daemon.config.settings import APP_NAME, GONE, Settings
from vicinal_daemon.config.table import ENVIRONMENT_PREFIX, Entry, entries, variable_of
from vicinal_daemon.errors import ConfigError

REPO_FILE = ".vicinal.toml"


def user_config_file() -> Path:
    """Return the path of the user's settings file; it need not exist."""
    return user_config_path(APP_NAME, appauthor=False) / "config.toml"


def load(
    repo: Path | None = None,
    flags: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
    user_file: Path | None = None,
) -> Settings:
    """Read every layer and return the settings, with where each came from in `origins`.

    `flags` is keyed as the settings are (`tune.steps`); None means that the flag was not given. `environ` and
    `user_file` default to this process's environment and to `user_config_file()`.

    Raises:
        ConfigError: for an unknown key, a bad value, a file that cannot be read or parsed, or a key that a
            repository's file may not set. The message names the layer; the hint says what would be valid.
    """
    values: dict[str, object] = {}
    origins = dict.fromkeys(entries(), "default")
    environ = os.environ if environ is None else environ

    def apply(layer: Iterable[tuple[str, object, str]]) -> None:
        for key, value, origin in layer:
            values[key] = value
            origins[key] = origin

    apply(_file_layer(user_config_file() if user_file is None else user_file, "user file"))
    if repo is not None:
        apply(_repo_layer(repo / REPO_FILE))
    apply(_environment_layer(environ))
    apply(_flag_layer(flags))

    document: dict[str, object] = {"origins": MappingProxyType(origins)}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        if section:
            inner = document.setdefault(section, {})
            assert isinstance(inner, dict)  # noqa: S101 - sections are made on the line above
            inner[name] = value
        else:
            document[name] = value
    return Settings.model_validate(document)


def overridden(settings: Settings, flags: Mapping[str, object]) -> Settings:
    """The settings with some values changed, as flags change them.

    Raises:
        ConfigError: for an unknown key or a bad value.
    """
    origins = dict(settings.origins)
    changed: dict[str, object] = {}
    for key, value, origin in _flag_layer(flags):
        origins[key] = origin
        section, _, name = key.rpartition(".")
        if section:
            before = changed.get(section, getattr(settings, section))
            assert isinstance(before, BaseModel)  # noqa: S101 - sections are
            changed[section] = before.model_copy(update={name: value})
        else:
            changed[name] = value
    return settings.model_copy(update={**changed, "origins": MappingProxyType(origins)})


def _repo_layer(path: Path) -> Iterator[tuple[str, object, str]]:
    for key, value, origin in _file_layer(path, "repo file"):
        if not entries()[key].row.from_repo:
            raise ConfigError(
                f"{path} sets {key}, which a repository may not: it decides what is loaded or written.",
                hint=f"Remove it there; if you want it, set it in {user_config_file()}.",
            )
        yield key, value, origin


def _file_layer(path: Path, kind: str) -> Iterator[tuple[str, object, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", hint="It must be a text file in UTF-8.") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from error
    for key, value in _flatten(document):
        entry = _known(key, str(path))
        yield key, _checked(entry, value, str(path), text_allowed=False), f"{kind} {path}"


def _flatten(document: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if isinstance(value, dict):
            for inner, inner_value in value.items():
                yield f"{name}.{inner}", inner_value
        else:
            yield name, value


def _environment_layer(environ: Mapping[str, str]) -> Iterator[tuple[str, object, str]]:
    by_variable = {entry.row.environment: entry for entry in entries().values()}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX):
            continue
        if variable not in by_variable:
            for key, remedy in GONE.items():
                if variable == variable_of(key):
                    raise ConfigError(f"The environment variable {variable} is no setting any more.", hint=remedy)
            near = difflib.get_close_matches(variable, by_variable, n=1)
            raise ConfigError(
                f"The environment variable {variable} is no setting of Vicinal.",
                hint=f"Did you mean {near[0]}?" if near else "Unset it; `vicinal config` lists the valid ones.",
            )
        entry = by_variable[variable]
        yield entry.row.key, _checked(entry, text, variable, text_allowed=True), variable


def _flag_layer(flags: Mapping[str, object]) -> Iterator[tuple[str, object, str]]:
    for key, value in flags.items():
        if value is not None:
            flag = "--" + key.replace(".", "-").replace("_", "-")
            entry = _known(key, flag)
            yield key, _checked(entry, value, flag, text_allowed=True), f"flag {flag}"


def _known(key: str, where: str) -> Entry:
    entry = entries().get(key)
    if entry is not None:
        return entry
    if key in GONE:
        raise ConfigError(f"{where}: there is no setting {key} any more.", hint=GONE[key])
    name = key.rpartition(".")[2]
    near = [valid for valid in entries() if valid.rpartition(".")[2] == name]
    near += difflib.get_close_matches(key, entries(), n=1, cutoff=0.5)
    raise ConfigError(
        f"{where}: there is no setting {key}.",
        hint=f"Did you mean {near[0]}?" if near else "`vicinal config` lists the valid ones.",
    )


def _checked(entry: Entry, value: object, where: str, *, text_allowed: bool) -> object:
    # Files have types, so "12" for a number is a mistake there; a variable or flag can only be text.
    if entry.is_path and isinstance(value, str):
        value = Path(value)
    strict = not (text_allowed and isinstance(value, str))
    try:
        return entry.adapter.validate_python(value, strict=strict)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        shown = str(value) if isinstance(value, Path) else repr(value)
        raise ConfigError(
            f"{where}: {entry.row.key} cannot be {shown}: {reason[0].lower()}{reason[1:]}.",
            hint=f"Valid: {entry.row.type}; the default is {entry.row.default}.".replace("`", ""),
        ) from error
