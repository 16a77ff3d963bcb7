"""What serves imagestreamimports: judged by all the rules, and told that nothing is fetched.

Importing from other registries is not part of this version. A request is answered as one whose
every image failed, which clients print image by image; nothing is written, no stream and no
condition. Invariant: what would be refused once images are fetched is refused now.
"""

import msgspec

from tidegate.apimachinery.decoding.messages import Status
from tidegate.apimachinery.documents.bodies import header
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.errors import Qualified, invalid_object, missing, modified
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.storage import Call
from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.images.kinds.group import GROUP
from tidegate.images.kinds.image_stream import IMAGE_STREAMS
from tidegate.images.kinds.image_stream_import import (
    IMAGE_STREAM_IMPORTS,
    ImageImportStatus,
    ImageStreamImport,
    ImageStreamImportStatus,
    RepositoryImportStatus,
)
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid

NOT_FETCHED = "NotImplemented"
"""Reason of each image's failure."""

_STREAM = Qualified("imagestream", GROUP)
"""As the original's refusals have it, in the singular."""


class ImportStorage:
    """Creates of imagestreamimports."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def create(self, call: Call, new: Object) -> bytes:
        """The request with its status filled in: a Failure for everything that it asks for."""
        if not isinstance(new, ImageStreamImport):
            raise TypeError("not an ImageStreamImport")
        wanted = new.metadata.resource_version
        new.metadata.resource_version = ""
        IMAGE_STREAM_IMPORTS.strategy.prepare(new, None)
        faults = validate_metadata(IMAGE_STREAM_IMPORTS, new.metadata, None)
        faults += IMAGE_STREAM_IMPORTS.strategy.validate(new, None)
        if faults:
            raise invalid_object(IMAGE_STREAM_IMPORTS.qualified_kind, new.metadata.name, faults)
        await self._check(call.namespace, new.metadata.name, wanted)
        new.status = _unfetched(new)
        return msgspec.json.encode(new)

    async def _check(self, namespace: str, name: str, wanted: str) -> None:
        """Refuse what is not for this namespace, or for the stream as it is."""
        if await self._store.get(Key("namespaces", "", namespace)) is None:
            raise missing(Qualified("namespaces"), namespace)
        stream = await self._store.get(Key(IMAGE_STREAMS.key, namespace, name))
        if not wanted:
            return
        if stream is None:
            raise missing(IMAGE_STREAMS.qualified, name)
        current = header(stream.body).resource_version
        if wanted != current:
            why = f'the image stream was updated from "{wanted}" to "{current}"'
            raise modified(_STREAM, name, why)


def _unfetched(request: ImageStreamImport) -> ImageStreamImportStatus:
    spec = request.spec
    images = [
        ImageImportStatus(status=_failure(each.from_.name), tag=_tag(each.from_.name))
        for each in spec.images
    ]
    repository = None
    if spec.repository is not None:
        repository = RepositoryImportStatus(status=_failure(spec.repository.from_.name))
    return ImageStreamImportStatus(repository=repository, images=images)


def _failure(source: str) -> Status:
    return Status(
        status="Failure",
        message=f'"{source}" was not imported: this version does not import from other registries,'
        " a later one will",
        reason=NOT_FETCHED,
        code=501,
    )


def _tag(source: str) -> str:
    """The tag that would be looked up."""
    try:
        spec = PullSpec.parse(source)
    except PullSpecInvalid:
        return ""
    return "" if spec.id else spec.tag or "latest"
