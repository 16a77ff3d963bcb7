"""The API of a few small kinds on a memory store, spoken to in this process."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, TypeVar, cast

import httpx
import msgspec

from tests.unit.apimachinery.memory_store import MemoryStore
from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import TooManyRequests, Unauthorized
from tidegate.apimachinery.http.application import ApiApplication
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.http.pages import Page
from tidegate.apimachinery.http.request import Headers
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.apimachinery.storage import Call, Change, ListOptions, Updated
from tidegate.observability.audit import AuditEvent

T = TypeVar("T")

NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


class Secret(Object):
    """Secret holds data that only some may read."""

    data: Annotated[dict[str, str], doc("Base64 of each value.", format="byte")] = msgspec.field(
        default_factory=dict
    )
    type: Annotated[str, doc("What the data is for.")] = ""


class WidgetPort(Wire):
    """One port of a widget."""

    name: Annotated[str, doc("Its name.")] = ""
    port: Annotated[int, doc("Its number.")] = 0


class WidgetSpec(Wire):
    """What a widget should be."""

    size: Annotated[int, doc("How large.")] = 0
    ports: Annotated[list[WidgetPort], doc("Its ports.", merge_key="name")] = msgspec.field(
        default_factory=list
    )


class WidgetStatus(Wire):
    """What a widget is."""

    phase: Annotated[str, doc("How it is.")] = ""


class Widget(Object):
    """A widget."""

    status: Annotated[WidgetStatus, doc("The widget there is.")] = msgspec.field(
        default_factory=WidgetStatus
    )
    spec: Annotated[WidgetSpec, doc("The desired widget.")] = msgspec.field(
        default_factory=WidgetSpec
    )


class Namespace(Object):
    """A namespace."""


class Review(Object):
    """A question that is answered at once."""

    answer: Annotated[str, doc("The answer.")] = ""


SECRETS = Resource(
    group="",
    version="v1",
    kind="Secret",
    plural="secrets",
    type=Secret,
    namespaced=True,
    columns=(Column("Type", lambda found, _now: found.type, "What the data is for."),),
    fields={"type": lambda found: found.type},
)
WIDGETS = Resource(
    group="example.io",
    version="v1",
    kind="Widget",
    plural="widgets",
    type=Widget,
    namespaced=False,
    strategy=Strategy(update_creates=True),
    subresources={
        "log": Subresource(verbs=("get",), kind="Review", type=Review, paged=True),
        "token": Subresource(verbs=("create",), kind="Review", type=Review),
        "status": Subresource(
            verbs=("get", "patch", "update"), kind="Widget", type=Widget, group="example.io"
        ),
    },
)
NAMESPACES = Resource(
    group="",
    version="v1",
    kind="Namespace",
    plural="namespaces",
    type=Namespace,
    namespaced=False,
)
REVIEWS = Resource(
    group="example.io",
    version="v1",
    kind="Review",
    plural="reviews",
    type=Review,
    namespaced=False,
    verbs=("create",),
)


class Reviews:
    """Answers with who asked."""

    async def create(self, call: Call, new: Object) -> bytes:
        assert isinstance(new, Review)
        return msgspec.json.encode(
            msgspec.structs.replace(new, answer=f"{call.user.name} {call.name}".strip())
        )


class Log:
    """Answers with the page that was asked for."""

    async def get_page(self, call: Call, name: str, options: ListOptions) -> bytes:
        answer = f"{call.user.name} {name} {options.limit} {options.token}"
        return msgspec.json.encode(Review(answer=answer))


class Broken:
    """A storage with a fault that nobody foresaw."""

    async def create(self, call: Call, new: Object) -> bytes:
        raise RuntimeError("the password is swordfish")

    async def update(
        self, call: Call, name: str, change: Change, *, creates: bool = False
    ) -> Updated:
        change(None)
        raise AssertionError("a change of nothing")


class Rights:
    """Allows everything to `root`, and to others what was granted."""

    def __init__(self) -> None:
        self.granted: set[tuple[str, str, str, str, str]] = set()

    def grant(
        self, user: str, verb: str, resource: str, namespace: str = "", name: str = ""
    ) -> None:
        self.granted.add((user, verb, resource, namespace, name))

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        if user.name == "root":
            return True
        what = attributes.path or attributes.resource
        return any(
            (user.name, attributes.verb, what, attributes.namespace, name) in self.granted
            for name in {"", attributes.name}
        )


class Recorded:
    """An audit that keeps its events."""

    def __init__(self) -> None:
        self.events: list[AuditEvent] = []

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


async def authenticate(headers: Headers, _client: str) -> User:
    """The bearer token is the user's name."""
    for name, value in headers:
        if name == b"authorization":
            token = value.decode().removeprefix("Bearer ")
            if token == "wrong":
                raise Unauthorized
            if token == "hasty":
                raise TooManyRequests("slow down", retry_after=7)
            return User(token, ("system:authenticated",), uid=f"uid-of-{token}")
    return ANONYMOUS


