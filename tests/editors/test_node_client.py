"""A second, independent client: Microsoft's `vscode-languageserver-protocol` completes in three languages."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.editor

NODE = Path(__file__).with_name("node")
INSTALL_SECONDS = 120
TEXTS = {
    "python": ("order.py", "def price(order):\n    return order.total("),
    "typescript": ("order.ts", "export function price(order: Order): number {\n    return order.total("),
    "go": ("order.go", "package shop\n\nfunc Price(order Order) int {\n\treturn order.Total("),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The client's command, with its library as `package-lock.json` pins it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(NODE / name, folder)
    install = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline"]
    try:
        done = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install the client's library in {INSTALL_SECONDS} s")
    if done.returncode != 0:
        pytest.skip(f"npm could not install the client's library: {done.stderr[-500:]}")
    return [node, str(folder / "client.mjs")]


def test_a_client_of_its_own_completes_in_three_languages(
    client: list[str], live_daemon: Callable[..., Any], new_shop: Callable[..., Path], tmp_path: Path
) -> None:
    shop = new_shop(tmp_path / "shop")
    documents = [
        {"uri": (shop / name).as_uri(), "language": language, "text": text} for language, (name, text) in TEXTS.items()
    ]
    done = subprocess.run(
        [*client, str(shop), sys.executable, "-m", "vicinal_lsp", "--stdio"],
        input=json.dumps(documents),
        env=live_daemon().environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["exit"] == 0
    assert said["capabilities"]["inlineCompletionProvider"] == {}
    assert "completionProvider" not in said["capabilities"]
    assert said["messages"] == []
    assert {answer["uri"] for answer in said["answers"]} == {document["uri"] for document in documents}
    assert [completion["language"] for completion in said["completions"]] == list(TEXTS)
    for completion in said["completions"]:
        assert completion["items"], completion["language"]
        for item in completion["items"]:
            assert item["insertText"].strip()
            assert item["command"]["command"] == "vicinal.accept"
    assert "Traceback" not in done.stderr
