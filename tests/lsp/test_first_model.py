"""A model that is not on this machine yet: asked for once, fetched with a bar that can be cancelled, or left."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vicinal_lsp.scripted import Editor

pytestmark = pytest.mark.slow  # real daemons

NAME = "some/tiny"
ASK = "window/showMessageRequest"
BAR = "Vicinal: fetching the model"
Start = Callable[..., tuple[Editor, Any]]


@pytest.fixture
def start(
    desk: Any,
    hub: Callable[..., Any],
    live_daemon: Callable[..., Any],
    tiny_model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Start]:
    """Starts a daemon without its model, and an editor whose user answers so; returns the editor and the hub."""
    files = {path.name: path.read_bytes() for path in tiny_model_dir.iterdir()}
    with hub(NAME, files, held=("model.safetensors",)) as small:
        monkeypatch.setenv("HF_ENDPOINT", small.address)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        editors: list[Editor] = []

        def begin(answer: str) -> tuple[Editor, Any]:
            editor = desk.bare(daemon=live_daemon(model__name=NAME, model__cache_dir=tmp_path / "cache"))
            editors.append(editor)
            editor.answers[ASK] = lambda _message: {"title": answer}
            editor.initialize(desk.shop, options=desk.options)
            editor.until(lambda: asked(editor))
            return editor, small

        yield begin
        for editor in editors:
            editor.quit()


def bars(editor: Editor, kind: str) -> list[Any]:
    """What was said of bars for the download, by kind."""
    told = editor.told("$/progress")
    tokens = [one["token"] for one in told if one["value"].get("title") == BAR]
    return [one for one in told if one["token"] in tokens and one["value"]["kind"] == kind]


def asked(editor: Editor) -> list[str]:
    return [message["params"]["message"] for message in editor.asked if message["method"] == ASK]


def last_status(editor: Editor) -> Any:
    return editor.told("didChangeStatus")[-1]


def test_fetch_it_fetches_the_model_and_completes_with_it(desk: Any, start: Start) -> None:
    editor, hub = start("Fetch it")
    editor.until(lambda: bars(editor, "begin"))
    assert bars(editor, "begin")[0]["value"]["cancellable"] is True
    assert last_status(editor)["kind"] == "InProgress"
    hub.release()
    uri = editor.open(desk.document())
    editor.until(lambda: last_status(editor)["kind"] == "Normal")
    assert desk.offered(editor, uri)
    assert not editor.told("window/showMessage")
    assert len(bars(editor, "end")) == len(bars(editor, "begin"))
    assert len(asked(editor)) == 1
    assert NAME in asked(editor)[0]


def test_the_bar_can_be_cancelled(start: Start) -> None:
    editor, _ = start("Fetch it")
    editor.until(lambda: bars(editor, "begin"))
    editor.notify("window/workDoneProgress/cancel", {"token": bars(editor, "begin")[0]["token"]})
    editor.until(lambda: bars(editor, "end"))
    editor.until(lambda: last_status(editor)["kind"] == "Warning")
    assert f"{NAME} is not on this machine" in last_status(editor)["message"]
    assert len(bars(editor, "begin")) == 1
    assert len(asked(editor)) == 1


def test_not_now_leaves_it_and_is_not_asked_again(desk: Any, start: Start) -> None:
    editor, hub = start("Not now")
    uri = editor.open(desk.document())
    assert editor.inline(uri).result() == {"items": []}
    assert "vicinal models pull" in editor.told("window/showMessage")[-1]["message"]
    editor.command("vicinal.restartDaemon")
    assert editor.inline(uri).result() == {"items": []}
    assert len(asked(editor)) == 1
    assert not bars(editor, "begin")
    assert hub.asked == []