class Api:
    """The application, and a client of it that is `root` unless told otherwise."""

    def __init__(self, runner: asyncio.Runner, pages: Mapping[str, Page] | None = None) -> None:
        self._runner = runner
        self.store = MemoryStore()
        self.rights = Rights()
        self.audit = Recorded()
        widgets = DocumentStorage(WIDGETS, self.store, clock=lambda: NOW)
        self.application = ApiApplication(
            [
                Served(SECRETS, DocumentStorage(SECRETS, self.store, clock=lambda: NOW)),
                Served(
                    WIDGETS,
                    widgets,
                    {"log": Log(), "token": Reviews(), "status": widgets},
                    names_namespace=True,
                ),
                Served(NAMESPACES, DocumentStorage(NAMESPACES, self.store, clock=lambda: NOW)),
                Served(REVIEWS, Reviews()),
                Served(
                    dataclasses.replace(REVIEWS, plural="faults", verbs=("create", "patch")),
                    Broken(),
                ),
            ],
            authenticate,
            self.rights,
            self.audit,
            client_of=lambda scope: scope["client"][0],
            version={"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
            pages=pages or {},
            failures={},
            clock=lambda: NOW,
        )
        self.ok("POST", "/api/v1/namespaces", json={"metadata": {"name": "ns"}})
        self.audit.events.clear()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def __call__(
        self,
        method: str,
        path: str,
        *,
        user: str = "root",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        **content: Any,
    ) -> httpx.Response:
        """One request; its URL may carry a query."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=cast("Any", self.application))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                sent = httpx.Headers(headers)
                if user:
                    sent["authorization"] = f"Bearer {user}"
                return await client.request(method, path, headers=sent, **content)

        return self.run(ask())

    def ok(self, method: str, path: str, **content: Any) -> Any:
        """The JSON of an answer that is no failure."""
        answer = self(method, path, **content)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def secret(self, name: str, namespace: str = "ns", **rest: Any) -> Any:
        """A new Secret."""
        body = {"metadata": {"name": name, **rest.pop("metadata", {})}, **rest}
        return self.ok("POST", f"/api/v1/namespaces/{namespace}/secrets", json=body)


class Stream:
    """A request whose answer is read while it is being written."""

    def __init__(
        self,
        application: Callable[..., Awaitable[None]],
        path: str,
        accept: str = "",
        user: str = "root",
    ) -> None:
        raw, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "method": "GET",
            "path": raw,
            "query_string": query.encode(),
            "headers": [
                (b"authorization", f"Bearer {user}".encode()),
                (b"accept", accept.encode()),
            ],
            "client": ("192.0.2.1", 1),
        }
        self._left = asyncio.Event()
        self._sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._text = b""
        self.task = asyncio.ensure_future(application(self._scope, self._receive, self._sent.put))

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def head(self) -> dict[str, Any]:
        return await self._sent.get()

    async def event(self) -> dict[str, Any]:
        """The next event."""
        while b"\n" not in self._text:
            message = await asyncio.wait_for(self._sent.get(), 5)
            self._text += message["body"]
            assert message["more_body"], "the stream has ended"
        line, _, self._text = self._text.partition(b"\n")
        event: dict[str, Any] = msgspec.json.decode(line)
        return event

    async def ended(self) -> bool:
        """Whether the stream ends as a whole body does, and not just stops."""
        await asyncio.wait_for(self.task, 5)
        messages = []
        while not self._sent.empty():
            messages.append(self._sent.get_nowait())
        return bool(messages) and not messages[-1].get("more_body", False)

    def leave(self) -> None:
        self._left.set()
