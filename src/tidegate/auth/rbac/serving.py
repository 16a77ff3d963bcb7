"""Roles, bindings and access reviews, each joined to what serves it."""

from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.store import ObjectStore
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.rbac.escalation import NoEscalation
from tidegate.auth.rbac.gathering import gathering
from tidegate.auth.rbac.openshift_reviews import served_openshift_reviews
from tidegate.auth.rbac.resources import CLUSTER_ROLES, RESOURCES
from tidegate.auth.rbac.reviews import served_reviews


def serve(store: ObjectStore, authorizer: RbacAuthorizer) -> list[Served]:
    """What the API application serves of this part."""
    admission = NoEscalation(authorizer)
    gathered = gathering(store)
    stored = [
        Served(
            each,
            DocumentStorage(
                each, gathered if each is CLUSTER_ROLES else store, admission=admission
            ),
        )
        for each in RESOURCES
    ]
    answered = [*served_reviews(authorizer), *served_openshift_reviews(authorizer)]
    return [*stored, *(Served(resource, storage) for resource, storage in answered)]
