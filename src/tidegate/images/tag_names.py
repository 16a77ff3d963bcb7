"""What the name of a tag may be that is set through the API; a registry's are stricter anyway."""

from tidegate.apimachinery.errors import FieldError, invalid
from tidegate.images.point_in_time import is_reserved

TAG_LIMIT = 128
"""Characters of a tag: no client can pull a longer one (distribution specification)."""


def tag_faults(tag: str, path: str = "metadata.name") -> list[FieldError]:
    """What is wrong with the name of a new tag, which is at `path`."""
    if len(tag) > TAG_LIMIT:
        why = f"a tag has at most {TAG_LIMIT} characters"
        return [invalid(path, tag[:TAG_LIMIT] + "…", why)]
    if not tag.isprintable():
        return [invalid(path, tag, "may not contain control characters")]
    if is_reserved(tag):
        return [invalid(path, tag, "this form means a tag as it was at a time")]
    return []
