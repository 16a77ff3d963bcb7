"""These kinds, each joined to what serves it.

They come after the Images of image.openshift.io in discovery, so that `images` alone means those.
"""

from dataclasses import replace
from typing import Any

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.updating import Turns
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.image_config import IMAGE_CONFIGS
from tidegate.kinds.registries.mirror_sets import (
    IMAGE_CONTENT_SOURCE_POLICIES,
    IMAGE_DIGEST_MIRROR_SETS,
    IMAGE_TAG_MIRROR_SETS,
    STATUS_STRATEGY,
)
from tidegate.kinds.registries.shown import InForceStorage
from tidegate.kinds.registries.singleton import KnownHosts, image_storage, status_storage

MIRROR_SETS: tuple[Resource[Any], ...] = (
    IMAGE_DIGEST_MIRROR_SETS,
    IMAGE_TAG_MIRROR_SETS,
    IMAGE_CONTENT_SOURCE_POLICIES,
)


def serve(store: ObjectStore, config: RegistryConfig, known: KnownHosts) -> list[Served]:
    """What the API application serves of this folder."""
    image = Served(
        IMAGE_CONFIGS,
        image_storage(store, known),
        {"status": status_storage(store, known), "inforce": InForceStorage(config)},
    )
    return [image, *(_mirror_set(each, store) for each in MIRROR_SETS)]


def _mirror_set(resource: Resource[Any], store: ObjectStore) -> Served:
    turns = Turns()
    status = DocumentStorage(replace(resource, strategy=STATUS_STRATEGY), store, turns=turns)
    return Served(resource, DocumentStorage(resource, store, turns=turns), {"status": status})
