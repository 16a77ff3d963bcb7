"""This registry on an embedded database, its blobs in memory, as a side of a copy."""

import asyncio
import atexit
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.images import Pushable
from tidegate.apimachinery.store import Key
from tidegate.delivery.mirrors.local_place import LocalPlace, LocalTarget
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.delivery.mirrors.places import Content, Held
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.streams.hosts import Hosts
from tidegate.metastore import links, manifests, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.metastore.repositories import ensure
from tidegate.metastore.tag_events import TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.storage.blobs import BlobStore
from tidegate.storage.driver import Driver
from tidegate.storage.memory import Memory

T = TypeVar("T")

WEB = RepositoryName("shop/web")
WHO = "system:mirror:shop:web"
HOSTS = Hosts("registry.internal:5000", "registry.example.com")


class Registry:
    """One registry, whose parts are opened anew for each piece of work."""

    def __init__(self, directory: Path, driver: Driver | None = None) -> None:
        self._url = f"sqlite:///{shutil.copy(_migrated(), directory)}"
        self.store = BlobStore(driver or Memory())
        self.now = 1_790_000_000.0
        for project in ("shop", "other"):
            self.namespace(project)

    def run(self, work: Callable[[Local], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            database = await open_database(self._url)
            try:
                return await work(self.local(database))
            finally:
                await database.close()

        return asyncio.run(run())

    def local(self, database: Database) -> Local:
        return Local(database, self.store, HOSTS, lambda: self.now)

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.run(lambda local: local.database.write(unit))

    def put(self, resource: str, namespace: str, name: str, body: bytes) -> None:
        def unit(tx: Transaction) -> None:
            DocumentUnit(tx).put(Key(resource, namespace, name), f"uid-{name}", lambda _: body)

        self.write(unit)

    def namespace(self, project: str, ending: str = "") -> None:
        metadata = {"name": project, "deletionTimestamp": ending} if ending else {"name": project}
        self.put("namespaces", "", project, msgspec.json.encode({"metadata": metadata}))

    def has(self, pushable: Pushable, name: RepositoryName = WEB) -> bool:
        """Whether every byte of it can be pulled from the repository."""

        async def look(local: Local) -> bool:
            place = LocalPlace(local, name)
            for each in _manifests(pushable):
                held = await place.manifest(each.digest)
                if held is None or held.content != each.manifest.data:
                    return False
                for blob in each.blobs:
                    digest, size = Digest(blob.digest), len(blob.data)
                    if await place.blob_size(digest) != size:
                        return False
                    read = [piece async for piece in place.blob(digest, size, 0)]
                    if b"".join(read) != blob.data:
                        return False
            return True

        return self.run(look)

    def tag(self, tag: str, name: RepositoryName = WEB) -> str | None:
        found = self.run(lambda local: manifests.by_tag(local.database, name, Tag(tag)))
        return None if found is None else str(found.digest)

    def events(self, tag: str, name: RepositoryName = WEB) -> list[TagEvent]:
        """What happened to a tag, the newest first."""
        return self.write(lambda tx: tag_events.visible(tx, ensure(tx, name), tag, 0, 100))

    def links(self, digest: str, name: RepositoryName = WEB) -> int | None:
        return self.run(lambda local: links.size(local.database, name, Digest(digest)))

    def image(self, digest: str) -> Image | None:
        found = self.write(lambda tx: DocumentUnit(tx).get(Key(IMAGES.key, "", digest)))
        return None if found is None else msgspec.json.decode(found.body, type=Image)

    def fill(self, pushable: Pushable, tag: str, name: RepositoryName = WEB) -> None:
        """Push an image."""

        async def push(local: Local) -> None:
            target = LocalTarget(local, name, "ann")
            for each in _manifests(pushable):
                for blob in each.blobs:
                    await target.push_blob(
                        Digest(blob.digest), len(blob.data), content_of(blob.data)
                    )
                held = held_of(each)
                reference = tag if each is pushable else held.digest
                await target.push_manifest(reference, held, "")

        self.run(push)


@cache
def _migrated() -> Path:
    """An empty database with its tables, made once and copied for each test."""
    path = Path(tempfile.mkdtemp(prefix="tidegate-test-")) / "metadata.db"
    atexit.register(shutil.rmtree, path.parent)
    migrate(f"sqlite:///{path}")
    return path


def _manifests(pushable: Pushable) -> list[Pushable]:
    found = [each for child in pushable.children for each in _manifests(child)]
    return [*found, pushable]


def held_of(pushable: Pushable) -> Held:
    manifest = pushable.manifest
    return Held(Digest(pushable.digest), manifest.media_type, manifest.data)


def content_of(data: bytes) -> Content:
    """Bytes that can be asked for from any offset on."""

    async def content(offset: int) -> AsyncGenerator[bytes, None]:
        yield data[offset:]

    return content
