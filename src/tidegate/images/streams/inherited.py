"""What a stream inherits from a version that had no streams: its header, and its tags' first event.

Taken over by a job (`images.adoption`), and by whatever changes such a repository or tag before
the job comes by, so that no event is missing whoever was first. An inherited tag has one event, the
push that the registry's tag tells of; who pushed was not written down. Knows no `Stream`, which
asks it.
"""

import uuid

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.metastore import stream_tags, tag_events, unadopted
from tidegate.metastore.database import Transaction
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName

_PUSH = "push"
_GENERATION = 1
"""Of a header that nobody has changed, and of what was pushed under it."""


def header(name: RepositoryName, created: float) -> ImageStream:
    """The header of a stream that was first pushed to at `created`."""
    metadata = ObjectMeta(
        name=name.stream,
        namespace=name.project,
        uid=str(uuid.uuid4()),
        generation=_GENERATION,
        creation_timestamp=rfc3339_seconds(created),
    )
    return ImageStream(api_version=API_VERSION, kind=IMAGE_STREAMS.kind, metadata=metadata)


def tag(
    tx: Transaction, repository_id: int, name: RepositoryName, tag: str, revision: int
) -> TagRow | None:
    """Give a tag that the stream does not know the event of its push; None when there is no such.

    The row is written at once, under the stream's `revision` so far: also a unit that only reads
    leaves an event with its tag.
    """
    found = unadopted.tag(tx, repository_id, tag)
    if found is None:
        return None
    digest, pushed_at = found
    reference = f"/{name}@{digest}"
    event = TagEvent(1, pushed_at, pushed_at, reference, digest, _GENERATION, _PUSH, "")
    tag_events.append(tx, repository_id, tag, event)
    row = TagRow(tag, newest=event.number, current=event.number, changed=revision)
    stream_tags.put(tx, repository_id, row)
    return row
