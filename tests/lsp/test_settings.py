"""What a client may set: any value is read, what is wrong is named, and the table is complete."""

from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vicinal_lsp.settings import LspSettings, allows, parse, settings_rows

KEYS = [row.key for row in settings_rows()]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("vicinal"), inner),
    max_leaves=6,
)

GOOD: dict[str, Any] = {
    "enabled": False,
    "automatic": False,
    "languages": {"python": False, "*": True},
    "exclude": ["*.md", "build/**"],
    "debounceMs": 0,
    "budgetAutomaticMs": 150.0,
    "budgetInvokedMs": 10_000,
    "maxLines": 1,
    "alternatives": 0,
    "minConfidence": 1,
    "feedback": False,
    "notify": False,
    "menu": "off",
    "hints": False,
}


def snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def test_every_setting_can_be_set_in_either_spelling() -> None:
    settings, warnings = parse(GOOD)
    assert not warnings
    assert settings == parse({snake(key): value for key, value in GOOD.items()})[0]
    assert settings == parse({f"vicinal.{key}": value for key, value in GOOD.items()})[0]
    assert {key: getattr(settings, snake(key)) for key in GOOD} == {**GOOD, "exclude": ("*.md", "build/**")}
    assert list(GOOD) == KEYS


@pytest.mark.parametrize("value", [None, {}, {"vicinal": None}, {"vicinal": {}}, {"enabled": None}])
def test_nothing_sets_nothing(value: object) -> None:
    assert parse(value) == (LspSettings(), ())


def test_the_sections_of_others_are_not_ours() -> None:
    settings, warnings = parse({"editor": {"tabSize": 4}, "vicinal": {"maxLines": 3}})
    assert (settings.max_lines, warnings) == (3, ())


@pytest.mark.parametrize(
    ("given", "warning"),
    [
        ({"debouncMs": 5}, "vicinal.debouncMs is unknown; did you mean debounceMs?"),
        ({"colour": 5}, "vicinal.colour is unknown"),
        ({"debounceMs": 5001}, "vicinal.debounceMs must be from 0 to 5000, not 5001; 75 is used"),
        ({"debounce_ms": "5"}, "vicinal.debounce_ms must be a whole number, not '5'; 75 is used"),
        ({"maxLines": 2.5}, "vicinal.maxLines must be a whole number, not 2.5; 8 is used"),
        ({"maxLines": True}, "vicinal.maxLines must be a whole number, not True; 8 is used"),
        ({"maxLines": float("inf")}, "vicinal.maxLines must be a whole number, not inf; 8 is used"),
        ({"minConfidence": 1.5}, "vicinal.minConfidence must be from 0.0 to 1.0, not 1.5; 0.05 is used"),
        ({"minConfidence": float("nan")}, "vicinal.minConfidence must be a number, not nan; 0.05 is used"),
        ({"enabled": 1}, "vicinal.enabled must be true or false, not 1; true is used"),
        ({"exclude": "*.md"}, "vicinal.exclude must be a list of globs, not '*.md'; [] is used"),
        ({"exclude": [" "]}, "vicinal.exclude[0] must be a glob, not ' '; it is left out"),
        ({"languages": {"go": "off"}}, "vicinal.languages.go must be true or false, not 'off'; it is left out"),
        ({"languages": ["go"]}, "vicinal.languages must be languages, each with true or false, not ['go']; {} is used"),
        ([1], "the settings of vicinal must be an object, not [1]; defaults are used"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_the_default(given: object, warning: str) -> None:
    assert parse(given) == (LspSettings(), (warning,))


def test_one_bad_key_leaves_the_others() -> None:
    settings, warnings = parse({"maxLines": 0, "alternatives": 4})
    assert (settings.max_lines, settings.alternatives, len(warnings)) == (8, 4, 1)


def test_one_bad_entry_leaves_the_others() -> None:
    settings, warnings = parse({"exclude": ["*.md", 3], "languages": {"go": 0, "rust": False}})
    assert (settings.exclude, dict(settings.languages), len(warnings)) == (("*.md",), {"rust": False}, 2)


@given(JSON | st.dictionaries(st.sampled_from(KEYS), JSON))
def test_anything_is_read(value: object) -> None:
    settings, warnings = parse(value)
    assert 0 <= settings.debounce_ms <= 5000
    assert 0 <= settings.min_confidence <= 1
    assert all(warnings)


FOLDER = PurePosixPath("/home/ada/repo")


class TestWhereItIsOff:
    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({}, ""),
            ({"enabled": False}, "vicinal.enabled is false"),
            ({"languages": {"python": False}}, "vicinal.languages has 'python' off"),
            ({"languages": {"*": False}}, "vicinal.languages has '*' off"),
            ({"languages": {"*": False, "python": True}}, ""),
            ({"exclude": ["*.py"]}, "vicinal.exclude has '*.py'"),
            ({"exclude": ["*.md", "src/**"]}, "vicinal.exclude has 'src/**'"),
            ({"exclude": ["src"]}, "vicinal.exclude has 'src'"),
            ({"exclude": ["/home/ada/repo/src"]}, "vicinal.exclude has '/home/ada/repo/src'"),
            ({"exclude": ["/src", "work", "repo/src"]}, ""),
        ],
    )
    def test_a_file(self, given: dict[str, Any], reason: str) -> None:
        assert allows(parse(given)[0], "python", FOLDER / "src" / "a.py", FOLDER) == reason

    def test_a_file_outside_the_folder_and_a_text_that_is_no_file(self) -> None:
        settings, _ = parse({"exclude": ["*.py", "src/**", "/etc/**"]})
        assert allows(settings, "python", PurePosixPath("/src/a.go"), FOLDER) == ""
        assert allows(settings, "python", PurePosixPath("/else/a.py"), None) == "vicinal.exclude has '*.py'"
        assert allows(settings, "python", PurePosixPath("/etc/a.conf"), None) == "vicinal.exclude has '/etc/**'"
        assert allows(settings, "python", None, FOLDER) == ""

    def test_windows_paths_are_matched_with_slashes(self) -> None:
        settings, _ = parse({"exclude": ["src/**"]})
        folder = PureWindowsPath("C:/repo")
        assert allows(settings, "go", folder / "src" / "a.go", folder) == "vicinal.exclude has 'src/**'"


def test_the_table_for_the_documentation() -> None:
    rows = {row.key: row for row in settings_rows()}
    assert rows["debounceMs"].type == "integer, 0 to 5000"
    assert (rows["exclude"].default, rows["languages"].default) == ("[]", "{}")
    assert all(row.meaning.endswith(".") for row in rows.values())
