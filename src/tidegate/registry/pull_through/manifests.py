"""Pulls of manifests that a stream names and this registry never stored.

What was imported is stored. This is for references that came another way: out of an older version,
posted as mappings or written into a stream's status, or the images of an index that was pulled
through alone. They are fetched by digest from where an event, or the index, says that they are,
verified, and stored; when they cannot be stored they are served all the same.
"""

import logging
import time
from collections.abc import Callable, Collection

from tidegate.apimachinery.store import ObjectStore
from tidegate.images import origins
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import fetch_alone
from tidegate.images.imports.picturing import images_of
from tidegate.images.imports.storing import store as store_fetched
from tidegate.images.origins import Candidate
from tidegate.images.streams.errors import StreamRefused
from tidegate.images.streams.opening import opened
from tidegate.metastore import origins as origin_rows
from tidegate.metastore import projects
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.errors import MetastoreError
from tidegate.metastore.manifests import StoredManifest
from tidegate.metastore.projects import ProjectGone
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.name import Reference, RepositoryName
from tidegate.oci.pull_spec import PullSpec
from tidegate.registry.pull_through.refusals import manifest_refusal
from tidegate.registry.pull_through.sources import Asking, together
from tidegate.registry.request import Request
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Gateway
from tidegate.remote.location import is_digest

_LOG = logging.getLogger(__name__)


class RemoteManifests:
    """Manifests that are elsewhere. `own` are the hosts of this registry."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        gateway: Gateway,
        own: Callable[[], Collection[str]],
    ) -> None:
        self._database = database
        self._store = store
        self._gateway = gateway
        self._own = own

    async def pull(
        self, request: Request, repository: RepositoryName, reference: Reference
    ) -> StoredManifest | None:
        """The manifest, None where the stream names none that is elsewhere.

        Raises `PullThroughFailed` and `TooManyRequests`.
        """
        digest = await self._digest(repository, reference)
        if digest is None:
            return None
        candidates = await origins.of_manifest(self._database, repository, digest, self._own())
        if not candidates:
            return None
        asking = await self.asking(request, repository.project)
        errors: list[RemoteError] = []
        for each in candidates:
            try:
                fetched = await self._fetch(asking, each, digest)
            except RemoteError as error:
                errors.append(error)
                continue
            await self._keep(repository, fetched, each)
            return StoredManifest(fetched.digest, fetched.media_type, fetched.content)
        source = candidates[0].location.at(digest)
        raise manifest_refusal(together(errors), source) from errors[0]

    async def asking(self, request: Request, project: str) -> Asking:
        """What asks other registries in the name of a project."""
        return await Asking.of(self._gateway, self._store, project, request)

    async def _fetch(self, asking: Asking, candidate: Candidate, reference: str) -> Fetched:
        """The manifest that a tag or digest names there, alone; RemoteError."""
        registries = asking.registries(insecure=candidate.insecure)
        remote = await registries.manifest(candidate.location, reference)
        return await fetch_alone(registries, remote)

    async def _digest(self, repository: RepositoryName, reference: Reference) -> Digest | None:
        if isinstance(reference, Digest):
            return reference
        image = await origin_rows.image_of(self._database, repository, reference)
        return Digest(image) if image is not None and is_digest(image) else None

    async def _keep(
        self, repository: RepositoryName, fetched: Fetched, candidate: Candidate
    ) -> None:
        """Store what was fetched, if the stream is there to have it and its rules allow it."""
        now = time.time()
        source = PullSpec.parse(str(candidate.location))
        images = images_of(fetched, source, rfc3339_seconds(now))

        def unit(tx: Transaction) -> None:
            projects.require(tx, repository.project)
            stream = opened(tx, repository)
            if stream is not None:
                store_fetched(stream, fetched, images, now, insecure=candidate.insecure)
                stream.save()

        try:
            await self._database.write(unit)
        except (MetastoreError, ProjectGone, StreamRefused, OciError) as error:
            _LOG.warning("%s of %s is not stored: %s", fetched.digest, repository, error)
