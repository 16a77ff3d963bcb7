"""Deleted images come back: the object as it was, with children and referrers that went too.

Only the object: an image has its content in the repositories of streams, where a deleted tag or
stream brings back what belongs to it. Whoever brings those back calls `bring_back` in its own unit,
so that no tag names an image that is not there. What garbage collection has forgotten stays gone.
"""

from collections.abc import Callable

import msgspec

from tidegate.apimachinery.documents.bodies import decoded, restamped
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.errors import BadRequest, exists_already, missing
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.images.image_storage import ImageUnit, guarded
from tidegate.images.kinds.image import IMAGES
from tidegate.metastore import deleted, holders, repositories
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.oci.name import RepositoryName

TOGETHER = 1000
"""Images that come back with one at most: as many as an image may have around it elsewhere."""


_OF_ITS_END = (
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "finalizers",
    "ownerReferences",
)
"""Metadata that does not come back: what waited for its end has had it, and owners may be gone."""

AT_ONCE = 100
"""Images of a stream that come back in one unit."""


class _Child(msgspec.Struct):
    digest: str = ""


class _Image(msgspec.Struct, rename="camel"):
    """As much of an Image as says what belongs to it."""

    docker_image_manifests: list[_Child] = msgspec.field(default_factory=list)


_DECODE = msgspec.json.Decoder(_Image).decode


def bring_back(rows: Transaction, image: str, since: float = 0.0) -> Document | None:
    """Undo the last delete of an image, and of its children and referrers, if it was after `since`.

    None when it is there, or when no such image is kept.
    """
    unit = DocumentUnit(rows)
    back = _restored(rows, unit, image, since)
    if back is None:
        return None
    waiting, seen = _around(rows, image, back), {image}
    while waiting and len(seen) < TOGETHER:
        each = waiting.pop()
        if each in seen:
            continue
        seen.add(each)
        found = _restored(rows, unit, each, since)
        if found is not None:
            waiting += _around(rows, each, found)
    return back


def bring_back_some(rows: Transaction, repository: RepositoryName) -> bool:
    """Bring back some of the deleted images of a stream that is to return; False when none is left.

    One unit of many: whoever deleted a stream may have had thousands of its images deleted since.
    """
    repository_id = repositories.find(rows, repository)
    if repository_id is None:
        return False
    unit = DocumentUnit(rows)
    names = holders.deleted_of(rows, repository_id, AT_ONCE)
    for each in names:
        _restored(rows, unit, each, 0.0)
    return bool(names)


def _restored(rows: Transaction, unit: DocumentUnit, image: str, since: float) -> Document | None:
    key = Key(IMAGES.key, "", image)
    kept = deleted.newest(rows, key)
    if kept is None or kept.deleted_at < since or unit.get(key) is not None:
        return None
    deleted.take_back(rows, key, kept.uid)
    values = decoded(kept.body)
    for each in _OF_ITS_END:
        values["metadata"].pop(each, None)
    body = msgspec.json.encode(values)
    return unit.put(key, kept.uid, lambda revision: restamped(body, str(revision)))


def _around(rows: Transaction, image: str, document: Document) -> list[str]:
    """What belongs directly to an image: its children and its referrers."""
    children = [each.digest for each in _DECODE(document.body).docker_image_manifests]
    return [*children, *holders.referring(rows, image, TOGETHER)]


class ImageUndeletes:
    """Creates of `images/NAME/undelete`, `window` seconds after its delete; answers the Image."""

    def __init__(
        self, store: ObjectStore, database: Database, window: float, clock: Callable[[], float]
    ) -> None:
        self._store = guarded(store, database)
        self._window = window
        self._clock = clock

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`: 404 for what is not kept, 409 for what is there."""
        if new.metadata.name not in ("", call.name):
            raise BadRequest(
                f"the name of the object ({new.metadata.name}) does not match the name on the URL "
                f"({call.name})"
            )

        since = self._clock() - self._window

        def unit(tx: DocumentTransaction) -> Document:
            if not isinstance(tx, ImageUnit):
                raise TypeError("not a unit of images")
            if tx.get(Key(IMAGES.key, "", call.name)) is not None:
                raise exists_already(IMAGES.qualified, call.name)
            back = bring_back(tx.rows, call.name, since)
            if back is None:
                raise missing(IMAGES.qualified, call.name)
            return back

        back = await run(self._store, unit, dry_run=call.dry_run)
        return restamped(back.body, "") if call.dry_run else back.body
