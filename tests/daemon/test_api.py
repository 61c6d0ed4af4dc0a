"""The API as clients meet it: a real daemon process on a TCP port, a real index, a small real model."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi import checks as openapi_checks

LiveDaemon = Any  # of conftest.py
OTHER_NAMES = ("parcel", "voucher", "tariff")
LINE = 10


@pytest.fixture(scope="module")
def live(live_daemon: Callable[..., LiveDaemon]) -> LiveDaemon:
    return live_daemon(daemon__tcp=True)


@pytest.fixture(scope="module")
def http(live: LiveDaemon) -> Iterator[httpx2.Client]:
    with live.http() as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(live: LiveDaemon, http: httpx2.Client, new_shop: Callable[..., Path]) -> Path:
    """A repository that is open and indexed."""
    return indexed(http, new_shop(live.folder / "shop"))


@pytest.fixture(scope="module")
def other_folder(live: LiveDaemon, http: httpx2.Client, new_shop: Callable[..., Path]) -> Path:
    """Another one, whose modules are alike in form and differ in words."""
    return indexed(http, new_shop(live.folder / "depot", OTHER_NAMES))


def indexed(http: httpx2.Client, root: Path) -> Path:
    done = http.post("/v1/index", json={"root": str(root), "action": "wait"})
    assert done.status_code == 200, done.text
    return root


def place(folder: Path, **more: object) -> dict[str, object]:
    values = {"workspace": str(folder), "path": "payment.py", "line": LINE, "replace_lines": 1, "wait_for_index": True}
    return values | more


def trouble(response: httpx2.Response) -> dict[str, Any]:
    """The error that a response tells, in the one shape that errors have."""
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message", "hint", "exit_code"}
    found: dict[str, Any] = body["error"]
    return found


def events_of(response: httpx2.Response) -> list[tuple[str, Any]]:
    """The server-sent events of a finished stream: name and data, the data as JSON unless it is none."""
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in response.text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = fields["data"]
        found.append((fields.get("event", ""), data if data == "[DONE]" else json.loads(data)))
    return found


# The contract: what /openapi.json says is so.

FUZZED = {
    ("GET", "/healthz"),
    ("GET", "/metrics"),
    ("GET", "/v1/status"),
    ("POST", "/v1/complete"),
    ("POST", "/v1/hint"),
    ("POST", "/v1/cancel"),
    ("POST", "/v1/query"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/feedback"),
    ("DELETE", "/v1/feedback"),
    ("GET", "/v1/workspaces"),
    ("POST", "/v1/workspaces"),
    ("DELETE", "/v1/workspaces"),
    ("POST", "/v1/index"),
    ("GET", "/v1/adapters"),
    ("POST", "/v1/adapters/{key}/pin"),
    ("DELETE", "/v1/adapters/{key}"),
    ("GET", "/v1/models/local"),
    ("DELETE", "/v1/models/pull"),
    ("GET", "/v1/models"),
    ("POST", "/v1/completions"),
}
NOT_FUZZED = {
    ("POST", "/v1/forget"),  # starts the engine anew each time
    ("POST", "/v1/models/pull"),  # uses the network
    ("GET", "/v1/events"),  # does not end
    ("POST", "/v1/shutdown"),
}
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]


@pytest.fixture(scope="module")
def contract(live: LiveDaemon, http: httpx2.Client) -> schemathesis.BaseSchema:
    schema = schemathesis.openapi.from_dict(http.get("/openapi.json").json())
    schema.config.update(base_url=live.connection.address, headers=dict(http.headers))
    return schema


def test_every_route_is_fuzzed_or_has_a_reason_not_to_be(contract: schemathesis.BaseSchema) -> None:
    operations = [found.ok() for found in contract.get_all_operations()]
    assert {(operation.method.upper(), operation.path) for operation in operations} == FUZZED | NOT_FUZZED


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(("method", "path"), sorted(FUZZED))
def test_what_the_contract_says_holds(
    contract: schemathesis.BaseSchema, folder: Path, method: str, path: str, mode: GenerationMode
) -> None:
    operation = contract[path][method]
    takes_something = operation.body or operation.query or operation.path_parameters
    if mode == GenerationMode.NEGATIVE and not takes_something:
        pytest.skip("nothing of it can be wrong")

    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    @settings(
        max_examples=12 if takes_something else 1,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def holds(case: schemathesis.Case, real: bool) -> None:
        body = case.body
        if mode == GenerationMode.POSITIVE and real and isinstance(body, dict):
            for name in {"workspace", "root"} & body.keys():
                body[name] = str(folder)
            if "line" in body:
                body |= {"path": "payment.py", "line": LINE, "column": 1, "text": None, "settings": {}}
        if isinstance(body, dict) and isinstance(body.get("max_tokens"), int):
            body["max_tokens"] = min(body["max_tokens"], 8)  # as true, and sooner said
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            assert response.json()["error"]["message"]

    holds()


# Who may ask, and what cannot be asked.


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "vicinal.example"},
        {"Host": "vicinal.example:80"},
        {"Host": "localhost.example"},
    ],
)
def test_web_pages_and_other_hosts_are_refused(http: httpx2.Client, headers: dict[str, str]) -> None:
    for path in ("/healthz", "/v1/status", "/nowhere"):
        refused = http.get(path, headers=headers)
        assert refused.status_code == 403
        assert trouble(refused)["type"] == "access-denied"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:1", "[::1]", "[::1]:1"])
def test_this_machine_may_be_called_by_its_names(http: httpx2.Client, host: str) -> None:
    assert http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer wrong", "Basic wrong"])
def test_a_port_wants_the_token(live: LiveDaemon, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    refused = httpx2.get(f"{live.connection.address}/v1/status", headers=headers, trust_env=False)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert trouble(refused)["type"] == "access-denied"


def test_a_body_that_is_too_large_is_refused_with_its_length_or_without(http: httpx2.Client) -> None:
    piece = b" " * 1_000_000

    def pieces() -> Iterator[bytes]:
        yield b'{"path": "'
        for _ in range(11):
            yield piece
        yield b'"}'

    for content in (b"".join(pieces()), pieces()):
        refused = http.post("/v1/complete", content=content, headers={"Content-Type": "application/json"})
        assert refused.status_code == 413
        assert trouble(refused)["type"] == "too-large"
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"workspace": "/nowhere", "path": "a.py", "line": "ten"}',
        b'{"workspace": "/nowhere", "path": "a.py", "line": 0}',
        b'{"workspace": "nowhere", "path": "a.py", "line": 1}',
        b'{"workspace": "/nowhere", "path": "a.py", "line": 1, "more": 1}',
        b'{"workspace": "/nowhere", "path": "a.py", "line": 1, "\\ud800": 1}',
        b'{"workspace": "/nowhere", "path": "\\ud800", "line": 1}',
        b'{"workspace": "/nowhere\\ud800", "path": "a", "line": 1}',
        b'{"workspace": "/nowhere", "path": "a\\u0000", "line": 1}',
        b'{"workspace": "/nowhere\\u0000", "path": "a", "line": 1}',
        b'{"workspace": "/nowhere", "path": "a", "line": 1e400}',
        b'{"workspace": "/nowhere", "path": "a", "line": NaN}',
        b'{"workspace": "/nowhere", "path": "a", "line": 1}',
        b'{"path": "a.py", "line": 1}',
        b'{"workspace": "/nowhere", "path": "a", "line": ' + b"1" * 5000 + b"}",
        b"[" * 100_000,
    ],
)
def test_what_cannot_be_right_is_told_as_such(http: httpx2.Client, content: bytes) -> None:
    refused = http.post("/v1/complete", content=content, headers={"Content-Type": "application/json"})
    assert refused.status_code in (400, 422), refused.text
    told = trouble(refused)
    assert (told["type"], told["exit_code"]) == ("input-error", 2)
    assert told["message"]
    assert told["hint"]


def test_what_is_not_there_is_told_in_the_same_shape(http: httpx2.Client) -> None:
    missing = http.get("/v2/complete")
    assert (missing.status_code, trouble(missing)["type"]) == (404, "not-found")
    wrong = http.put("/v1/complete", json={})
    assert (wrong.status_code, trouble(wrong)["type"]) == (405, "method-not-allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize("root", ["/", "//", "/tmp/..", "~", "~/.."])  # noqa: S108 - nothing is written there
def test_the_whole_machine_is_no_repository(http: httpx2.Client, root: str) -> None:
    path = str(Path(root).expanduser().resolve()) if root.startswith("~") else root
    requests: list[tuple[str, dict[str, object]]] = [
        ("/v1/workspaces", {"root": path}),
        ("/v1/index", {"root": path}),
        ("/v1/query", {"workspace": path, "text": "q"}),
        ("/v1/complete", {"workspace": path, "path": "new.py", "text": "", "line": 1}),
        ("/v1/complete", {"path": f"{path}/new.py", "text": "", "line": 1}),
        ("/v1/hint", {"workspace": path, "path": "new.py", "text": "", "line": 1}),
        ("/v1/completions", {"workspace": path, "prompt": "x"}),
    ]
    for route, body in requests:
        refused = http.post(route, json=body)
        assert (refused.status_code, trouble(refused)["type"]) == (422, "input-error"), route
        assert "every" in trouble(refused)["message"]
    assert path not in {workspace["root"] for workspace in http.get("/v1/workspaces").json()["workspaces"]}


# Documents that belong to no repository.


def roots(http: httpx2.Client) -> set[str]:
    return {workspace["root"] for workspace in http.get("/v1/workspaces").json()["workspaces"]}


@pytest.mark.parametrize("path", ["untitled:Untitled-1", "/new.py", "~/new.py", "C:\\new.py", "../../etc/passwd"])
def test_a_document_that_stands_alone_is_answered_from_its_text_alone(http: httpx2.Client, path: str) -> None:
    known = roots(http)
    body = {"alone": True, "path": path, "text": "def add(a, b):\n    return ", "line": 2, "column": 12}
    answer = http.post("/v1/complete", json=body | {"wait_for_index": True}).json()
    assert (answer["repository"], answer["path"]) == ("", path)
    assert answer["completion"]["text"]
    assert (answer["adaptation"]["kind"], answer["adaptation"]["behind"], answer["evidence"]) == ("base", False, [])
    assert http.post("/v1/hint", json=body).json()["said"] == "nothing to study"
    ahead = body | {"text": f"{body['text']}{answer['completion']['text'][0]}", "column": 13}
    assert http.post("/v1/complete", json=ahead).json()["typed_ahead"]
    assert http.post("/v1/cancel", json={"alone": True, "path": path}).json()["count"] == 0
    assert roots(http) == known


def test_a_document_that_stands_alone_has_a_text_and_no_workspace(http: httpx2.Client, folder: Path) -> None:
    body = {"alone": True, "path": str(folder / "payment.py"), "line": 1}
    for route in ("/v1/complete", "/v1/hint"):
        for wrong, words in (({}, "disk"), ({"text": "", "workspace": str(folder)}, "no workspace")):
            refused = http.post(route, json=body | wrong)
            assert (refused.status_code, trouble(refused)["type"]) == (422, "input-error")
            assert words in trouble(refused)["message"]
            assert trouble(refused)["hint"]
    assert http.post("/v1/cancel", json={"alone": True, "path": "a", "workspace": str(folder)}).status_code == 422


def test_a_document_that_stands_alone_is_cancelled_by_its_name(live: LiveDaemon, http: httpx2.Client) -> None:
    live.until(lambda: busy(http) == 0)
    body: dict[str, object] = {
        "alone": True, "path": "untitled:1", "client": "editor", "line": 1, "text": "",
        "lines": 100, "settings": {"generate.max_tokens": 4096},
    }  # fmt: skip
    with asked_by_hand(live, "/v1/complete", body) as opened:
        live.until(lambda: busy(http) == 1)
        named = {"alone": True, "path": "untitled:1"}
        assert http.post("/v1/cancel", json=named | {"client": "another"}).json()["count"] == 0
        assert http.post("/v1/cancel", json=named | {"client": "editor"}).json()["count"] == 1
        assert b" 499 " in opened.recv(100)


# Feedback.


def test_every_answer_takes_feedback_also_one_that_was_typed_ahead(http: httpx2.Client, folder: Path) -> None:
    http.delete("/v1/feedback")
    body = place(
        folder, text=prompt_from(folder, "refund"), path="new.py", line=LINE + 1, budget_ms=1, client="feedback"
    )
    first = http.post("/v1/complete", json=body).json()
    said = first["completion"]["text"]
    typed = {"text": f"{body['text']}{said[0]}", "column": 2}
    ahead = http.post("/v1/complete", json=body | typed).json()
    assert ahead["typed_ahead"]
    for answer, event in ((first, "shown"), (first, "rejected"), (ahead, "shown"), (ahead, "accepted")):
        told = http.post("/v1/feedback", json={"id": answer["id"], "event": event})
        assert told.json() == {"said": "noted"}
    state = http.get("/v1/feedback").json()
    assert (state["enabled"], state["answers"]) == (True, 2)
    assert state["events"] == {"accepted": 1, "rejected": 1, "shown": 2}
    assert sum(kind["accepted"] for kind in state["kinds"]) == 1
    http.delete("/v1/feedback")
    assert http.get("/v1/feedback").json()["answers"] == 0


# The routes of OpenAI's clients.


def prompt_from(root: Path, name: str) -> str:
    return "\n".join((root / f"{name}.py").read_text().split("\n")[:LINE]) + "\n"


def test_openai_models(live: LiveDaemon, http: httpx2.Client) -> None:
    told = http.get("/v1/models").json()
    assert told["object"] == "list"
    (model,) = told["data"]
    assert model["object"] == "model"
    assert model["id"].startswith("/")


@pytest.mark.parametrize("suffix", [None, "\n\ndef after():\n    pass\n"])
def test_openai_completion(http: httpx2.Client, folder: Path, suffix: str | None) -> None:
    body = {"prompt": prompt_from(folder, "payment"), "max_tokens": 6, "suffix": suffix, "temperature": 0.2}
    answer = http.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["object"] == "text_completion"
    (choice,) = told["choices"]
    assert choice["text"]
    assert choice["finish_reason"] == "length"
    assert 0 < told["usage"]["completion_tokens"] <= 6
    assert http.post("/v1/completions", json=body).json()["choices"][0]["text"] == choice["text"]


@pytest.mark.parametrize("shape", [str, lambda stop: ["never there", stop]])
def test_openai_stop(http: httpx2.Client, folder: Path, shape: Callable[[str], object]) -> None:
    body = {"prompt": prompt_from(folder, "payment"), "max_tokens": 12}
    whole = http.post("/v1/completions", json=body).json()["choices"][0]["text"]
    stop = whole[len(whole) // 2 :][:2]
    cut = http.post("/v1/completions", json={**body, "stop": shape(stop)}).json()["choices"][0]
    assert cut["text"] == whole[: whole.index(stop)]
    assert cut["finish_reason"] == "stop"


@pytest.mark.parametrize("more", [{}, {"suffix": "\n)\n"}, {"stop": "stop"}, {"max_tokens": 1}])
def test_openai_stream_says_the_same_as_the_whole_answer(
    http: httpx2.Client, folder: Path, more: dict[str, object]
) -> None:
    body = {"prompt": prompt_from(folder, "refund"), "max_tokens": 12, **more}
    if "stop" in more:
        text = http.post("/v1/completions", json={**body, "stop": None}).json()["choices"][0]["text"]
        body["stop"] = text[len(text) // 2 :][:3]
    whole = http.post("/v1/completions", json=body).json()
    *pieces, done = events_of(http.post("/v1/completions", json={**body, "stream": True}))
    assert done == ("", "[DONE]")
    said = [piece for _, piece in pieces]
    assert "".join(piece["choices"][0]["text"] for piece in said) == whole["choices"][0]["text"]
    assert [piece["choices"][0]["finish_reason"] for piece in said[:-1]] == [None] * (len(said) - 1)
    assert said[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert len({piece["id"] for piece in said}) == 1
    if not more:
        assert len(said) > 2


def test_openai_prompts_are_placed_in_the_repository_they_come_from(
    http: httpx2.Client, folder: Path, other_folder: Path
) -> None:
    for root, name in ((folder, "refund"), (other_folder, "parcel"), (folder, "invoice"), (other_folder, "tariff")):
        body = {"prompt": prompt_from(root, name), "max_tokens": 2}
        told = http.post("/v1/completions", json=body).json()["vicinal"]
        assert (told["repository"], told["path"]) == (str(root), f"{name}.py")
        assert told["evidence"]
        assert f"{name}.py" not in {
            piece["path"] for piece in told["evidence"]
        }  # where in it the prompt is, is unknown


def test_an_openai_prompt_from_nowhere_is_answered_by_the_base_model(http: httpx2.Client, folder: Path) -> None:
    prompt = "Sphinx of black quartz, judge my vow.\nPack my box with five dozen liquor jugs.\nThe quick"
    told = http.post("/v1/completions", json={"prompt": prompt, "max_tokens": 4}).json()
    assert told["choices"][0]["text"]
    assert told["vicinal"]["repository"] == ""
    assert told["vicinal"]["adaptation"]["kind"] == "base"
    assert told["vicinal"]["evidence"] == []


def test_openai_errors_have_our_shape(http: httpx2.Client) -> None:
    for body in ({"prompt": ["a", "b"]}, {"prompt": []}, {"prompt": 1}, {}, {"prompt": "x", "n": 2}):
        assert trouble(http.post("/v1/completions", json=body))["type"] == "input-error"


@contextmanager
def asked_by_hand(live: LiveDaemon, route: str, body: dict[str, object], *headers: str) -> Iterator[socket.socket]:
    """A request on a socket of its own, which can be torn down at any moment."""
    host, port = live.connection.address.removeprefix("http://").split(":")
    content = json.dumps(body).encode()
    lines = (
        f"POST {route} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {live.connection.token}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *headers,
    )
    with socket.create_connection((host, int(port)), timeout=60) as opened:
        opened.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        yield opened


def busy(http: httpx2.Client) -> int:
    requests: int = http.get("/v1/status").json()["queue"]["requests"]
    return requests


@pytest.mark.parametrize("stream", [True, False])
def test_an_openai_client_that_leaves_calls_its_request_off(
    live: LiveDaemon,
    http: httpx2.Client,
    folder: Path,
    stream: bool,
) -> None:
    live.until(lambda: busy(http) == 0)
    body: dict[str, object] = {"prompt": prompt_from(folder, "payment"), "max_tokens": 4096, "stream": stream}
    with asked_by_hand(live, "/v1/completions", body) as opened:
        if stream:
            assert opened.recv(100)
        live.until(lambda: busy(http) == 1)
    live.until(lambda: busy(http) == 0 and not http.get("/v1/status").json()["queue"]["running"])


# Server-sent events.

STREAM = {"Accept": "text/event-stream"}


def test_a_stream_tells_progress_then_one_result(http: httpx2.Client, folder: Path) -> None:
    body = place(folder, settings={"seed": 5})
    *progress, (last, result) = events_of(http.post("/v1/complete", json=body, headers=STREAM))
    assert last == "result"
    assert {name for name, _ in progress} == {"progress"}
    stages = [event["stage"] for _, event in progress]
    assert [stage for n, stage in enumerate(stages) if stage not in stages[:n]] == [
        "index",
        "candidates",
        "tune",
        "generate",
    ]
    assert [event["done"] for _, event in progress if event["stage"] == "tune"] == [0, 1, 2, 3]
    assert result["path"] == "payment.py"


def test_an_error_ends_a_stream_as_its_one_event(http: httpx2.Client, folder: Path) -> None:
    for body in (place(folder, line=10_000), place(folder.parent / "nowhere")):
        (name, told), *others = events_of(http.post("/v1/complete", json=body, headers=STREAM))
        assert others == []
        assert name == "error"
        assert told["error"]["type"] == "input-error"


def test_events_say_hello_and_tell_of_a_changed_index(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    with http.sse("/v1/events") as source:
        events = iter(source)
        assert json.loads(next(events).data)["name"] == "hello"
        (folder / "late.py").write_text("def late():\n    return 'late'\n")
        told = next(found for sent in events if (found := json.loads(sent.data))["name"] == "index")
        assert told["workspace"] == str(folder)


# Numbers.


def sample(http: httpx2.Client, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(http.get("/metrics").text)
    return sum(
        found.value
        for family in families
        for found in family.samples
        if found.name == name and labels.items() <= found.labels.items()
    )


def test_metrics_count_what_was_asked(http: httpx2.Client, folder: Path) -> None:
    def numbers() -> tuple[float, ...]:
        return (
            sample(http, "vicinal_answers_total"),
            sample(http, "vicinal_queries_total"),
            sample(http, "vicinal_requests_dropped_total", error="input-error"),
            sample(http, "vicinal_stage_seconds_count", stage="generate"),
        )

    before = numbers()
    assert http.post("/v1/complete", json=place(folder, path="discount.py")).status_code == 200
    assert http.post("/v1/query", json={"workspace": str(folder), "text": "refund receipt"}).status_code == 200
    assert http.post("/v1/complete", json=place(folder, line=10_000)).status_code == 422
    assert [now - then for now, then in zip(numbers(), before, strict=True)] == [1, 1, 1, 1]
    assert sample(http, "vicinal_workspaces") >= 1
    assert sample(http, "vicinal_memory_bytes", of="engine") > 0


@pytest.mark.slow
def test_nothing_leaks(live: LiveDaemon, http: httpx2.Client, folder: Path) -> None:
    def ask(count: int) -> None:
        for number in range(count):
            body = place(
                folder,
                line=LINE + number % 3,
                wait_for_index=False,
                client=f"editor {number % 7}",
                settings={"tune.steps": 0},
            )
            assert http.post("/v1/complete", json=body).status_code == 200
            if number % 10 == 0:
                assert http.post("/v1/query", json={"workspace": str(folder), "text": f"q{number}"}).status_code == 200
                http.post("/v1/complete", json=body | {"line": 10_000}, headers=STREAM)

    def held() -> tuple[int, int]:
        return live.process.num_threads(), live.process.num_fds()

    ask(50)
    live.until(lambda: not http.get("/v1/status").json()["queue"]["running"])
    before = held()
    ask(150)
    live.until(lambda: not http.get("/v1/status").json()["queue"]["running"])
    after = held()
    assert after[0] <= before[0] + 8, (before, after)
    assert after[1] <= before[1] + 8, (before, after)


def test_a_daemon_that_ends_closes_its_streams_in_order(live: LiveDaemon) -> None:
    """The last test of this module: it ends the daemon."""
    with live.http() as own, own.sse("/v1/events") as source:
        events = iter(source)
        assert json.loads(next(events).data)["name"] == "hello"
        began = time.monotonic()
        assert live.stop() == 0
        assert list(events) is not None  # ended as a stream ends, not torn off
    assert live.place.serving() is None
    assert time.monotonic() - began < 60
