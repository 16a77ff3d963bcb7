"""imagestreams/undelete: bring back the stream that was deleted last under a name.

Everything of it comes back as it was, its identity, tags and history, under a new version.
"""

import msgspec

from tidegate.apimachinery.errors import BadRequest, exists_already, forbid, missing
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.images.image_undelete import bring_back_some
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.refusals import answered
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.storage import Streams
from tidegate.images.streams.stream import Stream, key_of
from tidegate.metastore import deleted, projects, repositories, usage
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.projects import ProjectGone
from tidegate.oci.name import RepositoryName

_HEADER = msgspec.json.Decoder(ImageStream)


class UndeleteStorage:
    """Serves the subresource; `window` is for how many seconds a deleted stream can come back."""

    def __init__(self, streams: Streams, window: float) -> None:
        self._streams = streams
        self._window = window

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`: `NotFound` beyond the window, `AlreadyExists` for a taken name."""
        del new
        if call.dry_run:
            raise BadRequest("a stream cannot be brought back as a dry run")
        name = RepositoryName(f"{call.namespace}/{call.name}")
        since = self._streams.clock() - self._window
        database = self._streams.database
        aside = await deleted.waiting(database, key_of(name))
        size = 0 if aside is None else await usage.would_add(database, aside)
        while await self._streams.database.write(lambda tx: _bring_images_back(tx, name, since)):
            pass
        with answered(name.stream):
            body, warnings = await database.write(lambda tx: bring_back(tx, name, since, size))
        call.warnings.extend(warnings)
        return await self._streams.written(call, body)


def _bring_images_back(tx: Transaction, name: RepositoryName, since: float) -> bool:
    """Bring back some of what was deleted meanwhile: before the stream, which so has them all."""
    key = key_of(name)
    found = deleted.newest(tx, key)
    if found is None or found.deleted_at < since or DocumentUnit(tx).get(key) is not None:
        return False
    return bring_back_some(tx, deleted.aside(key, found.uid))


def bring_back(
    tx: Transaction, name: RepositoryName, since: float, size: int = 0
) -> tuple[bytes, list[str]]:
    """Bring the stream back if it was deleted after `since`; its header, and what to warn of.

    `size` is how many bytes it brings, which the project's quota has to have room for.
    """
    key = key_of(name)
    unit = DocumentUnit(tx)
    try:
        projects.require(tx, name.project)
    except ProjectGone as error:
        raise forbid(IMAGE_STREAMS.qualified, name.stream, str(error)) from error
    if unit.get(key) is not None:
        raise exists_already(IMAGE_STREAMS.qualified, name.stream)
    found = deleted.newest(tx, key)
    if found is None or found.deleted_at < since:
        raise missing(IMAGE_STREAMS.qualified, name.stream)
    deleted.take_back(tx, key, found.uid)
    header = _HEADER.decode(found.body)
    metadata = header.metadata
    # what its end was waiting for has been done, and its owners may have gone
    metadata.deletion_timestamp, metadata.deletion_grace_period_seconds = "", None
    metadata.finalizers, metadata.owner_references = [], []
    rules = Rules.load(tx, name.project)
    warnings = rules.judge_stream(tx, name)
    rules.check_return(tx, size)
    stream = Stream(tx, name, repositories.ensure(tx, name), header, rules)
    stream.touch()
    document = stream.save()
    assert document is not None  # noqa: S101  it was touched
    return document.body, warnings
