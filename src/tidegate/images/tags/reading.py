"""Reading one tag or image of a stream, outside of a unit and inside of one.

Outside, a header is read before its rows: a tag may be newer than the version it is shown with,
never older, so that a write at that version is refused rather than overwriting what was not seen.
"""

import msgspec

from tidegate.apimachinery.store import Document, Key, ObjectStore
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.streams.stream import Stream, key_of
from tidegate.images.tags.names import TagName
from tidegate.images.tags.rendering import View
from tidegate.metastore import newest_tags, stream_tags, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.stream_tags import TagRow
from tidegate.oci.name import RepositoryName

HEADER = msgspec.json.Decoder(ImageStream)
_IMAGE = msgspec.json.Decoder(Image)


class Reads:
    """Reads of tags and images."""

    def __init__(self, db: Database, store: ObjectStore) -> None:
        self.db = db
        self.store = store

    async def header(self, stream: RepositoryName) -> ImageStream | None:
        """A stream without its tags; None when there is none."""
        document = await self.store.get(key_of(stream))
        return None if document is None else HEADER.decode(document.body)

    async def view(self, name: TagName) -> View | None:
        """A tag, with an empty row when there is none; None without its stream."""
        header = await self.header(name.stream)
        if header is None:
            return None
        number = await self.number(name.stream)
        found = None if number is None else await stream_tags.read_one(self.db, number, name.tag)
        if found is None:
            return View(name, header, TagRow(name.tag), ())
        return View(name, header, found.row, found.events)

    async def number(self, stream: RepositoryName) -> int | None:
        """Under which number the rows of a stream are."""
        return (await newest_tags.repository_ids(self.db, [stream])).get(stream)

    async def image(self, name: str) -> Image | None:
        """An Image; None when there is none of that name."""
        return decoded_image(await self.store.get(image_key(name)))


def view_of(stream: Stream, tag: str) -> View:
    """A tag as a unit of work has left it; `stream` is saved."""
    row = stream.row(tag)
    events = tag_events.visible(stream.tx, stream.repository_id, tag, row.hidden, tag_events.SHOWN)
    return View(TagName(stream.name, tag), stream.header, row, events)


def image_now(tx: Transaction, name: str) -> Image | None:
    """As `Reads.image`, within a unit."""
    return decoded_image(DocumentUnit(tx).get(image_key(name)))


def image_key(name: str) -> Key:
    return Key(IMAGES.key, "", name)


def decoded_image(document: Document | None) -> Image | None:
    return None if document is None else _IMAGE.decode(document.body)
