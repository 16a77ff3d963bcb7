"""Pushes to streams on an embedded database, their blobs in memory."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tests.images import IMAGE_CONFIG, IMAGE_MANIFEST, digest_of
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.pushes import Pushed, find_image, prepare, record, stream_for
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.metastore import manifests, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag
from tidegate.storage.blobs import BlobStore
from tidegate.storage.memory import Memory

T = TypeVar("T")

WEB = RepositoryName("shop/web")
ANN = Actor("ann", PUSH, 1_790_000_000.5)
HOSTS = Hosts("registry.internal:5000", "registry.example.com")

CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-02T03:04:05.678Z",
        "config": {"Labels": {"version": "1"}},
    }
).encode()
LAYER = b"a layer"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {
            "mediaType": IMAGE_CONFIG,
            "digest": digest_of(CONFIG),
            "size": len(CONFIG),
        },
        "layers": [{"mediaType": "a/b", "digest": digest_of(LAYER), "size": len(LAYER)}],
    }
).encode()


def pushed(
    *tags: str, content: bytes = MANIFEST, media_type: str = IMAGE_MANIFEST, config: bool = True
) -> Pushed:
    digest = Digest.parse(digest_of(CONFIG)) if config else None
    named = [Tag(tag) for tag in tags]
    return Pushed(WEB, Digest.of(content), media_type, content, digest, named)


class PushWorld:
    """An embedded database and blobs in memory."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)
        self.driver = Memory()
        self.store = BlobStore(self.driver)

    def run(self, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            db = await open_database(self._url)
            try:
                return await work(db)
            finally:
                await db.close()

        return asyncio.run(run())

    def write(self, unit: Callable[[Transaction], T]) -> T:
        return self.run(lambda db: db.write(unit))

    def blob(self, content: bytes) -> None:
        async def put() -> None:
            receiving = await self.store.receive("0" * 32, 0, "sha256")
            receiving.write(memoryview(content))
            await self.store.commit_held(receiving, Digest.of(content))

        asyncio.run(put())

    def prepare(self, pushed: Pushed) -> Image | None:
        return self.run(lambda db: prepare(db, self.store, HOSTS, pushed, ANN.now))

    def push(self, pushed: Pushed, *, may_create: bool = True) -> list[str]:
        image = self.prepare(pushed)

        def unit(tx: Transaction) -> list[str]:
            stream = stream_for(tx, WEB, ANN.now, may_create=may_create)
            stored = manifests.Manifest(pushed.digest, pushed.media_type, pushed.content)
            manifests.put(tx, WEB, stored, (), ANN.now)
            assert stream is not None
            return record(stream, pushed, image, find_image(tx, pushed.digest), ANN)

        return self.write(unit)

    def image(self, digest: str) -> Image:
        found = self.write(lambda tx: DocumentUnit(tx).get(Key(IMAGES.key, "", digest)))
        assert found is not None
        return msgspec.json.decode(found.body, type=Image)

    def stream(self, look: Callable[[Stream], T]) -> T:
        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, WEB)
            assert stream is not None
            return look(stream)

        return self.write(unit)

    def change(self, change: Callable[[Stream], T]) -> T:
        """Change the stream and save it."""

        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, WEB)
            assert stream is not None
            answer = change(stream)
            stream.save()
            return answer

        return self.write(unit)

    def pulled(self, tag: str) -> str | None:
        """The digest that the registry gives for a tag."""
        found = self.run(lambda db: manifests.by_tag(db, WEB, Tag(tag)))
        return None if found is None else found.digest

    def shown(self, tag: str) -> list[str]:
        """Images of the tag's shown events, newest first."""

        def read(stream: Stream) -> list[str]:
            row = stream.row(tag)
            events = tag_events.visible(stream.tx, stream.repository_id, tag, row.hidden, 100)
            return [event.image for event in events]

        return self.stream(read)
