"""Editors that cannot run here: the settings that ship start the server as they should, and it understands the editor.

`clients/` (and Helix's in `tests/lsp/clients`) hold what each editor says to a server; it is played to the real server.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import Editor
from vicinal_lsp.settings import parse

HERE = Path(__file__).parent
PLUGINS = HERE.parents[1] / "editor-plugins"
HELIX = HERE.parent / "lsp" / "clients" / "helix.json"
Json = dict[str, Any]


def commented(path: Path) -> Json:
    """JSON with comments, as these editors read it."""
    read: Json = json.loads(re.sub(r"^\s*//.*$", "", path.read_text("utf-8"), flags=re.MULTILINE))
    return read


def helix() -> tuple[list[str], Json, Json]:
    settings = tomllib.loads((PLUGINS / "helix" / "languages.toml").read_text("utf-8"))
    server = settings["language-server"]["vicinal"]
    assert all(language["language-servers"][-1] == "vicinal" for language in settings["language"])
    shape = json.loads(HELIX.read_text("utf-8"))
    return [server["command"], *server["args"]], server["config"], shape | {"context": shape["contexts"][0]}


def sublime() -> tuple[list[str], Json, Json]:
    client = commented(PLUGINS / "sublime" / "LSP.sublime-settings")["clients"]["vicinal"]
    return client["command"], client["initializationOptions"], json.loads((HERE / "clients/sublime.json").read_text())


def zed() -> tuple[list[str], Json, Json]:
    settings = commented(PLUGINS / "zed" / "settings.json")
    server = settings["lsp"]["pylsp"]
    assert "pylsp" in settings["languages"]["Python"]["language_servers"]
    command = [server["binary"]["path"], *server["binary"]["arguments"]]
    return command, server["initialization_options"], json.loads((HERE / "clients/zed.json").read_text())


@pytest.mark.parametrize("read", [helix, sublime, zed])
def test_the_settings_that_ship_bring_completions_into_the_menu(
    read: Any, scripted: Any, environment: dict[str, str], tmp_path: Path
) -> None:
    command, options, shape = read()
    assert command == ["vicinal", "lsp"]
    assert parse(options)[1] == ()
    scripted.says({"behind": "total = ", "texts": ["order.price(amount)"], "confidence": 0.82})
    said = json.dumps(shape["initialize"]).replace("$URI", scripted.shop.as_uri()).replace("$PATH", str(scripted.shop))
    with Editor(scripted.command, environment, tmp_path / "errors") as editor:
        asked = json.loads(said) | {"initializationOptions": options, "processId": None}
        found = editor.request("initialize", asked).result()["capabilities"]
        assert found["completionProvider"]["triggerCharacters"]
        editor.notify("initialized", {})
        uri = editor.open(scripted.write("order.py", "import shop\ntotal = "))
        place = {"textDocument": {"uri": uri}, "position": editor.position(uri, len(editor.texts[uri]))}
        result = editor.request("textDocument/completion", place | {"context": shape["context"]}).result()
        assert [item["textEdit"]["newText"] for item in result["items"]] == ["order.price(amount)"]
        assert result["items"][0]["detail"] == "Vicinal, 82% sure"
        assert editor.quit() == 0
    assert "Traceback" not in (tmp_path / "errors").read_text()
