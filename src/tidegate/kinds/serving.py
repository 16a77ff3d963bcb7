"""These kinds, each joined to the storage of its documents."""

from collections.abc import Callable
from typing import Any

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.documents.updating import Turns
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.bounded import bounded
from tidegate.kinds.config_map import CONFIG_MAPS
from tidegate.kinds.event import EVENTS
from tidegate.kinds.image_approval import APPROVALS, IMAGE_APPROVALS, ApprovalStorage
from tidegate.kinds.image_change import IMAGE_CHANGES
from tidegate.kinds.limit_range import LIMIT_RANGES
from tidegate.kinds.mirror import MIRROR, MIRRORS
from tidegate.kinds.resource_quota import RESOURCE_QUOTA_STATUS, RESOURCE_QUOTAS, ResourceQuota
from tidegate.kinds.tag_policy import POLICIES, TAG_POLICIES
from tidegate.kinds.workloads import WORKLOADS, status_of

TRIGGERING = (IMAGE_APPROVALS, IMAGE_CHANGES)

RESOURCES = (
    CONFIG_MAPS,
    EVENTS,
    LIMIT_RANGES,
    MIRROR,
    RESOURCE_QUOTAS,
    TAG_POLICIES,
    *TRIGGERING,
    *WORKLOADS,
)
"""All resources of this room."""


QuotaStorage = Callable[[Resource[ResourceQuota]], DocumentStorage[ResourceQuota]]
"""Makes the storage of quotas, or of their status: another room knows what is used of one."""


def serve(store: ObjectStore, quotas: QuotaStorage | None = None) -> list[Served]:
    """What the API application serves of this room."""
    quotas = quotas or (lambda resource: DocumentStorage(resource, store))
    return [
        Served(CONFIG_MAPS, DocumentStorage(CONFIG_MAPS, store)),
        Served(EVENTS, DocumentStorage(EVENTS, store)),
        Served(LIMIT_RANGES, DocumentStorage(LIMIT_RANGES, store)),
        Served(MIRROR, DocumentStorage(MIRROR, bounded(store, MIRROR, MIRRORS))),
        Served(
            RESOURCE_QUOTAS,
            quotas(RESOURCE_QUOTAS),
            {"status": quotas(RESOURCE_QUOTA_STATUS)},
        ),
        Served(TAG_POLICIES, DocumentStorage(TAG_POLICIES, bounded(store, TAG_POLICIES, POLICIES))),
        Served(IMAGE_APPROVALS, ApprovalStorage(bounded(store, IMAGE_APPROVALS, APPROVALS))),
        Served(IMAGE_CHANGES, DocumentStorage(IMAGE_CHANGES, store)),
        *(_workload(each, store) for each in WORKLOADS),
    ]


def _workload(resource: Resource[Any], store: ObjectStore) -> Served:
    turns = Turns()
    status = DocumentStorage(status_of(resource), store, turns=turns)
    return Served(resource, DocumentStorage(resource, store, turns=turns), {"status": status})
