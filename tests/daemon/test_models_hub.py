"""Pulling from a hub, which here is a few dozen lines over HTTP: the calls that a download makes."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from vicinal_daemon import models
from vicinal_daemon.errors import ModelError, ModelMissing, ModelUnusable
from vicinal_daemon.models.hub import wanted_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(repo_id: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Yield the hub's address and the list of file names it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            if path in (f"/api/models/{repo_id}", f"/api/models/{repo_id}/revision/{COMMIT}"):
                siblings = [
                    {"rfilename": name, "size": len(data), "blobId": _etag(data)} for name, data in files.items()
                ]
                document: object = {"id": repo_id, "sha": COMMIT, "siblings": siblings, "private": False}
            elif path == f"/api/models/{repo_id}/tree/{COMMIT}":
                document = [
                    {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                    for name, data in files.items()
                ]
            else:
                name = path.removeprefix(f"/{repo_id}/resolve/{COMMIT}/")
                if name not in files:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "RepoNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if body:
                    asked.append(name)
                self._send(files[name], {"ETag": f'"{_etag(files[name])}"', "X-Repo-Commit": COMMIT}, body=body)
                return
            self._send(json.dumps(document).encode(), {"Content-Type": "application/json"}, body=body)

        def _send(self, data: bytes, headers: Mapping[str, str], *, body: bool) -> None:
            self.send_response(200)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _etag(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def hub_files(tiny_model_dir: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in tiny_model_dir.iterdir()}
    return files | {"pytorch_model.bin": b"pickle", "modeling_x.py": b"raise SystemExit", "README.md": b"#"}


def test_a_hub_model_is_pulled_without_pickles_or_code(tmp_path: Path, tiny_model_dir: Path) -> None:
    files = hub_files(tiny_model_dir)
    stages: list[str] = []
    with serve("some/model", files) as (address, asked):
        folder = models.pull("some/model", tmp_path, lambda stage, done, total: stages.append(stage), endpoint=address)
    assert set(stages) == {"download", "hash"}
    assert sorted(set(asked)) == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert {path.name for path in (folder / "transformers").iterdir()} == set(asked)
    found = models.resolve("some/model", tmp_path)
    assert found.origin == f"hub some/model@{COMMIT}"
    models.verify("some/model", tmp_path)


def test_a_hub_model_of_one_gguf_file_is_converted(tmp_path: Path, tiny_gguf: Path) -> None:
    with serve("some/gguf", {"tiny.Q8_0.gguf": tiny_gguf.read_bytes(), "README.md": b"#"}) as (address, _):
        models.pull("some/gguf", tmp_path, endpoint=address)
    found = models.resolve("some/gguf", tmp_path)
    assert found.gguf is not None
    assert (found.transformers_dir / "model.safetensors").is_file()


def test_a_hub_without_the_model_and_no_hub_at_all(tmp_path: Path) -> None:
    with serve("some/model", {}) as (address, _), pytest.raises(ModelMissing, match="other/model"):
        models.pull("other/model", tmp_path, endpoint=address)
    with pytest.raises(ModelError, match="could not be reached") as gone:
        models.pull("some/model", tmp_path, endpoint=address)
    assert not isinstance(gone.value, ModelMissing)


def test_which_files_of_a_repository_are_wanted() -> None:
    doubled = {"model-1-of-2.safetensors": 5, "model-2-of-2.safetensors": 5, "consolidated.safetensors": 10}
    plan = wanted_files("a/b", {**doubled, "config.json": 1, "onnx/model.safetensors": 9, "q.gguf": 3})
    assert plan.names == ("config.json", "model-1-of-2.safetensors", "model-2-of-2.safetensors", "q.gguf")
    assert (plan.gguf, plan.total_bytes) == ("q.gguf", 14)
    with pytest.raises(ModelUnusable, match="2 GGUF files"):
        wanted_files("a/b", {"q4.gguf": 1, "q8.gguf": 2})
    with pytest.raises(ModelUnusable, match="pickles"):
        wanted_files("a/b", {"pytorch_model.bin": 1, "config.json": 1})
