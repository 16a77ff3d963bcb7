"""The resources of tags over HTTP in this process, on an embedded database, with streams to read.

Nobody but `root` may do what was not granted; pushes are units of work, as the registry does them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import msgspec

from tidegate.apimachinery.authorizer import ANONYMOUS, Attributes, User
from tidegate.apimachinery.http.application import ApiApplication
from tidegate.apimachinery.http.request import Headers
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images.docker_image import image_of
from tidegate.images.kinds.image import IMAGES
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream
from tidegate.images.tags.serving import serve
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore import manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.observability.audit import AuditOff
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

T = TypeVar("T")

BASE = "/apis/image.openshift.io/v1"
HOST = "registry.internal:5000"
NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z
OCI = "application/vnd.oci.image.manifest.v1+json"
WEEK = 604800.0

WEB = RepositoryName("shop/web")
APP = RepositoryName("prod/app")


def digest(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


class Rights:
    """Allows everything to `root`, and to others what was granted on (namespace, name)."""

    def __init__(self) -> None:
        self.granted: set[tuple[str, str, str, str]] = set()
        self.meanwhile: list[Callable[[], Awaitable[object]]] = []

    async def authorize(self, user: User, attributes: Attributes) -> bool:
        """Decide; what is to happen `meanwhile` does when it is asked about layers."""
        if attributes.resource == "imagestreams/layers" and self.meanwhile:
            await self.meanwhile.pop(0)()
        asked = user.name, attributes.verb, attributes.resource, attributes.namespace
        return user.name == "root" or asked in self.granted


async def authenticate(headers: Headers, _client: str) -> User:
    for name, value in headers:
        if name == b"authorization":
            return User(value.decode().removeprefix("Bearer "))
    return ANONYMOUS


class TagApi:
    """The application, a client of it, and what is behind it."""

    def __init__(self, directory: Path) -> None:
        url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(url)
        self.now = NOW
        self.rights = Rights()
        self._runner = asyncio.Runner()
        self.db: Database = self._runner.run(open_database(url))
        store = Documents(self.db)
        self.store = store
        self.config = RegistryConfig(store, HOST)
        self._runner.run(self._start())
        served = serve(
            store, self.db, self.rights, Hosts(HOST), self.config, WEEK, lambda: self.now
        )
        self.application = ApiApplication(
            served,
            authenticate,
            self.rights,
            AuditOff(),
            client_of=lambda scope: scope["client"][0],
            version={},
            pages={},
            failures={},
            clock=lambda: self.now,
        )
        for project in ("shop", "prod"):
            self.namespace(project)

    async def _start(self) -> None:
        await self.store.start()
        await self.config.start()

    async def _stop(self) -> None:
        await self.config.close()
        await self.store.close()
        await self.db.close()

    def close(self) -> None:
        self._runner.run(self._stop())
        self._runner.close()

    def run(self, work: Any) -> Any:
        return self._runner.run(work)

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return cast("T", self.run(self.db.write(unit)))

    def namespace(self, name: str, phase: str = "Active") -> None:
        body = {"metadata": {"name": name}, "status": {"phase": phase}}
        self.document(Key("namespaces", "", name), body)

    def document(self, key: Key, body: Any) -> None:
        self.write(lambda tx: DocumentUnit(tx).put(key, "", lambda _: msgspec.json.encode(body)))

    def stream(self, name: RepositoryName = WEB, **metadata: Any) -> None:
        """Make a stream without tags."""
        meta = ObjectMeta(
            name=name.stream,
            namespace=name.project,
            uid=f"uid-{name}",
            generation=1,
            creation_timestamp="2026-01-01T00:00:00Z",
            **metadata,
        )
        self.write(lambda tx: Stream.make(tx, name, ImageStream(metadata=meta)).save())

    def push(self, letter: str, tag: str, name: RepositoryName = WEB) -> None:
        """Push an image whose digest is of one letter."""
        self.write(self.pushing(letter, tag, name))

    def pushing(
        self, letter: str, tag: str, name: RepositoryName = WEB
    ) -> Callable[[Transaction], None]:
        """The unit of work of a push."""
        image = image_of(str(digest(letter)), OCI, b"{}", None, f"/{name}@{digest(letter)}")
        key = Key(IMAGES.key, "", digest(letter))
        record = Manifest(digest(letter), OCI, letter.encode())

        def unit(tx: Transaction) -> None:
            manifests.put(tx, name, record, [], self.now)
            DocumentUnit(tx).put(key, "", lambda _: msgspec.json.encode(image))
            stream = Stream.open(tx, name)
            assert stream is not None
            change = Change(f"/{name}@{digest(letter)}", digest(letter), stream.generation)
            stream.record(tag, change, Actor("ann", PUSH, self.now))
            stream.save()

        return unit

    def __call__(
        self, method: str, path: str, body: Any = None, *, user: str = "root", **headers: str
    ) -> httpx.Response:
        """One request below the group's base path; its URL may carry a query."""

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=cast("Any", self.application))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                sent = {name.replace("_", "-"): value for name, value in headers.items()}
                sent["authorization"] = f"Bearer {user}"
                return await client.request(method, BASE + path, json=body, headers=sent)

        return cast("httpx.Response", self.run(ask()))

    def ok(self, method: str, path: str, body: Any = None, **more: str) -> Any:
        """The JSON of an answer that is no failure."""
        answer = self(method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def refused(self, code: int, method: str, path: str, body: Any = None, **more: str) -> Any:
        """The Status of an answer that is a failure."""
        answer = self(method, path, body, **more)
        assert answer.status_code == code, answer.text
        return answer.json()


def istag(tag: str, **more: Any) -> str:
    return f"/namespaces/shop/imagestreamtags/web:{tag}"


def wanted(tag: str, origin: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """What `oc tag` sends to `web:TAG` (image-api 15.2), which means no version and no image."""
    spec: dict[str, Any] = {
        "name": tag,
        "annotations": None,
        "generation": None,
        "importPolicy": {"importMode": "Legacy"},
        "referencePolicy": {"type": "Source"},
        **more,
    }
    if origin is not None:
        spec["from"] = origin
    return {
        "kind": "ImageStreamTag",
        "apiVersion": "image.openshift.io/v1",
        "metadata": {"name": f"web:{tag}", "namespace": "shop", "creationTimestamp": None},
        "tag": spec,
        "generation": 0,
        "lookupPolicy": {"local": False},
        "image": {
            "metadata": {"creationTimestamp": None},
            "dockerImageMetadata": None,
            "dockerImageLayers": None,
        },
    }


def docker(name: str) -> dict[str, str]:
    return {"kind": "DockerImage", "name": name}
