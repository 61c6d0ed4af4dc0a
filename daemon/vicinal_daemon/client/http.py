"""Ask the daemon: one method for each thing it can be asked.

Owns routes, the stream of events around a long request, and errors as they cross the API. It does not know how a daemon
is found or started, and never uses a proxy.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

from vicinal_daemon.client.connection import Connection
from vicinal_daemon.client.transport import CONNECT_SECONDS, open_http
from vicinal_daemon.errors import DaemonUnreachable, from_trouble
from vicinal_daemon.protocol.answers import Answer, Findings
from vicinal_daemon.protocol.requests import (
    CancelRequest,
    CompleteRequest,
    FeedbackRequest,
    ForgetRequest,
    HintRequest,
    IndexRequest,
    ModelPullRequest,
    PinRequest,
    QueryRequest,
    WorkspaceRequest,
)
from vicinal_daemon.protocol.state import (
    AdaptersState,
    DaemonState,
    Event,
    Failed,
    FeedbackState,
    ForgottenState,
    IndexedState,
)
from vicinal_indexer.errors import VicinalError

OnEvent = Callable[[Event], None]
Json = dict[str, Any]
Method = Literal["GET", "POST", "DELETE"]
Model = TypeVar("Model")

PATIENCE_SECONDS: Final = 30.0
"""For what needs no model; a daemon that takes longer is stuck."""
_LONG: Final = httpx2.Timeout(PATIENCE_SECONDS, connect=CONNECT_SECONDS, read=None)
"""For what takes as long as it takes. The daemon watches its engine; a daemon that dies closes the connection."""
_EVENT_BYTES: Final = 64_000_000
_JSON: Final = TypeAdapter(Json)
_RESTART: Final = "`vicinal daemon restart`, so that both are of one version"


class Client:
    """One daemon. Threads may share a client: one can cancel what another waits for.

    Every method raises the error that the daemon raised, by its class; and `DaemonUnreachable` if the daemon is gone,
    goes away meanwhile or answers what is not understood. With `on_event` a request tells its progress on the way.
    `patience_seconds` is for requests that need no model; the others wait for as long as the daemon lives.
    """

    def __init__(self, connection: Connection, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.connection = connection
        self._http = open_http(connection, patience_seconds)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def health(self) -> Json:
        """`GET /healthz`."""
        return self._ask("GET", "/healthz")

    def status(self) -> DaemonState:
        """`GET /v1/status`."""
        return self._understood(DaemonState, self._request("GET", "/v1/status").content)

    def complete(self, request: CompleteRequest, on_event: OnEvent | None = None) -> Answer:
        """`POST /v1/complete`."""
        return self._understood(Answer, self._long("/v1/complete", request, on_event))

    def query(self, request: QueryRequest, on_event: OnEvent | None = None) -> Findings:
        """`POST /v1/query`."""
        return self._understood(Findings, self._long("/v1/query", request, on_event))

    def cancel(self, request: CancelRequest) -> Json:
        """`POST /v1/cancel`."""
        return self._ask("POST", "/v1/cancel", request)

    def hint(self, request: HintRequest) -> Json:
        """`POST /v1/hint`."""
        return self._ask("POST", "/v1/hint", request)

    def feedback(self, request: FeedbackRequest) -> Json:
        """`POST /v1/feedback`."""
        return self._ask("POST", "/v1/feedback", request)

    def feedback_state(self) -> FeedbackState:
        """`GET /v1/feedback`."""
        return self._understood(FeedbackState, self._request("GET", "/v1/feedback").content)

    def erase_feedback(self) -> Json:
        """`DELETE /v1/feedback`."""
        return self._ask("DELETE", "/v1/feedback")

    def add_workspace(self, request: WorkspaceRequest) -> Json:
        """`POST /v1/workspaces`."""
        return self._ask("POST", "/v1/workspaces", request)

    def remove_workspace(self, request: WorkspaceRequest) -> Json:
        """`DELETE /v1/workspaces?root=...`."""
        return self._ask("DELETE", "/v1/workspaces?root=" + quote(request.root, safe=""))

    def workspaces(self) -> Json:
        """`GET /v1/workspaces`."""
        return self._ask("GET", "/v1/workspaces")

    def index(self, request: IndexRequest, on_event: OnEvent | None = None) -> IndexedState:
        """`POST /v1/index`."""
        return self._understood(IndexedState, self._long("/v1/index", request, on_event))

    def forget(self, request: ForgetRequest) -> ForgottenState:
        """`POST /v1/forget`."""
        return self._understood(ForgottenState, self._long("/v1/forget", request, None))

    def adapters(self) -> AdaptersState:
        """`GET /v1/adapters`."""
        return self._understood(AdaptersState, self._request("GET", "/v1/adapters").content)

    def pin_adapter(self, key: str, request: PinRequest) -> Json:
        """`POST /v1/adapters/{key}/pin`."""
        return self._ask("POST", f"/v1/adapters/{quote(key, safe='')}/pin", request)

    def drop_adapter(self, key: str) -> Json:
        """`DELETE /v1/adapters/{key}`."""
        return self._ask("DELETE", f"/v1/adapters/{quote(key, safe='')}")

    def models(self) -> Json:
        """`GET /v1/models`."""
        return self._ask("GET", "/v1/models")

    def pull(self, request: ModelPullRequest, on_event: OnEvent | None = None) -> Json:
        """`POST /v1/models/pull`: the daemon fetches a model over the network."""
        return self._understood(_JSON, self._long("/v1/models/pull", request, on_event))

    def cancel_pull(self) -> Json:
        """`DELETE /v1/models/pull`: nothing is fetched any more."""
        return self._ask("DELETE", "/v1/models/pull")

    def events(self) -> Iterator[Event]:
        """`GET /v1/events`: what happens in the daemon, until it ends."""
        with self._reachable(), self._http.sse("/v1/events", timeout=_LONG, max_event_size=_EVENT_BYTES) as source:
            self._checked(source.response)
            for sent in source:
                if sent.event == "error":
                    raise self._failure(sent.data.encode())
                yield self._understood(Event, sent.data.encode())

    def shutdown(self) -> Json:
        """`POST /v1/shutdown`: the daemon ends in order, soon after it has answered."""
        return self._ask("POST", "/v1/shutdown")

    def _ask(self, method: Method, route: str, message: BaseModel | None = None) -> Json:
        content = self._request(method, route, message).content
        return self._understood(_JSON, content) if content else {}

    def _request(self, method: Method, route: str, message: BaseModel | None = None) -> httpx2.Response:
        headers, content = _body(message)
        with self._reachable():
            return self._checked(self._http.request(method, route, content=content, headers=headers))

    def _long(self, route: str, message: BaseModel, on_event: OnEvent | None) -> bytes:
        headers, content = _body(message)
        if on_event is None:
            with self._reachable():
                return self._checked(self._http.post(route, content=content, headers=headers, timeout=_LONG)).content
        asked = self._http.sse(
            route, method="POST", content=content, headers=headers, timeout=_LONG, max_event_size=_EVENT_BYTES
        )
        with self._reachable(), asked as source:
            self._checked(source.response)
            for sent in source:
                if sent.event == "result":
                    return sent.data.encode()
                if sent.event == "error":
                    raise self._failure(sent.data.encode())
                if sent.event == "progress":
                    on_event(self._understood(Event, sent.data.encode()))
        raise DaemonUnreachable("the daemon ended before it had answered")

    @contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except httpx2.RequestError as error:
            gone = "" if self.connection.is_alive() else f"; its process {self.connection.pid} is gone"
            reason = str(error) or type(error).__name__
            raise DaemonUnreachable(f"the daemon at {self.connection.address}: {reason}{gone}") from error

    def _checked(self, response: httpx2.Response) -> httpx2.Response:
        if response.is_success:
            return response
        content = response.read()
        raise self._failure(content, f"{response.request.method} {response.url.path}: {response.status_code}")

    def _failure(self, content: bytes, otherwise: str = "the daemon failed") -> VicinalError:
        try:
            trouble = Failed.model_validate_json(content).error
        except ValidationError:
            return DaemonUnreachable(f"{otherwise}, in words this client does not know", hint=self._hint())
        return from_trouble(trouble.type, trouble.message, trouble.hint)

    def _understood(self, kind: type[Model] | TypeAdapter[Model], content: bytes) -> Model:
        try:
            return (kind if isinstance(kind, TypeAdapter) else TypeAdapter(kind)).validate_json(content)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]
            raise DaemonUnreachable(
                f"the daemon's answer is not understood: {where['loc']}: {where['msg']}", hint=self._hint()
            ) from error

    def _hint(self) -> str:
        return f"the daemon is Vicinal {self.connection.serving.version}: {_RESTART}"


def _body(message: BaseModel | None) -> tuple[dict[str, str], bytes | None]:
    if message is None:
        return {}, None
    return {"Content-Type": "application/json"}, message.model_dump_json().encode()
