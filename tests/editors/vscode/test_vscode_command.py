"""The command `vicinal`: missing, chosen, installed; and with nothing scripted, the real one."""

import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.editor, pytest.mark.timeout(400)]

STAND_IN = """
import os, sys

def main():
    os.execv({python!r}, [{python!r}, {server!r}, {script!r}, *sys.argv[1:]])
"""


def wheel_of(folder: Path, scripted: Any) -> Path:
    """A package `vicinal` whose command is the scripted one; it needs nothing from anywhere."""
    server = str(Path(__file__).with_name("scripted_server.py"))
    module = STAND_IN.format(python=sys.executable, server=server, script=str(scripted.script))
    info = "vicinal-0.0.1.dist-info"
    files = {
        "vicinal_stand_in.py": module,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: vicinal\nVersion: 0.0.1\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nvicinal = vicinal_stand_in:main\n",
    }
    wheel = folder / "vicinal-0.0.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    return wheel


def test_without_the_command_it_says_so_and_installs_it(code: Any, scripted: Any, tmp_path: Path) -> None:
    scripted.says({"after": "order = ", "texts": ["find(message)"]})
    code.settings(vicinal__command=str(tmp_path / "nowhere" / "vicinal"))
    code.open(scripted.shop, "refund.py")
    code.until_status("Vicinal: not installed")
    code.until_tooltip("nowhere")
    code.settings(vicinal__package=str(wheel_of(tmp_path, scripted)), vicinal__minConfidence=0)
    code.open(scripted.shop, "refund.py")
    code.until_status("Vicinal: not installed")
    code.until_tooltip("the command vicinal was not found")
    code.ask("click", '.notification-list-item .monaco-button:has-text("Install")')
    code.until_text(".quick-input-list .monaco-list-row", "an environment of its own")
    code.shot("vscode-install")
    code.ask("type", "python", 0)
    code.press("Enter")
    code.until_status("Vicinal")
    code.fresh(scripted.shop, "installed.py", "")
    code.type("order = ")
    code.until_ghost("find(message)")


def test_a_command_that_is_no_server_is_an_error_with_what_to_do(code: Any, scripted: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("#!/bin/sh\necho no such thing >&2\nexit 1\n")
    wrong.chmod(0o755)
    code.settings(vicinal__command=str(wrong))
    code.open(scripted.shop, "refund.py")
    code.until("() => document.querySelector('.statusbar-item.error-kind[id^=\"vicinal.vicinal\"]')")
    code.until_tooltip("did not start")
    code.until_tooltip("Show Log")
    code.settings(vicinal__command=str(scripted.command))
    code.until_status("Vicinal")


def test_the_first_steps_open(code: Any, scripted: Any) -> None:
    code.settings(vicinal__command=str(scripted.command))
    code.open(scripted.shop, "refund.py")
    code.until_status("Vicinal")
    code.command("Vicinal: First Steps")
    for title in ("Install the command", "Choose a model", "Let it read your repository"):
        code.until_text(".getting-started-step", title)


@pytest.mark.model
def test_with_the_real_daemon_and_model(code: Any, real_vicinal: Path, new_shop: Any, tmp_path: Path) -> None:
    shop = new_shop(tmp_path / "shop")
    begun = (
        (shop / "refund.py").read_text().replace("refund", "voucher").replace("Refund", "Voucher").split("order =")[0]
    )
    code.settings(vicinal__command=str(real_vicinal), vicinal__minConfidence=0, vicinal__budgetInvokedMs=60_000)
    code.open(shop, "refund.py")
    code.until_status("Vicinal")
    voucher = code.fresh(shop, "voucher.py", begun)
    code.type("order = self.")
    code.press("Alt+\\")
    code.until("selector => document.querySelector(selector)", ".ghost-text-decoration")
    code.until(
        "selector => /Vicinal.* \\d+%$/.test(document.querySelector(selector)?.textContent.trim())",
        '.statusbar-item[id^="vicinal.vicinal"]',
    )
    code.shot("vscode-real")
    code.press("Tab")
    code.until_no_ghost()
    said = code.saved(voucher)
    assert said.startswith(f"{begun}order = self.")
    assert len(said) > len(f"{begun}order = self.")
