"""Where a blob that a push wants mounted may come from (distribution-spec, end-11).

A mount that may not be is no error but an upload session, so that nobody learns what other
repositories hold.
"""

from tidegate.auth.identity import Identity
from tidegate.metastore import links
from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName
from tidegate.registry.access import Access
from tidegate.registry.pull_through.service import PullThrough
from tidegate.registry.request import Request

_HOLDERS = 20
"""Repositories looked at for a mount that names no source."""


class Mounts:
    """Looks for a source that the client may pull from. `through` has copies of blobs which
    imported images name: they become blobs of the store."""

    def __init__(self, database: Database, access: Access, through: PullThrough | None) -> None:
        self._database = database
        self._access = access
        self._through = through

    async def find(
        self, request: Request, identity: Identity, target: RepositoryName, digest: Digest
    ) -> int | None:
        """Size of the blob, which is in the store then; None where it is to be uploaded."""
        for source in await self._sources(request, digest):
            size = await links.size(self._database, source, digest)
            copied = size is None and await self._has_copy(source, digest)
            if (size is not None or copied) and await self._access.may_mount(
                request, identity, source, target
            ):
                if self._through is not None and copied:
                    return await self._through.adopting.store_copy(digest)
                return size
        return None

    async def _has_copy(self, source: RepositoryName, digest: Digest) -> bool:
        return self._through is not None and await self._through.adopting.has_copy(source, digest)

    async def _sources(self, request: Request, digest: Digest) -> list[RepositoryName]:
        """Where it may come from: `from`, or without one whoever holds the blob.

        A name that tidegate does not accept holds nothing: clients offer sources that they know
        from other registries.
        """
        named = request.parameter("from")
        if named is None:
            return await links.holders(self._database, digest, _HOLDERS)
        try:
            return [RepositoryName.flattened(named)]
        except NameInvalid:
            return []
