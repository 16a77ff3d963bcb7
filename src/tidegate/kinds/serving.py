"""These kinds, each joined to the storage of its documents."""

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.config_map import CONFIG_MAPS
from tidegate.kinds.event import EVENTS
from tidegate.kinds.limit_range import LIMIT_RANGES
from tidegate.kinds.resource_quota import RESOURCE_QUOTA_STATUS, RESOURCE_QUOTAS
from tidegate.kinds.tag_policy import TAG_POLICIES

RESOURCES = (CONFIG_MAPS, EVENTS, LIMIT_RANGES, RESOURCE_QUOTAS, TAG_POLICIES)
"""All resources of this room."""


def serve(store: ObjectStore) -> list[Served]:
    """What the API application serves of this room."""
    return [
        Served(CONFIG_MAPS, DocumentStorage(CONFIG_MAPS, store)),
        Served(EVENTS, DocumentStorage(EVENTS, store)),
        Served(LIMIT_RANGES, DocumentStorage(LIMIT_RANGES, store)),
        Served(
            RESOURCE_QUOTAS,
            DocumentStorage(RESOURCE_QUOTAS, store),
            {"status": DocumentStorage(RESOURCE_QUOTA_STATUS, store)},
        ),
        Served(TAG_POLICIES, DocumentStorage(TAG_POLICIES, store)),
    ]
