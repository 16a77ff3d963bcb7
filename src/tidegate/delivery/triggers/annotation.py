"""The annotation `image.openshift.io/triggers`: which container follows which tag.

    [{"from": {"kind": "ImageStreamTag", "name": "web:latest", "namespace": "shop"},
      "fieldPath": "spec.template.spec.containers[?(@.name==\\"web\\")].image", "paused": false}]

Read as OpenShift's controller reads it, whose users wrote what is there: what is no JSON of this
shape, or names one field twice, is ignored as a whole. Bounded, since users write it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tidegate.delivery.triggers.workload import Source
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName

ANNOTATION = "image.openshift.io/triggers"

TEXT_LIMIT = 64 * 1024
ENTRIES = 256
"""Bounds of one annotation; a pod with as many containers does not start."""

TAG_LENGTH = 128


class AnnotationInvalid(ValueError):
    """An annotation that is ignored as a whole; the message says why."""


class FieldPathInvalid(ValueError):
    """A field of the pod that is none, or is not there."""


class _From(msgspec.Struct):
    kind: str | None = ""
    name: str | None = ""
    namespace: str | None = ""
    apiVersion: str | None = ""  # noqa: N815  the wire's name


class Entry(msgspec.Struct):
    """One trigger as it is written."""

    from_: _From | None = msgspec.field(name="from", default=None)
    fieldPath: str | None = ""  # noqa: N815  the wire's name
    paused: bool | None = False


_ENTRIES = msgspec.json.Decoder(list[Entry] | None)


def entries_of(text: str) -> Sequence[Entry]:
    """The entries of an annotation; `AnnotationInvalid` for one that counts for nothing."""
    if len(text) > TEXT_LIMIT:
        raise AnnotationInvalid(f"it has more than {TEXT_LIMIT} characters")
    try:
        entries = _ENTRIES.decode(text) or []
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise AnnotationInvalid(f"it cannot be read: {error}") from error
    if len(entries) > ENTRIES:
        raise AnnotationInvalid(f"it has more than {ENTRIES} entries")
    paths = [each.fieldPath or "" for each in entries]
    if len(set(paths)) < len(paths):
        raise AnnotationInvalid("two entries have the same fieldPath")
    return entries


def source_of(entry: Entry, namespace: str) -> Source | None:
    """The tag that an entry follows; None for one that follows none, or is paused."""
    if entry.paused or entry.from_ is None:
        return None
    wanted = entry.from_
    if wanted.kind != "ImageStreamTag" or wanted.apiVersion:
        return None
    return tag_source(wanted.name or "", wanted.namespace or namespace)


def tag_source(name: str, namespace: str) -> Source | None:
    """A tag by `STREAM:TAG`; None for a name that no tag can have."""
    stream, colon, tag = name.partition(":")
    if not colon or not tag or ":" in tag or len(tag) > TAG_LENGTH or not tag.isprintable():
        return None
    try:
        return Source(RepositoryName.parse(f"{namespace}/{stream}"), tag)
    except NameInvalid:
        return None


class Selected(NamedTuple):
    """Which container a path selects: by its name among all, or by its index in one list."""

    initial: bool
    name: str = ""
    position: int = -1


_BY_NAME = ('?(@.name=="', '")')


def selected(field_path: str, pod: str) -> Selected | None:
    """Which container's image a path is; None for a path outside of the pod's spec, at `pod`.

    `POD.containers[SEL].image` or `POD.initContainers[SEL].image`, where SEL is an index or
    `?(@.name=="NAME")`, with nothing added.
    """
    if not field_path.startswith(f"{pod}."):
        return None
    inside = field_path[len(pod) + 1 :]
    containers, bracket, rest = inside.partition("[")
    selector, closed, member = rest.partition("]")
    if not (bracket and closed) or containers not in ("containers", "initContainers"):
        raise FieldPathInvalid(f"{field_path[:200]!r} is no image of a container")
    if member != ".image":
        raise FieldPathInvalid(f"{field_path[:200]!r} does not end in .image")
    initial = containers == "initContainers"
    if selector.isascii() and selector.isdigit() and len(selector) <= 4:
        return Selected(initial, position=int(selector))
    before, after = _BY_NAME
    name = selector.removeprefix(before).removesuffix(after)
    if selector != f"{before}{name}{after}" or not name:
        raise FieldPathInvalid(
            f'{selector[:100]!r} selects no container: write an index, or ?(@.name=="NAME")'
        )
    return Selected(initial, name=name)
