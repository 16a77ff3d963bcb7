"""imagestreammappings: an image that some registry was pushed, and the tag that names it.

The answer is only whether it worked. A registry beside the API that finds no stream makes one and
comes again: it looks for `NotFound` with this very resource (image-api 6).
"""

import uuid
from functools import partial

import msgspec

from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.errors import (
    FieldError,
    forbid,
    invalid,
    invalid_object,
    missing,
    required,
)
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.images.kinds.group import API_VERSION, MANAGED
from tidegate.images.kinds.image import Image, image_name_fault, prepare_image
from tidegate.images.kinds.image_stream_mapping import (
    IMAGE_STREAM_MAPPINGS,
    ImageStreamMapping,
    mapping_faults,
)
from tidegate.images.streams.errors import LimitExceeded
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream
from tidegate.images.tags.changing import check_namespace, run, tag_faults, told
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import image_key, image_now
from tidegate.images.tags.storage import Makes
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.name import RepositoryName

_SUCCESS = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}'


class ImageStreamMappingStorage:
    """Serves the resource."""

    def __init__(self, makes: Makes) -> None:
        self._makes = makes

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        if not isinstance(new, ImageStreamMapping):
            raise TypeError("not an ImageStreamMapping")
        await weighed(call.weight, self._prepare, call, new)
        now = self._makes.clock()
        image = new.image
        image.metadata.uid = str(uuid.uuid4())
        image.metadata.creation_timestamp = rfc3339_seconds(now)
        image.metadata.resource_version = image.metadata.namespace = ""
        name = TagName(RepositoryName(f"{call.namespace}/{new.metadata.name}"), new.tag)
        actor = Actor(call.user.name, PUSH, now)
        unit = partial(self._record, name=name, image=image, actor=actor)
        with told(name):
            call.warnings.extend(await run(self._makes.reads.db, unit, dry_run=call.dry_run))
        return _SUCCESS

    def _prepare(self, call: Call, new: ImageStreamMapping) -> None:
        """Complete and judge what was posted."""
        new.metadata.namespace = call.namespace
        IMAGE_STREAM_MAPPINGS.strategy.prepare(new, None)
        image = new.image
        image.api_version, image.kind = API_VERSION, "Image"
        prepare_image(image, None)
        if not image.docker_image_reference and image.metadata.name:
            stream = RepositoryName(f"{call.namespace}/{new.metadata.name}")
            image.docker_image_reference = self._makes.hosts.shown(
                f"/{stream}@{image.metadata.name}"
            )
        faults = validate_metadata(IMAGE_STREAM_MAPPINGS, new.metadata, None)
        faults += [*_image_name_faults(image), *mapping_faults(new)]
        if new.tag:
            faults += tag_faults(new.tag, "tag")
        if faults:
            kind = IMAGE_STREAM_MAPPINGS.qualified_kind
            raise invalid_object(kind, new.metadata.name, faults)

    def _record(self, tx: Transaction, name: TagName, image: Image, actor: Actor) -> list[str]:
        """Store the image if it is new, and let the tag name it."""
        resource = IMAGE_STREAM_MAPPINGS.qualified
        check_namespace(tx, name)
        stream = Stream.open(tx, name.stream)
        if stream is None:
            raise missing(resource, name.stream.stream)
        try:
            stream.rules.check_image(int(image.docker_image_metadata.get("Size") or 0))
        except LimitExceeded as error:
            raise forbid(resource, name.stream.stream, str(error)) from error
        digest = image.metadata.name
        reference = self._makes.hosts.stored(image.docker_image_reference)
        if image_now(tx, digest) is None:
            key = image_key(digest)
            DocumentUnit(tx).put(key, image.metadata.uid, partial(_encoded, image))
        elif image.metadata.annotations.get(MANAGED) == "true":
            reference = f"/{name.stream}@{digest}"
        stream.record(name.tag, Change(reference, digest, stream.generation), actor)
        stream.save()
        return stream.warnings


def _image_name_faults(image: Image) -> list[FieldError]:
    digest = image.metadata.name
    if not digest:
        return [required("image.metadata.name", "name or generateName is required")]
    fault = image_name_fault(digest)
    return [] if fault is None else [invalid("image.metadata.name", digest, fault)]


def _encoded(image: Image, revision: int) -> bytes:
    metadata = msgspec.structs.replace(image.metadata, resource_version=str(revision))
    return msgspec.json.encode(msgspec.structs.replace(image, metadata=metadata))
