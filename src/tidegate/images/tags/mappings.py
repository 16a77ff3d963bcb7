"""imagestreammappings: an image that some registry was pushed, and the tag that names it.

The answer is only whether it worked. A registry beside the API that finds no stream makes one and
comes again: it looks for `NotFound` with this very resource (image-api 6). Whoever may write to one
project may post an Image, which all projects share: of one whose manifest comes along only what the
manifest says is kept, one without is not called this registry's own, and a push of the content
replaces either. An Image that is there already, and is not in the stream, is given to nobody who
does not know all of it: a tag would show her what another project has.
"""

import uuid
from functools import partial

import msgspec

from tidegate.apimachinery.authorizer import Attributes
from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.errors import (
    FieldError,
    RequestTooLarge,
    forbid,
    invalid_object,
    missing,
)
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.resource import OBJECT_LIMIT
from tidegate.apimachinery.storage import Call
from tidegate.images.docker_image import described
from tidegate.images.kinds.group import API_VERSION, LAYERS_ORDER, MANAGED
from tidegate.images.kinds.image import IMAGES, Image, prepare_image
from tidegate.images.kinds.image_stream_mapping import (
    IMAGE_STREAM_MAPPINGS,
    ImageStreamMapping,
    mapping_faults,
)
from tidegate.images.streams.errors import LimitExceeded, RegistryNotAllowed
from tidegate.images.streams.registries import ANYWHERE, fault, is_insecure
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream
from tidegate.images.tag_names import tag_faults
from tidegate.images.tags.changing import check_namespace, run, told
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import image_key, image_now
from tidegate.images.tags.storage import Makes
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore import manifests, tag_events
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.digest import Digest
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
        managed = await weighed(call.weight, self._prepare, call, new)
        now, image = self._makes.clock(), new.image
        image.metadata = ObjectMeta(
            name=image.metadata.name,
            uid=str(uuid.uuid4()),
            creation_timestamp=rfc3339_seconds(now),
            labels=image.metadata.labels,
            annotations=image.metadata.annotations,
        )
        name = TagName(RepositoryName(f"{call.namespace}/{new.metadata.name}"), new.tag)
        actor = Actor(call.user.name, PUSH, now)
        sees_all = await self._makes.authorizer.authorize(
            call.user, Attributes("get", "images", name=image.metadata.name)
        )
        unit = partial(
            self._record,
            name=name,
            image=image,
            managed=managed,
            actor=actor,
            sees_all=sees_all,
            policy=await self._allowed(call),
        )
        with told(name):
            call.warnings.extend(await run(self._makes.reads.db, unit, dry_run=call.dry_run))
        return _SUCCESS

    async def _allowed(self, call: Call) -> ImportPolicy:
        """The registries that the image may be of: any for who may create images."""
        policy = (await self._makes.config.current()).imports()
        if policy.restricted and await self._makes.authorizer.authorize(
            call.user, Attributes("create", "images")
        ):
            return ANYWHERE
        return policy

    def _prepare(self, call: Call, new: ImageStreamMapping) -> bool:
        """Complete and judge what was posted; whether its image is said to be kept here."""
        new.metadata.namespace = call.namespace
        IMAGE_STREAM_MAPPINGS.strategy.prepare(new, None)
        image = new.image
        managed = image.metadata.annotations.get(MANAGED) == "true"
        image.api_version, image.kind = API_VERSION, "Image"
        image.metadata.namespace = ""
        _keep_proven(image)
        prepare_image(image, None)
        if not image.docker_image_reference and image.metadata.name:
            stream = RepositoryName(f"{call.namespace}/{new.metadata.name}")
            image.docker_image_reference = self._makes.hosts.shown(
                f"/{stream}@{image.metadata.name}"
            )
        faults = validate_metadata(IMAGE_STREAM_MAPPINGS, new.metadata, None)
        faults += [
            FieldError(each.reason, f"image.{each.field}", each.message)
            for each in validate_metadata(IMAGES, image.metadata, None)
        ]
        faults += mapping_faults(new)
        if new.tag:
            faults += tag_faults(new.tag, "tag")
        if faults:
            kind = IMAGE_STREAM_MAPPINGS.qualified_kind
            raise invalid_object(kind, new.metadata.name, faults)
        if len(msgspec.json.encode(image)) > OBJECT_LIMIT:
            raise RequestTooLarge(
                f"Request entity too large: the image has more than {OBJECT_LIMIT} bytes"
            )
        return managed

    def _record(
        self,
        tx: Transaction,
        name: TagName,
        image: Image,
        managed: bool,
        actor: Actor,
        sees_all: bool,
        policy: ImportPolicy,
    ) -> list[str]:
        """Store the image if it is new, and let the tag name it.

        `sees_all` is whether the writer may read images whose stream she does not say, `policy`
        has the registries that it may be of.
        """
        resource = IMAGE_STREAM_MAPPINGS.qualified
        check_namespace(tx, name)
        stream = Stream.open(tx, name.stream)
        if stream is None:
            raise missing(resource, name.stream.stream)
        try:
            stream.rules.check_image(_size(image))
        except LimitExceeded as error:
            raise forbid(resource, name.stream.stream, str(error)) from error
        digest = image.metadata.name
        reference = self._makes.hosts.stored(image.docker_image_reference)
        existing = image_now(tx, digest)
        if existing is None:
            key = image_key(digest)
            DocumentUnit(tx).put(key, image.metadata.uid, partial(_encoded, image))
        elif not (sees_all or _holds(stream, digest) or _says_all(image, existing)):
            why = "it is not in the stream: post it with its manifest and its configuration"
            raise forbid(IMAGES.qualified, digest, why)
        elif managed:
            reference = f"/{name.stream}@{digest}"
        _check_registry(stream, digest, reference, policy)
        stream.record(name.tag, Change(reference, digest, stream.generation), actor)
        stream.save()
        return stream.warnings


