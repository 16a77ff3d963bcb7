"""What an ImageStreamTag and an ImageTag may say when they are written (image-api 5.1 and 5.2)."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from tidegate.apimachinery.errors import BadRequest, FieldError, invalid, modified
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import Resource
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS, ImageStreamTag
from tidegate.images.kinds.image_tag import IMAGE_TAGS, ImageTag
from tidegate.images.kinds.tag_reference import TagReference
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags import rendering
from tidegate.images.tags.rendering import View


class Form(Protocol):
    """What an ImageStreamTag and an ImageTag differ in."""

    @property
    def resource(self) -> Resource[Any]: ...

    def shown(self, view: View, image: Image | None, hosts: Hosts) -> Object:
        """The object of a tag."""
        ...

    def wanted(self, new: Any, old: View | None, *, creating: bool) -> TagReference | None:
        """What a write wants of the tag; `old` is None without a stream. Raises `ApiError`."""
        ...

    def said(self, each: Any) -> TagReference | None:
        """What an object says is wanted of the tag."""
        ...

    @property
    def path(self) -> str:
        """The field of `said`."""
        ...

    def faults(self, new: Any, old: Any) -> list[FieldError]:
        """What a write changes that it may not; `old` is None without a stream."""
        ...


class ImageStreamTagForm:
    """`tag` and `metadata.annotations` can be written; the annotations are the tag's."""

    resource: Resource[Any] = IMAGE_STREAM_TAGS
    path = "tag"

    def said(self, each: ImageStreamTag) -> TagReference | None:
        return each.tag

    def shown(self, view: View, image: Image | None, hosts: Hosts) -> ImageStreamTag:
        return rendering.image_stream_tag(view, image, hosts)

    def wanted(
        self, new: ImageStreamTag, old: View | None, *, creating: bool
    ) -> TagReference | None:
        """What is to be wanted; a tag that is left out stays what it is, with new annotations."""
        spec = new.tag or (None if old is None else old.spec)
        if spec is not None:
            return msgspec.structs.replace(spec, annotations=new.metadata.annotations)
        if creating:
            return None
        stream, _, tag = new.metadata.name.partition(":")
        raise BadRequest(
            f"imagestreamtag {tag} is not a spec tag in imagestream "
            f"{new.metadata.namespace}/{stream}, cannot be updated"
        )

    def faults(self, new: ImageStreamTag, old: ImageStreamTag | None) -> list[FieldError]:
        """On an update annotations may be given in either place: those of the metadata count."""
        if old is None:
            return []
        if new.tag is not None:
            new.tag.annotations = new.metadata.annotations
        _check_uid(new.metadata, old.metadata, self.resource)
        if _is_same(new.metadata, old.metadata):
            return []
        return [invalid("metadata", "", "may not update fields other than metadata.annotations")]


class ImageTagForm:
    """`spec` can be written, and taken away; metadata and status are sent as they were."""

    resource: Resource[Any] = IMAGE_TAGS
    path = "spec"

    def said(self, each: ImageTag) -> TagReference | None:
        return each.spec

    def shown(self, view: View, image: Image | None, hosts: Hosts) -> ImageTag:
        return rendering.image_tag(view, image, hosts)

    def wanted(
        self,
        new: ImageTag,
        old: View | None,  # noqa: ARG002  see `Form`
        *,
        creating: bool,  # noqa: ARG002
    ) -> TagReference | None:
        """What is to be wanted; None takes it away."""
        return new.spec

    def faults(self, new: ImageTag, old: ImageTag | None) -> list[FieldError]:
        if old is None:
            return []
        faults = []
        why = "may not update fields other than spec"
        _check_uid(new.metadata, old.metadata, self.resource)
        annotations = new.metadata.annotations
        kept = not annotations or annotations == old.metadata.annotations
        if not kept or not _is_same(new.metadata, old.metadata):
            faults.append(invalid("metadata", "", why))
        if new.status is not None and new.status != old.status:
            faults.append(invalid("status", "", why))
        return faults


def _is_same(new: ObjectMeta, old: ObjectMeta) -> bool:
    """Whether the stream's own metadata stays; labels that are left out are the stream's."""
    return (
        (not new.labels or new.labels == old.labels)
        and (not new.owner_references or new.owner_references == old.owner_references)
        and (not new.finalizers or new.finalizers == old.finalizers)
    )


def _check_uid(new: ObjectMeta, old: ObjectMeta, resource: Resource[Any]) -> None:
    if new.uid not in ("", old.uid):
        why = f"Precondition failed: UID in precondition: {new.uid}, UID in object meta: {old.uid}"
        raise modified(resource.qualified, new.name, why)


def values_of(current: Object | None) -> Mapping[str, Any] | None:
    """The tag as a change begins with it: of fields that nobody manages.

    Who set which is kept for no part of a stream; said by an empty entry, since server-side apply
    takes an object without any for one that somebody else set up.
    """
    if current is None:
        return None
    values: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(current))
    values["metadata"]["managedFields"] = [_UNMANAGED]
    return values


_UNMANAGED = {
    "manager": "tidegate",
    "operation": "Update",
    "apiVersion": API_VERSION,
    "time": "1970-01-01T00:00:00Z",
    "fieldsType": "FieldsV1",
    "fieldsV1": {},
}
