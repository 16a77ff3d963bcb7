"""How generations count what is wanted of a stream's tags (image-api 4.3): decisions on values.

    kept -> is the spec another one? then the stream's generation grows -> settled -> is_moved?

A tag's generation is the stream's as of the tag's last change. Writing 0 asks for another import
and is all that a user can say of it; whatever else is written gives way to what was stored.
"""

import msgspec

from tidegate.images.kinds.image_stream import ObjectReference, TagReference

_NOWHERE = ObjectReference()


def kept(old: TagReference | None, new: TagReference) -> TagReference:
    """What a user wants of a tag, without what she may not say of its generation.

    The stream's generation grows when this is not what `old` is.
    """
    if old is None or new.generation == 0:
        return new
    return msgspec.structs.replace(new, generation=old.generation)


def settled(
    old: TagReference | None, new: TagReference, namespace: str, generation: int
) -> TagReference:
    """What is stored of a tag that was `kept`; `generation` is the stream's by now."""
    if old is not None and new.generation and not _is_changed(old, new, namespace):
        return new
    return msgspec.structs.replace(new, generation=generation)


def is_moved(old: TagReference | None, new: TagReference, namespace: str) -> bool:
    """Whether a tag is to come from somewhere else, so that its source is looked at.

    Neither its kind alone, nor policies, annotations or another import make it so.
    """
    if new.from_ is None:
        return False
    if old is None:
        return True
    source, before = new.from_, old.from_ or _NOWHERE
    return (
        (before.namespace or namespace) != (source.namespace or namespace)
        or before.name != source.name
        or old.reference != new.reference
        or old.import_policy.import_mode != new.import_policy.import_mode
    )


def _is_changed(old: TagReference, new: TagReference, namespace: str) -> bool:
    again = new.generation == 0 and bool(old.generation) and new.from_ is not None
    return again or is_moved(old, new, namespace)
