"""Images, streams and manifests on an embedded database, for tests of what serves images."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.selectors import EVERYTHING
from tidegate.apimachinery.storage import Call, ListOptions
from tidegate.apimachinery.store import Key
from tidegate.images.image_storage import ImageStorage
from tidegate.images.kinds.image import IMAGES, Image, ImageManifest
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream
from tidegate.metastore import document_rows, manifests
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import Documents, DocumentUnit
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

T = TypeVar("T")

WEB = RepositoryName("shop/web")
ANN = Actor("ann", PUSH, 100.0)


def digest(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


def call(verb: str, name: str = "", **more: Any) -> Call:
    return Call(user=User("ann"), verb=verb, name=name, **more)


class World:
    """One embedded database, opened anew for each piece of work."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)

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

    def images(self, work: Callable[[ImageStorage], Coroutine[Any, Any, T]]) -> T:
        return self.run(lambda db: work(ImageStorage(Documents(db), db)))

    def image(self, letter: str, *children: str, **more: Any) -> None:
        """The Image of a letter, an index where it has children."""
        image = Image(
            metadata=ObjectMeta(name=str(digest(letter)), uid=f"uid-{letter}"),
            docker_image_reference=f"r/shop/web@{digest(letter)}",
            docker_image_manifests=[
                ImageManifest(
                    digest=str(digest(each)),
                    media_type="",
                    manifest_size=0,
                    architecture="a",
                    os="o",
                )
                for each in children
            ],
            **more,
        )

        def encode(revision: int) -> bytes:
            image.metadata.resource_version = str(revision)
            return msgspec.json.encode(image)

        key = Key(IMAGES.key, "", image.metadata.name)
        self.write(lambda tx: DocumentUnit(tx).put(key, image.metadata.uid, encode))

    def manifest(
        self, letter: str, *children: str, of: str = "", name: RepositoryName = WEB
    ) -> None:
        """A live manifest in a repository; `of` is the letter of its subject."""
        record = Manifest(
            digest(letter),
            "application/vnd.oci.image.manifest.v1+json",
            b"{}",
            subject=digest(of) if of else None,
            artifact_type="application/x.test" if of else None,
            children=tuple(digest(each) for each in children),
        )
        self.write(lambda tx: manifests.put(tx, name, record, [], 1.0))

    def unpushed(self, letter: str, name: RepositoryName = WEB) -> None:
        self.write(lambda tx: manifests.delete(tx, name, digest(letter), 2.0))

    def stream(self, name: RepositoryName = WEB) -> None:
        def unit(tx: Transaction) -> None:
            metadata = ObjectMeta(
                name=name.stream, namespace=name.project, uid=f"uid-{name.stream}", generation=1
            )
            Stream.make(tx, name, ImageStream(metadata=metadata)).save()

        self.write(unit)

    def revision(self, name: RepositoryName = WEB) -> str:
        def unit(tx: Transaction) -> str:
            stream = Stream.open(tx, name)
            assert stream is not None
            return stream.header.metadata.resource_version

        return self.write(unit)

    def tag(self, tag: str, *letters: str, name: RepositoryName = WEB) -> None:
        """Let a tag name these images one after the other."""

        def unit(tx: Transaction) -> None:
            stream = Stream.open(tx, name)
            assert stream is not None
            for letter in letters:
                change = Change(f"/{name}@{digest(letter)}", digest(letter), 1)
                stream.record(Tag(tag), change, ANN)
            stream.save()

        self.write(unit)

    def untag(self, tag: str, name: RepositoryName = WEB) -> None:
        def unit(tx: Transaction) -> None:
            stream = Stream.open(tx, name)
            assert stream is not None
            stream.drop(tag, ANN)
            stream.save()

        self.write(unit)

    def end_stream(self, name: RepositoryName = WEB) -> None:
        key = Key("imagestreams.image.openshift.io", name.project, name.stream)
        self.write(lambda tx: DocumentUnit(tx).delete(key))

    def listed(self, selection: Any = EVERYTHING, **options: Any) -> str:
        """Letters of the images that a list shows."""
        asked = ListOptions(selection=selection, **options)
        page = self.images(lambda images: images.list(call("list"), asked))
        return "".join(msgspec.json.decode(body)["metadata"]["name"][7] for body in page.bodies)

    def stored(self, letter: str) -> Image | None:
        async def read(db: Database) -> Image | None:
            found = await document_rows.find(db, Key(IMAGES.key, "", digest(letter)))
            return None if found is None else msgspec.json.decode(found.body, type=Image)

        return self.run(read)
