"""A Namespace as a Project and back: the same object under two kinds."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tidegate.apimachinery.documents.bodies import Body, decoded
from tidegate.auth.projects.kinds import (
    NAMESPACES,
    PROJECTS,
    Namespace,
    NamespaceSpec,
    NamespaceStatus,
    Project,
)


def project_body(namespace: bytes) -> bytes:
    """The wire JSON of a Namespace, or of its bookmark, as that of a Project."""
    return msgspec.json.encode(project_values(decoded(namespace)))


def project_values(namespace: Mapping[str, Any]) -> Body:
    return {**namespace, "apiVersion": PROJECTS.api_version, "kind": PROJECTS.kind}


def namespace_of(project: Project) -> Namespace:
    return Namespace(
        api_version=NAMESPACES.api_version,
        kind=NAMESPACES.kind,
        metadata=project.metadata,
        spec=NamespaceSpec(finalizers=project.spec.finalizers),
        status=NamespaceStatus(phase=project.status.phase, conditions=project.status.conditions),
    )
