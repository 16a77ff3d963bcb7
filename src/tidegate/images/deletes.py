"""What a delete through the registry means to a stream: tags end, and what goes is in no history.

In the unit that deletes the manifest. What an older version left in a project that has gone is no
stream, and the caller's to delete from. Knows no HTTP. Invariant: what a stream is too large to
show stays when what it shows is deleted.
"""

from collections.abc import Sequence

from tidegate.images.streams.errors import ImageHeld
from tidegate.images.streams.rendering import SHOWN_BYTES
from tidegate.images.streams.stream import Actor, Stream
from tidegate.metastore import stream_tags, tag_events, tags
from tidegate.metastore.tag_events import SHOWN, TagEvent
from tidegate.oci.digest import Digest
from tidegate.oci.name import Tag


def drop_tag(stream: Stream, tag: Tag, actor: Actor) -> bool:
    """End a tag; False when there was none. Raises `TagImmutable`."""
    dropped = stream.drop(tag, actor)
    stream.save()
    return dropped


def drop_image(stream: Stream, digest: Digest, actor: Actor) -> None:
    """End the tags that name the image, and take it out of the histories of all others.

    Raises `TagImmutable`, and `ImageHeld` for an image in a part of a history that is not shown:
    `oc adm prune images` deletes the manifests of what it does not see any more.
    """
    for named in tags.naming_now(stream.tx, stream.name, digest):
        stream.row(named)  # one of an older version gets its event now
    naming = tag_events.naming(stream.tx, stream.repository_id, digest)
    _check_shown(stream, naming)
    older: dict[str, list[int]] = {}
    for tag, event in naming:
        if stream.row(tag).current == event.number:
            stream.drop(tag, actor)
        else:
            older.setdefault(tag, []).append(event.number)
    for tag, numbers in older.items():
        if stream.row(tag).is_live:
            stream.prune(tag, numbers, actor.now)
    stream.save()


def _check_shown(stream: Stream, naming: Sequence[tuple[str, TagEvent]]) -> None:
    """Raise `ImageHeld` unless whoever reads the stream is shown all these events."""
    for tag, event in naming:
        if event.number <= stream.row(tag).newest - SHOWN:
            raise ImageHeld(f"the history of tag {tag} of {stream.name} names this image")
    places = [(stream.row(tag).changed, tag) for tag, _ in naming]
    if not places:
        return
    oldest = min(places)
    held = stream_tags.weight_from(stream.tx, stream.repository_id, oldest, SHOWN_BYTES)
    if held > SHOWN_BYTES:
        raise ImageHeld(
            f"tag {oldest[1]} of {stream.name}, which has too many to show this one, names this"
            " image: delete the tag first"
        )
