"""What is installed is locked by hash, its licences are known, and no binary is in the repository unseen."""

import functools
import re
import runpy
import subprocess
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "requirements"
LOCKS = ("dev", "supply")
ENTRY = re.compile(r"([a-z0-9][a-z0-9._-]*)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")
licences: Mapping[str, Any] = runpy.run_path(str(FOLDER / "licences.py"))
lock: Mapping[str, Any] = runpy.run_path(str(FOLDER / "lock.py"))


@functools.cache
def entries(name: str) -> dict[str, str]:
    """The versions that a lock holds; every line of it is understood."""
    text = (FOLDER / f"{name}.lock").read_text(encoding="utf-8")
    joined = text.removeprefix(lock["HEAD"]).replace(" \\\n   ", "").splitlines()
    matches = [ENTRY.fullmatch(line) for line in joined]
    assert None not in matches, [line for line, match in zip(joined, matches, strict=True) if match is None]
    found = [(match[1], match[2]) for match in matches if match is not None]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize("name", LOCKS)
def test_each_locked_distribution_has_one_version_and_hashes(name: str) -> None:
    assert len(entries(name)) > 10


@pytest.mark.parametrize("name", LOCKS)
def test_no_lock_names_a_place(name: str) -> None:
    text = (FOLDER / f"{name}.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^-|(^|\s)/|@|\+cpu", text, re.MULTILINE)


def test_the_lock_fits_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for name, requirements in lock["wanted"](project):
        for told in map(Requirement, requirements):
            assert told.specifier.contains(entries(name)[licences["normal"](told.name)]), (name, told)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pinned = Requirement(line)
            locked = entries("dev").get(licences["normal"](pinned.name))
            assert locked is None or pinned.specifier.contains(locked), line


def test_the_lock_is_closed() -> None:
    """Nothing is resolved when it is installed, so what a locked distribution needs must be there, too."""
    versions = entries("dev")
    for name, version in versions.items():
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue  # it is not this environment that the lock was installed into
        if there.version.partition("+")[0] != version:
            continue
        for needed in map(Requirement, there.requires or []):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert licences["normal"](needed.name) in versions, (name, str(needed))


def test_ci_installs_by_hash() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes --no-deps -r requirements/dev.lock" in makefile
    assert "LOCKED" not in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "\nLOCKED" not in makefile  # by default it is


def listed() -> dict[str, tuple[str, str, str]]:
    """(version, runs, licence) by name, as the document has them."""
    lines = licences["DOCUMENT"].read_text(encoding="utf-8").removeprefix(licences["HEAD"]).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: (version, runs, said) for name, version, runs, said in rows}


def test_the_licences_are_those_of_the_lock() -> None:
    rows = listed()
    assert {name: version for name, (version, _, _) in rows.items()} == entries("dev"), "run: make licences"
    for name, (version, _, said) in rows.items():
        try:
            there = distribution(name)
        except PackageNotFoundError:
            continue
        if there.version == version:
            assert licences["licence"](there) == said, "run: make licences"
    assert [name for name, (_, _, said) in rows.items() if said == "states none"] == []


def test_what_users_run_is_under_no_strong_copyleft() -> None:
    strong = re.compile(r"\b(A|L)?GPL|General Public|SSPL|proprietary", re.IGNORECASE)
    assert [name for name, (_, runs, said) in listed().items() if runs and strong.search(said)] == []


KNOWN_BINARIES = (
    re.compile(r"tests/fixtures/[\w.-]+\.tar\.xz"),
    re.compile(r"(docs/images|editor-plugins/vscode/media)/[\w.-]+\.png"),
    re.compile(r"indexer/vicinal_indexer/embed/static\.npz"),
)


def test_no_binary_is_in_the_repository_but_known_kinds() -> None:
    told = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    unknown = []
    for name in filter(None, told.decode().split("\0")):
        if (ROOT / name).is_file() and not any(kind.fullmatch(name) for kind in KNOWN_BINARIES):
            data = (ROOT / name).read_bytes()
            try:
                data.decode()
            except UnicodeDecodeError:
                unknown.append(name)
            else:
                unknown += [name] * (b"\0" in data)
    assert unknown == []
