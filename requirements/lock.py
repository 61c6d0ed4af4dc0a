"""Writes `dev.lock` and `supply.lock`: every distribution that is installed, with its version and its files' hashes.

    make lock            # takes minutes: the files of all platforms are hashed

They are resolved for Python 3.11 on Linux, which CI runs. They name no registry: where files come from is a setting of
the machine, which files count is the hashes'.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).parent
HEAD = "# Written by requirements/lock.py from pyproject.toml and constraints.txt: docs/dependencies.md.\n"


def wanted(said: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """What each lock is of: the package, the extras that CI installs and its tools; the tools of this room."""
    project, groups = said["project"], said["dependency-groups"]
    extras = project["optional-dependencies"]
    yield "dev", [*project["dependencies"], *extras["llama"], *extras["pictures"], *groups["dev"]]
    yield "supply", groups["supply"]


def resolved(requirements: list[str]) -> str:
    """What pip-compile makes of them."""
    with TemporaryDirectory() as place:
        asked, lock = Path(place) / "wanted.in", Path(place) / "wanted.lock"
        asked.write_text("\n".join([*requirements, f"-c {HERE.parent / 'constraints.txt'}"]) + "\n")
        quiet = ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-options"]
        command = [sys.executable, "-m", "piptools", "compile", "--generate-hashes", "--allow-unsafe", "--strip-extras"]
        subprocess.run([*command, *quiet, "-o", str(lock), str(asked)], check=True)
        return lock.read_text()


def plain(lock: str) -> str:
    """Without comments; a build of torch for CPUs counts as that version of torch."""
    lines = [line for line in lock.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"(?m)^(torch==[\d.]+)\+cpu", r"\1", "\n".join(lines) + "\n")


def main() -> None:
    """Write the files."""
    said = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    for name, requirements in wanted(said):
        (HERE / f"{name}.lock").write_text(HEAD + plain(resolved(requirements)), encoding="utf-8")


if __name__ == "__main__":
    main()
