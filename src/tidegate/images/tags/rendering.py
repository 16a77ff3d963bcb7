"""A tag of a stream as ImageStreamTag and as ImageTag: from what is stored, values to values.

References get the registry's host in front here, and only here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds import image_stream
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import (
    ImageStream,
    NamedTagEventList,
    TagEventCondition,
    TagReference,
)
from tidegate.images.kinds.image_stream_tag import ImageStreamTag
from tidegate.images.kinds.image_tag import ImageTag
from tidegate.images.kinds.tag_reference import LOCAL
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.names import TagName
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName

_SPEC = msgspec.json.Decoder(TagReference)
_CONDITIONS = msgspec.json.Decoder(list[TagEventCondition])


@dataclass(frozen=True, slots=True)
class View:
    """A tag as it was read, with its stream's header; `events` are shown, the newest first."""

    name: TagName
    header: ImageStream
    row: TagRow
    events: Sequence[TagEvent]

    @property
    def spec(self) -> TagReference | None:
        return None if self.row.spec is None else _SPEC.decode(self.row.spec)

    @property
    def conditions(self) -> list[TagEventCondition]:
        return [] if self.row.conditions is None else _CONDITIONS.decode(self.row.conditions)

    @property
    def named(self) -> TagEvent | None:
        """The event by which the tag names an image now; None for one that names none."""
        newest = self.events[0] if self.events else None
        return newest if newest is not None and newest.image else None


def event_shown(event: TagEvent, hosts: Hosts) -> image_stream.TagEvent:
    """An event as a stream's status has it."""
    return image_stream.TagEvent(
        created=rfc3339_seconds(event.created_at),
        docker_image_reference=hosts.shown(event.reference),
        image=event.image,
        generation=event.generation,
    )


def pull_spec(
    stream: RepositoryName,
    header: ImageStream,
    spec: TagReference | None,
    event: TagEvent,
    hosts: Hosts,
) -> str:
    """Where the image of a tag is pulled from, as the tag's reference policy says."""
    reference = hosts.shown(event.reference)
    if spec is None or spec.reference_policy.type != LOCAL or not event.image:
        return reference
    repository = hosts.repository(stream) or header.spec.docker_image_repository
    return f"{repository}@{event.image}" if repository else reference


def image_stream_tag(view: View, image: Image | None, hosts: Hosts) -> ImageStreamTag:
    """The tag with the image that it names, of which without `image` little is said."""
    header, event, spec = view.header.metadata, view.named, view.spec
    shown = Image() if image is None else image
    if event is not None:
        shown.metadata.name = event.image
        reference = pull_spec(view.name.stream, view.header, spec, event, hosts)
        shown.docker_image_reference = reference
    annotations = {} if spec is None else spec.annotations
    if image is not None:
        blank(shown)
        shown.metadata.annotations = {**shown.metadata.annotations, **annotations}
    return ImageStreamTag(
        api_version=API_VERSION,
        kind="ImageStreamTag",
        metadata=ObjectMeta(
            name=str(view.name),
            namespace=header.namespace,
            uid=header.uid,
            resource_version=header.resource_version,
            labels=header.labels,
            annotations=annotations,
            creation_timestamp=(
                header.creation_timestamp if event is None else rfc3339_seconds(event.created_at)
            ),
        ),
        tag=spec,
        generation=0 if event is None else event.generation,
        lookup_policy=view.header.spec.lookup_policy,
        conditions=view.conditions,
        image=shown,
    )


def image_tag(view: View, image: Image | None, hosts: Hosts) -> ImageTag:
    """The tag's spec and its history; `image` is left out of lists."""
    spec, conditions, event = view.spec, view.conditions, view.named
    status = None
    if view.events or conditions:
        items = [event_shown(each, hosts) for each in view.events]
        status = NamedTagEventList(tag=view.name.tag, items=items, conditions=conditions)
    if image is not None and event is not None:
        blank(image)
        reference = pull_spec(view.name.stream, view.header, spec, event, hosts)
        image.docker_image_reference = reference
    metadata = msgspec.structs.replace(view.header.metadata, name=str(view.name), managed_fields=[])
    return ImageTag(
        api_version=API_VERSION,
        kind="ImageTag",
        metadata=metadata,
        spec=spec,
        status=status,
        image=image,
    )


def blank(image: Image) -> None:
    """Leave out what is long, and pulled by who wants it; and what the object around it says."""
    image.api_version = image.kind = ""
    image.docker_image_manifest = image.docker_image_config = ""
