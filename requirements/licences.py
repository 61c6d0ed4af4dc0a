"""Writes `docs/licences.md`: the licence that each locked distribution states.

    .venv/bin/python requirements/licences.py

Run it in an environment that was installed from `dev.lock`, as `make test` makes one.
"""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

HERE = Path(__file__).parent
DOCUMENT = HERE.parent / "docs" / "licences.md"
_NAMES = re.compile(r"(?m)^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)")
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
HEAD = """# Licences

<!-- Written by requirements/licences.py; tests/test_supply_chain.py compares the two. -->

What each distribution of `requirements/dev.lock` states of itself, in its metadata. *Runs* are those that users of
Vicinal install, with every extra that is locked; the others are for development. Vicinal itself is under Apache-2.0,
and no distribution is part of its wheel.

| distribution | version | runs | licence |
|---|---|---|---|
"""


def locked() -> dict[str, str]:
    """Versions by normalised name."""
    return dict(_NAMES.findall((HERE / "dev.lock").read_text(encoding="utf-8")))


def normal(name: str) -> str:
    """As names are in the lock."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(found: Distribution) -> str:
    """The licence that the metadata states: an expression, else classifiers, else the first line of the text."""
    told = found.metadata
    if said := told.get("License-Expression"):
        return str(said)
    classifiers = [str(line) for line in told.get_all("Classifier") or [] if str(line).startswith("License ::")]
    named = sorted({line.rpartition(" :: ")[2] for line in classifiers} - {"OSI Approved"})
    if named:
        return ", ".join(named)
    first = next((line.strip() for line in str(told.get("License") or "").splitlines() if line.strip()), "")
    return first or "states none"


def running() -> set[str]:
    """The names of what users install: what the package and its extras need, and what that needs."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    waiting = [*project["dependencies"], *extras["llama"], *extras["pictures"]]
    versions, found = locked(), set[str]()
    while waiting:
        match = _REQUIREMENT.match(waiting.pop())
        name = normal(match[1]) if match is not None else ""
        if name in versions and name not in found:
            found.add(name)
            needed = distribution(name).requires or []
            waiting += [one for one in needed if "extra ==" not in one]
    return found


def rows() -> list[tuple[str, str, str, str]]:
    """(name, version, runs, licence) of every locked distribution.

    Raises:
        SystemExit: one is not installed, or in another version.
    """
    runs, found = running(), []
    for name, version in sorted(locked().items()):
        try:
            there = distribution(name)
        except PackageNotFoundError as error:
            raise SystemExit(f"{name} is not installed; run this where dev.lock is") from error
        if there.version.partition("+")[0] != version:
            raise SystemExit(f"{name} is installed in version {there.version}, locked is {version}")
        found.append((name, version, "yes" if name in runs else "", licence(there)))
    return found


def main() -> None:
    """Write the file."""
    lines = [f"| {' | '.join(row)} |" for row in rows()]
    DOCUMENT.write_text(HEAD + "\n".join(lines).replace("|  |", "| |") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
