"""The Kubernetes API: what is served, in the order of discovery, and what describes it."""

import platform
import sys
import time

from tidegate import __version__
from tidegate.apimachinery.discovery import Discovery
from tidegate.apimachinery.errors import BadRequest, InsufficientStorage, ServiceUnavailable
from tidegate.apimachinery.http.application import ApiApplication
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.http.errors import Failures
from tidegate.apimachinery.http.pages import discovery_pages, schema_pages
from tidegate.apimachinery.openapi.openapi import OpenApi
from tidegate.app.identities import Identities
from tidegate.auth import reviews
from tidegate.auth.api import ApiAuthenticator
from tidegate.auth.errors import HostInvalid
from tidegate.auth.oauth import serving as oauth_serving
from tidegate.auth.origin import Origins
from tidegate.auth.projects import serving as projects_serving
from tidegate.auth.rbac import serving as rbac_serving
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.serviceaccounts import serving as accounts_serving
from tidegate.auth.users import serving as users_serving
from tidegate.config import Settings
from tidegate.delivery.notifications import serving as notifications_serving
from tidegate.delivery.rollouts import serving as rollouts_serving
from tidegate.delivery.triggers import serving as triggers_serving
from tidegate.images import serving as images_serving
from tidegate.images.imports.importing import Importer
from tidegate.images.quota_status import QuotaStorage
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds import serving as kinds_serving
from tidegate.kinds.registries import serving as registries_serving
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.singleton import KnownHosts
from tidegate.kinds.work import serving as work_serving
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.errors import (
    MetastoreBusy,
    MetastoreFull,
    MetastoreUnavailable,
)
from tidegate.observability.audit import Audit


def served_resources(
    settings: Settings,
    database: Database,
    store: Documents,
    authorizer: RbacAuthorizer,
    identities: Identities,
    hosts: Hosts,
    config: RegistryConfig,
    importer: Importer,
) -> list[Served]:
    """Every resource of the API with what serves it, in the order of discovery."""
    return [
        *kinds_serving.serve(store, lambda resource: QuotaStorage(resource, store, database)),
        *triggers_serving.serve(store, authorizer),
        *work_serving.serve(database, time.time),
        *notifications_serving.serve(store, database, authorizer),
        *rollouts_serving.serve(store, authorizer, cluster=bool(settings.cluster)),
        *images_serving.serve(
            store,
            database,
            authorizer,
            hosts,
            config,
            importer,
            settings.undelete_window,
            time.time,
        ),
        *registries_serving.serve(store, config, KnownHosts(hosts.internal, hosts.external)),
        *accounts_serving.serve(store, identities.accounts, time.time),
        *projects_serving.serve(store, authorizer, identities.accounts, time.time),
        *rbac_serving.serve(store, authorizer),
        *users_serving.serve(store, database),
        *oauth_serving.serve(store, settings.public_url),
        Served(reviews.TOKEN_REVIEWS, reviews.TokenReviewStorage(identities.logins, time.time)),
        Served(reviews.SELF_SUBJECT_REVIEWS, reviews.SelfSubjectReviewStorage()),
    ]


def make_api(
    served: list[Served],
    authorizer: RbacAuthorizer,
    identities: Identities,
    audit: Audit,
    origins: Origins,
) -> ApiApplication:
    """The Kubernetes API of these resources, with the documents that describe it."""
    resources = [each.resource for each in served]
    discovery = Discovery(resources)
    openapi = OpenApi(resources, "tidegate", __version__)
    return ApiApplication(
        served,
        ApiAuthenticator(identities.authenticator),
        authorizer,
        audit,
        client_of=origins.client,
        version=VERSION,
        pages={
            **discovery_pages(discovery, resources),
            **schema_pages(openapi, resources),
        },
        failures=FAILURES,
    )


FAILURES: Failures = {
    MetastoreFull: lambda _: InsufficientStorage("the server's storage is full: nothing was kept"),
    MetastoreBusy: lambda _: ServiceUnavailable("the server is overloaded", retry_after=1),
    MetastoreUnavailable: lambda _: ServiceUnavailable(
        "the metadata database is out of reach", retry_after=1
    ),
    HostInvalid: lambda error: BadRequest(str(error)),
}
"""What the API answers when a room behind its ports fails."""

VERSION = {
    "major": "1",
    "minor": "34",
    "gitVersion": f"v1.34.0+tidegate-{__version__}",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "",
    "goVersion": "",
    "compiler": "",
    "platform": f"{sys.platform}/{platform.machine()}",
}
"""`/version`: the Kubernetes release whose conventions are followed (clients compare it)."""
