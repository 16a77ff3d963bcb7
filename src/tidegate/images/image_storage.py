"""What serves images: documents that go only when nothing holds them, and come back for a while.

`oc adm prune images` reads all streams and all images, and deletes what it does not find in a
stream. Two things keep it from harm. A delete looks for holders again in its own unit of work, and
names one. And a list leaves out what is held but shown in no stream (past events beyond those that
are shown, what was pushed by digest alone, signatures), for which the pruner would only be told no.
Images of tags that a large stream leaves out for its size stay in the list: such a tag can come
into sight while the pruner runs, and it drops events of images that it did not find.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.units import Accompanied
from tidegate.apimachinery.errors import modified
from tidegate.apimachinery.storage import Call, ListOptions, Page
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.metastore import holders
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit

T = TypeVar("T")


class ImageUnit(DocumentUnit):
    """A unit of work in which an image that is held cannot be deleted."""

    def __init__(self, rows: Transaction) -> None:
        super().__init__(rows)
        self.rows = rows

    def delete(self, key: Key) -> Document | None:
        """See `DocumentTransaction.delete`; `UpdateConflict` names what holds the image."""
        if key.resource == IMAGES.key:
            holder = holders.holder_of(self.rows, key.name)
            if holder is not None:
                why = f"image {key.name} is held by {holder}"
                raise modified(IMAGES.qualified, key.name, why)
        return super().delete(key)


def guarded(store: ObjectStore, database: Database) -> ObjectStore:
    """The store, with units in which images that are held stay."""

    async def write(unit: Callable[[DocumentTransaction], T]) -> T:
        return await database.write(lambda rows: unit(ImageUnit(rows)))

    return Accompanied(store, write)


class ImageStorage(DocumentStorage[Image]):
    """Images as documents, with what is particular to their lists and their end."""

    def __init__(
        self, store: ObjectStore, database: Database, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(IMAGES, guarded(store, database), clock=clock)
        self._database = database

    async def list(self, call: Call, options: ListOptions) -> Page:
        """See `storage.Lister`. An image that is asked for by its name is always there."""
        found = await self._listings.list(call.namespace, options)
        if options.selection.name is not None:
            return found.page()
        names = [each.key.name for each in found.documents]
        left_out = await holders.unlisted(self._database, names)
        shown = [each for each in found.documents if each.key.name not in left_out]
        return found._replace(documents=shown).page()
