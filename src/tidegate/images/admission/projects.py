"""What a project's annotations say, where tidegate stores the projects itself."""

from collections.abc import Mapping

import msgspec

from tidegate.apimachinery.store import Key, ObjectStore
from tidegate.auth.projects.kinds import NAMESPACES
from tidegate.images.admission.decision import NamespaceAnnotations


class _Metadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _Project(msgspec.Struct):
    metadata: _Metadata


def stored_annotations(store: ObjectStore) -> NamespaceAnnotations:
    """The annotations of the projects in a store."""

    async def annotations(namespace: str) -> Mapping[str, str]:
        document = await store.get(Key(NAMESPACES.key, "", namespace))
        if document is None:
            return {}
        return msgspec.json.decode(document.body, type=_Project).metadata.annotations or {}

    return annotations
