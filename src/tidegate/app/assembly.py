"""One readable function that builds a serving process."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from ipaddress import ip_network

from tidegate.apimachinery.authorizer import User
from tidegate.apimachinery.store import DocumentTransaction
from tidegate.app.api import make_api, served_resources
from tidegate.app.front import Application, Handler
from tidegate.app.identities import make_identities
from tidegate.app.importing import import_loops
from tidegate.app.loops import loops, running
from tidegate.app.mirrors import mirror_loops
from tidegate.app.notifications import notification_loops
from tidegate.app.outside import make_gateway, make_pull_through, own_hosts
from tidegate.app.triggers import make_targets, make_triggers, webhook_post
from tidegate.auth.api import ApiAuthenticator
from tidegate.auth.oauth.application import PATHS as OAUTH_PATHS
from tidegate.auth.oauth.application import OAuthApplication
from tidegate.auth.oidc.configuration import Issuers
from tidegate.auth.origin import Origins
from tidegate.auth.passwords import PasswordHashes
from tidegate.auth.projects.ending import Ending
from tidegate.auth.projects.provision import provision
from tidegate.auth.projects.storage import requestable
from tidegate.auth.provisioning import Provision, Provisioning
from tidegate.auth.rbac.authorizer import RbacAuthorizer
from tidegate.auth.serviceaccounts.tokens import ServiceAccountTokens
from tidegate.auth.token_endpoint import TokenEndpoint
from tidegate.config import Settings
from tidegate.controllers.cache_eviction import keep_room
from tidegate.controllers.rollouts import follow_in_steps
from tidegate.delivery.notifications.live import PATH as LIVE_PATH
from tidegate.delivery.notifications.live import LiveEvents
from tidegate.images.admission.endpoint import AdmissionWebhook
from tidegate.images.admission.projects import stored_annotations
from tidegate.images.admission.stored_streams import StoredStreams
from tidegate.images.adoption import Older
from tidegate.images.imports.importing import Importer
from tidegate.images.streams.hosts import Hosts
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.metastore.database import Database
from tidegate.metastore.documents import Documents
from tidegate.metastore.open import open_database
from tidegate.metastore.projects import purge_all
from tidegate.observability.audit import Audit, AuditLog, AuditOff, StandardOutput
from tidegate.observability.rotating_file import RotatingFile
from tidegate.registry.access import SERVICE, TOKEN_PATH, Access
from tidegate.registry.service import Registry
from tidegate.registry.token import TokenService
from tidegate.storage.blobs import BlobStore
from tidegate.storage.cache import BlobCache
from tidegate.storage.filesystem import Filesystem


@asynccontextmanager
async def assemble(settings: Settings) -> AsyncIterator[Application]:
    """A serving process's application; call it after the last fork."""
    async with AsyncExitStack() as stack:
        database = await open_database(settings.database_url)
        stack.push_async_callback(database.close)
        store = Documents(database)
        await store.start()
        stack.push_async_callback(store.close)
        driver = Filesystem(settings.data)
        stack.callback(driver.close)
        blobs = BlobStore(driver)
        audit = _audit(settings)
        stack.callback(audit.close)
        hashes = PasswordHashes()
        stack.callback(hashes.close)

        internal, external = settings.image_hosts
        config = RegistryConfig(store, internal)
        await config.start()
        stack.push_async_callback(config.close)
        gateway = make_gateway(settings, config, database)
        stack.push_async_callback(gateway.close)
        cache = BlobCache(driver)
        stack.callback(cache.close)
        through = make_pull_through(settings, config, database, store, blobs, cache, gateway)
        stack.push_async_callback(through.close)
        authorizer = RbacAuthorizer(store, time.monotonic)
        await authorizer.start()
        issuers = Issuers.open(settings.oidc, settings.ci)
        stack.push_async_callback(issuers.close)
        identities = make_identities(settings, database, store, hashes, issuers)
        origins = Origins(
            settings.public_url, tuple(ip_network(each) for each in settings.trusted_proxies)
        )
        provisioning = Provisioning(
            store, authorizer, requestable, _provision(settings, store, identities.accounts)
        )
        hosts = Hosts(internal, external, announced=config.external_hostnames)
        registry = Registry(
            database,
            blobs,
            Access(identities.authenticator, provisioning, origins),
            audit,
            provisioning,
            identities.keys,
            hosts=hosts,
            through=through,
            sparse=settings.sparse_manifests,
        )
        token = TokenService(
            TokenEndpoint(
                identities.authenticator, identities.tokens, provisioning, SERVICE, time.time
            ),
            origins,
            audit,
        )
        own = own_hosts(settings, config)
        importer = Importer(store, database, gateway, hosts, audit, own=own)
        served = served_resources(
            settings, database, store, authorizer, identities, hosts, config, importer
        )
        api = make_api(served, authorizer, identities, audit, origins)
        oauth = OAuthApplication(identities.oauth, origins, audit, exchanges=bool(settings.ci))
        namespaced = [each.resource.key for each in served if each.resource.namespaced]
        ending = Ending(store, namespaced, lambda project: purge_all(database, project))
        older = Older(database, blobs, hosts)
        places = await stack.enter_async_context(make_targets(settings, store, served))
        web = gateway.web()
        rollouts = make_triggers(
            store, database, places, authorizer, audit, hosts, webhook_post(web), web
        )
        await stack.enter_async_context(
            running(
                *loops(settings, database, store, registry, identities, ending, older),
                *import_loops(settings, database, store, importer, config, gateway),
                *mirror_loops(database, store, blobs, gateway, config, hosts, own, audit),
                *notification_loops(settings, database, store, web, hosts),
                keep_room(through.room),
                follow_in_steps(database, rollouts),
            )
        )
        live = LiveEvents(
            store,
            database,
            ApiAuthenticator(identities.authenticator),
            authorizer,
            hosts,
            origins.client,
        )
        others: dict[str, Handler] = {
            TOKEN_PATH: token,
            LIVE_PATH: live,
            **dict.fromkeys(OAUTH_PATHS, oauth),
        }
        endless = (api.end_watches, live.end)
        admission = _admission(settings, store, database, hosts)
        yield Application(registry, api, others, database, endless, admission)


def _admission(
    settings: Settings, store: Documents, database: Database, hosts: Hosts
) -> AdmissionWebhook | None:
    """What a cluster's API server asks; None where no cluster was told the way."""
    if not settings.admission_secret:
        return None
    streams = StoredStreams(store, database, hosts)
    names = settings.pull_secret_hosts
    return AdmissionWebhook(streams, stored_annotations(store), settings.admission_secret, names)


def _provision(
    settings: Settings, store: Documents, accounts: ServiceAccountTokens
) -> Provision | None:
    """How a push makes its project; None where it may not."""
    if not settings.provision_projects:
        return None

    async def make(project: str, user: User) -> None:
        signer = await accounts.signer(time.time())

        def unit(tx: DocumentTransaction) -> None:
            provision(tx, project, user, signer)

        await store.write(unit)

    return make


def _audit(settings: Settings) -> Audit:
    if settings.audit_log == "off":
        return AuditOff()
    if settings.audit_log == "-":
        return AuditLog(StandardOutput())
    return AuditLog(RotatingFile(settings.audit_log or str(settings.data / "audit.log")))
