"""The one Image of config.openshift.io: it is there from the start, and says what is so.

Its status is not written by anybody: every write of it, and every start of the server, sets it to
what the settings and the spec say. Others than `cluster` cannot be made, and that one cannot be
deleted, as in OpenShift.
"""

import uuid
from dataclasses import replace
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import forbid
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.resource import Resource, Strategy
from tidegate.apimachinery.storage import Admitted
from tidegate.apimachinery.store import DocumentTransaction, ObjectStore
from tidegate.kinds.registries.compiling import IMAGE_KEY
from tidegate.kinds.registries.image_config import (
    CLUSTER,
    IMAGE_CONFIGS,
    LEGACY,
    Image,
    ImageStatus,
)
from tidegate.observability.timestamp import rfc3339_seconds


class KnownHosts(NamedTuple):
    """HOST[:PORT] of this registry as the settings have them; "" when they do not say."""

    internal: str = ""
    external: str = ""


def status_of(image: Image, known: KnownHosts) -> ImageStatus:
    """What is so while this is wanted."""
    return ImageStatus(
        internal_registry_hostname=known.internal,
        external_registry_hostnames=[known.external] if known.external else [],
        image_stream_import_mode=image.spec.image_stream_import_mode or LEGACY,
    )


def image_storage(store: ObjectStore, known: KnownHosts) -> DocumentStorage[Image]:
    """What serves the Image."""

    def prepare(new: Image, _old: Image | None) -> None:
        new.status = status_of(new, known)

    return _storage(store, replace(IMAGE_CONFIGS.strategy, prepare=prepare))


def status_storage(store: ObjectStore, known: KnownHosts) -> DocumentStorage[Image]:
    """What serves its status, of which nothing is for anybody to say."""

    def prepare(new: Image, old: Image | None) -> None:
        if old is not None:
            new.spec = old.spec
        new.status = status_of(new, known)

    return _storage(store, replace(IMAGE_CONFIGS.strategy, prepare=prepare))


def _storage(store: ObjectStore, strategy: Strategy[Image]) -> DocumentStorage[Image]:
    resource: Resource[Image] = replace(IMAGE_CONFIGS, strategy=strategy)
    return DocumentStorage(resource, store, admission=_Undeletable())


class _Undeletable:
    """An `Admission` that lets nobody delete it, in the words of the original's."""

    async def admit(self, asked: Admitted) -> None:
        if asked.new is None:
            why = f"deleting required {IMAGE_CONFIGS.key} resource, named {CLUSTER}, is not allowed"
            raise forbid(IMAGE_CONFIGS.qualified, CLUSTER, why)


def ensure_image(tx: DocumentTransaction, known: KnownHosts, now: float) -> None:
    """See that it is there, with a status as of now; a unit of work, or part of one."""
    document = tx.get(IMAGE_KEY)
    if document is None:
        metadata = ObjectMeta(
            name=CLUSTER,
            uid=str(uuid.uuid4()),
            creation_timestamp=rfc3339_seconds(now),
            generation=1,
        )
        image = Image(api_version=IMAGE_CONFIGS.api_version, kind="Image", metadata=metadata)
    else:
        image = msgspec.json.decode(document.body, type=Image)
    status = status_of(image, known)
    if document is not None and image.status == status:
        return
    image.status = status

    def encode(revision: int) -> bytes:
        image.metadata.resource_version = str(revision)
        return msgspec.json.encode(image)

    tx.put(IMAGE_KEY, image.metadata.uid, encode)
