"""Imports into streams on an embedded database, from registries in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from tests.authorizers import Rights
from tests.unit.images.image_world import WEB, World
from tests.unit.images.imports.far_registry import Far
from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key
from tidegate.images.imports.importing import Importer
from tidegate.images.imports.storage import ImportStorage
from tidegate.images.imports.tag_imports import TagImports, TagResult
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_stream_import import ImageStreamImport
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.storage import Streams
from tidegate.images.streams.stream import Stream
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import manifests, origins
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.metastore.origins import Origin
from tidegate.observability.audit import AuditEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.remote.gateway import Gateway, Urgency

T = TypeVar("T")
Json = dict[str, Any]

HOSTS = Hosts("internal:5000", "registry.example.com")


@dataclass
class Recorded:
    """An audit that remembers."""

    events: list[AuditEvent] = field(default_factory=list)

    def record(self, event: AuditEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass


@dataclass
class Configured:
    """The cluster's configuration, as far as imports ask for it."""

    policy: ImportPolicy = field(default_factory=ImportPolicy)
    mode: str = "Legacy"

    async def current(self) -> "Configured":
        return self

    def imports(self) -> ImportPolicy:
        return self.policy

    def import_mode(self) -> str:
        return self.mode


class ImportWorld(World):
    """See the module; the project `shop` is there, `far` are the other registries."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.far = Far()
        self.audit = Recorded()
        self.config = Configured()
        self.now = 1_790_000_000.0
        self.warnings: list[str] = []
        self.project("shop")

    def project(self, name: str) -> None:
        self.document("namespaces", "", name, {})

    def document(self, resource: str, namespace: str, name: str, body: Json) -> None:
        key, text = Key(resource, namespace, name), msgspec.json.encode(body)
        self.write(lambda tx: DocumentUnit(tx).put(key, f"uid-{name}", lambda _: text))

    def importer(self, db: Database) -> Importer:
        gateway = cast("Gateway", self.far)
        return Importer(Documents(db), db, gateway, HOSTS, self.audit, lambda: self.now)

    def create(
        self, spec: Json, *, user: str = "ann", rights: Rights | None = None, **metadata: str
    ) -> Json:
        """The answer to a request."""
        values = {"metadata": {"name": "web", "namespace": "shop", **metadata}, "spec": spec}
        new = msgspec.convert(values, ImageStreamImport)
        dry_run = bool(spec.pop("dryRun", False))

        async def work(db: Database) -> bytes:
            store, authorizer = Documents(db), rights or Rights()
            config = cast("RegistryConfig", self.config)
            streams = Streams(store, db, authorizer, HOSTS, config, lambda: self.now)
            storage = ImportStorage(self.importer(db), streams.renderings, authorizer, config)
            call = Call(
                user=User(user),
                verb="create",
                namespace=new.metadata.namespace,
                dry_run=dry_run,
                source="192.0.2.7",
            )
            try:
                return await storage.create(call, new)
            finally:
                self.warnings = call.warnings

        answer: Json = msgspec.json.decode(self.run(work))
        return answer

    def again(self, *tags: str, urgency: Urgency = Urgency.BACKGROUND) -> list[TagResult]:
        """What a controller's import of these tags comes to."""

        async def work(db: Database) -> list[TagResult]:
            imports = TagImports(self.importer(db), policy=self.config.imports)
            return await imports.import_tags(WEB, tags, "system:x", urgency)

        return self.run(work)

    def whole(self, *tags: str) -> list[TagResult]:
        """What a controller's import of the stream's repository and these tags comes to."""

        async def work(db: Database) -> list[TagResult]:
            imports = TagImports(self.importer(db), policy=self.config.imports)
            return await imports.import_repository(WEB, tags, "system:x", Urgency.ASKED)

        return self.run(work)

    def shown(self, name: RepositoryName = WEB) -> Json:
        """The stream as clients see it."""

        async def work(db: Database) -> bytes:
            config = cast("RegistryConfig", self.config)
            streams = Streams(Documents(db), db, Rights(), HOSTS, config, lambda: self.now)
            call = Call(user=User("ann"), verb="get", namespace=name.project)
            return await streams.get(call, name.stream)

        stream: Json = msgspec.json.decode(self.run(work))
        return stream

    def tag_spec(self, tag: str) -> Json:
        return next(each for each in self.shown()["spec"]["tags"] if each["name"] == tag)

    def tag_status(self, tag: str) -> Json:
        return next(each for each in self.shown()["status"]["tags"] if each["tag"] == tag)

    def change(self, change: Callable[[Stream], T]) -> T:
        """Change the stream and save it."""

        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, WEB)
            assert stream is not None
            answer = change(stream)
            stream.save()
            return answer

        return self.write(unit)

    def pulled(self, reference: str, name: RepositoryName = WEB) -> str | None:
        """The digest that the registry gives for a tag."""
        found = self.run(lambda db: manifests.by_tag(db, name, Tag(reference)))
        return None if found is None else found.digest

    def origins(self, blob: str, name: RepositoryName = WEB) -> list[Origin]:
        """Where a blob of the stream is."""
        return self.run(lambda db: origins.of_blob(db, name, Digest(blob)))

    def kept(self, digest: str) -> Image | None:
        """The Image of a digest."""
        found = self.write(lambda tx: DocumentUnit(tx).get(Key(IMAGES.key, "", digest)))
        return None if found is None else msgspec.json.decode(found.body, type=Image)


def image(name: str, to: str = "", **more: Any) -> Json:
    """An image of a request."""
    target = {"to": {"name": to}} if to else {}
    return {"from": {"kind": "DockerImage", "name": name}, **target, **more}


def repository(name: str, **more: Any) -> Json:
    return {"from": {"kind": "DockerImage", "name": name}, **more}