def _keep_proven(image: Image) -> None:
    """Leave of an image what its manifest says; without one it is no image of this registry.

    Annotations of an Image forbid to run it, or tell of its signatures: who may write to one
    project says neither.
    """
    text = image.docker_image_manifest.encode()
    proven = bool(text) and Digest.of(text) == image.metadata.name
    kept = (MANAGED, LAYERS_ORDER) if proven else (LAYERS_ORDER,)
    said = image.metadata.annotations
    image.metadata.annotations = {key: said[key] for key in kept if key in said}
    if not proven:
        return
    found = described(image.metadata.name, "", text)
    image.docker_image_manifest_media_type = (
        found.media_type or image.docker_image_manifest_media_type
    )
    if Digest.of(image.docker_image_config.encode()) != found.id:
        image.docker_image_config = ""
    image.docker_image_metadata = {}
    image.docker_image_layers, image.docker_image_manifests = [], []


def _holds(stream: Stream, digest: str) -> bool:
    """Whether who reads the stream sees the image already."""
    return digest in (
        *tag_events.of_image(stream.tx, stream.repository_id, digest, 1),
        *manifests.beginning(stream.tx, stream.repository_id, digest, 1),
    )


def _check_registry(stream: Stream, digest: str, reference: str, policy: ImportPolicy) -> None:
    """Raise `RegistryNotAllowed` for a reference to what users may not import.

    What the stream refers to already is none of that.
    """
    if reference.startswith("/") or not policy.restricted:
        return
    past = tag_events.naming(stream.tx, stream.repository_id, digest)
    if any(event.reference == reference for _, event in past):
        return
    insecure = is_insecure(stream.header.metadata.annotations)
    if why := fault(policy, reference, insecure=insecure):
        raise RegistryNotAllowed(why)


def _says_all(image: Image, existing: Image) -> bool:
    """Whether a posted image says what the stored one does."""
    return (
        image.docker_image_metadata == existing.docker_image_metadata
        and image.docker_image_layers == existing.docker_image_layers
        and image.docker_image_manifests == existing.docker_image_manifests
    )


def _size(image: Image) -> int:
    size = image.docker_image_metadata.get("Size")
    return size if isinstance(size, int) else 0


def _encoded(image: Image, revision: int) -> bytes:
    metadata = msgspec.structs.replace(image.metadata, resource_version=str(revision))
    return msgspec.json.encode(msgspec.structs.replace(image, metadata=metadata))
