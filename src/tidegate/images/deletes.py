"""What a delete through the registry means to a stream: tags end, and what goes is in no history.

In the unit that deletes the manifest. What an older version left in a project that has gone is no
stream, and the caller's to delete from. Knows no HTTP.
"""

from tidegate.images.streams.stream import Actor, Stream
from tidegate.metastore import tag_events, tags
from tidegate.oci.digest import Digest
from tidegate.oci.name import Tag


def drop_tag(stream: Stream, tag: Tag, actor: Actor) -> bool:
    """End a tag; False when there was none. Raises `TagImmutable`."""
    dropped = stream.drop(tag, actor)
    stream.save()
    return dropped


def drop_image(stream: Stream, digest: Digest, actor: Actor) -> None:
    """End the tags that name the image, and take it out of the histories of all others.

    Raises `TagImmutable`.
    """
    for named in tags.naming_now(stream.tx, stream.name, digest):
        stream.row(named)  # one of an older version gets its event now
    older: dict[str, list[int]] = {}
    for tag, event in tag_events.naming(stream.tx, stream.repository_id, digest):
        if stream.row(tag).current == event.number:
            stream.drop(tag, actor)
        else:
            older.setdefault(tag, []).append(event.number)
    for tag, numbers in older.items():
        if stream.row(tag).is_live:
            stream.prune(tag, numbers, actor.now)
    stream.save()
