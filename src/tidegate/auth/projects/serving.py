"""Namespaces and projects, each joined to what serves it."""

from collections.abc import Callable
from typing import Protocol

from tidegate.apimachinery.authorizer import Authorizer
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.projects.kinds import (
    NAMESPACE_FINALIZERS,
    NAMESPACE_STATUS,
    NAMESPACES,
    PROJECT_REQUESTS,
    PROJECTS,
)
from tidegate.auth.projects.sight import Rights, Sight
from tidegate.auth.projects.storage import (
    NamespaceStorage,
    ProjectRequests,
    ProjectStorage,
    namespace_subresource,
)
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens

RESOURCES = (NAMESPACES, PROJECTS, PROJECT_REQUESTS)
"""All resources of this part."""


class AuthorizerOfProjects(Authorizer, Rights, Protocol):
    """What projects ask: may she, and where may she."""


def serve(
    store: ObjectStore,
    authorizer: AuthorizerOfProjects,
    tokens: ServiceAccountTokens,
    clock: Callable[[], float],
) -> list[Served]:
    """What the API application serves of this part."""
    namespaces = NamespaceStorage(store, tokens, clock)
    return [
        Served(
            NAMESPACES,
            namespaces,
            {
                "finalize": namespace_subresource(NAMESPACE_FINALIZERS, store),
                "status": namespace_subresource(NAMESPACE_STATUS, store),
            },
        ),
        Served(
            PROJECTS,
            ProjectStorage(namespaces, Sight(store, authorizer)),
            names_namespace=True,
        ),
        Served(PROJECT_REQUESTS, ProjectRequests(store, authorizer, tokens, clock)),
    ]
