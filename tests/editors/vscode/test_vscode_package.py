"""What is in the package, and that what is written about it is so. No editor is needed, only what it is built with."""

import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.settings import LspSettings, settings_rows

pytestmark = [pytest.mark.editor, pytest.mark.timeout(400)]

FOLDER = Path(__file__).parents[3] / "editor-plugins" / "vscode"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "package.json").read_text())
PROPERTIES: dict[str, Any] = {
    key: value for part in MANIFEST["contributes"]["configuration"] for key, value in part["properties"].items()
}


def test_the_pure_parts_pass_their_own_tests(tools: Any) -> None:
    done = tools.npm_run("test")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_holds_what_it_needs_and_nothing_else(vsix: Path) -> None:
    with zipfile.ZipFile(vsix) as archive:
        names = {name.removeprefix("extension/") for name in archive.namelist() if name.startswith("extension/")}
        code = "".join(archive.read(f"extension/dist/{name}.js").decode() for name in ("extension", "client"))
    steps = {step["media"]["markdown"] for step in MANIFEST["contributes"]["walkthroughs"][0]["steps"]}
    expected = {"package.json", "readme.md", "changelog.md", "LICENSE.txt", "media/icon.png", *steps}
    assert names == expected | {"dist/extension.js", "dist/client.js"}
    assert vsix.stat().st_size < 400_000
    assert not re.search(
        r"TelemetryReporter|createTelemetryLogger|appinsights|api[_-]?key\s*[:=]\s*[\"']\w", code, re.IGNORECASE
    )
    # Where nothing is asked over the network there is no code that could.
    assert not re.search(r"require\(\"(node:)?(https?|tls|dgram|undici)\"\)|XMLHttpRequest|WebSocket\(", code)


def test_the_lockfile_names_no_registry() -> None:
    assert '"resolved"' not in (FOLDER / "package-lock.json").read_text()


def test_the_readme_has_the_settings_and_commands_of_the_manifest(tools: Any) -> None:
    check = [tools.node, str(FOLDER / "scripts" / "readme.mjs"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_is_the_servers_has_its_default_and_its_words() -> None:
    rows = {f"vicinal.{row.key}": row for row in settings_rows() if row.key != "notify"}
    assert set(rows) <= set(PROPERTIES)
    for key, row in rows.items():
        assert json.dumps(PROPERTIES[key]["default"]) == row.default.strip("`"), key
        assert PROPERTIES[key]["markdownDescription"] == row.meaning, key


def test_nothing_that_runs_on_the_machine_is_chosen_by_a_folder() -> None:
    for key in ("command", "package", "model", "environment"):
        assert PROPERTIES[f"vicinal.{key}"]["scope"] == "machine"


def test_every_key_and_step_names_a_command_that_is_there() -> None:
    contributes = MANIFEST["contributes"]
    known = {command["command"] for command in contributes["commands"]}
    assert {binding["command"] for binding in contributes["keybindings"]} <= known
    said = json.dumps(contributes["walkthroughs"])
    assert set(re.findall(r"command:(vicinal\.\w+)", said)) <= known
    registered = set(re.findall(r"^      (\w+): ", (FOLDER / "src" / "extension.ts").read_text(), re.MULTILINE))
    assert {name.removeprefix("vicinal.") for name in known} <= registered | {"suggest"}
    assert LspSettings().notify
