"""Streams and images as this server has them: what the webhook asks, answered from the database."""

from tidegate.apimachinery.store import ObjectStore
from tidegate.images.admission.resolution import Found
from tidegate.images.streams.hosts import Hosts
from tidegate.images.tags.names import TagName
from tidegate.images.tags.reading import Reads
from tidegate.images.tags.rendering import pull_spec
from tidegate.metastore.database import Database
from tidegate.oci.errors import NameInvalid
from tidegate.oci.name import RepositoryName

_DENY = "images.openshift.io/deny-execution"


class StoredStreams:
    """A `StreamLookup` on the stored streams."""

    def __init__(self, store: ObjectStore, database: Database, hosts: Hosts) -> None:
        self._reads = Reads(database, store)
        self._hosts = hosts

    async def lookup(self, namespace: str, stream: str, tag: str) -> Found | None:
        """See `StreamLookup`."""
        try:
            name = RepositoryName.parse(f"{namespace}/{stream}")
        except NameInvalid:
            return None
        view = await self._reads.view(TagName(name, tag))
        if view is None:
            return None
        event, reference = view.named, ""
        if event is not None:
            spec = pull_spec(name, view.header, view.spec, event, self._hosts)
            reference = f"{spec.partition('@')[0]}@{event.image}"
        return Found(
            local=view.header.spec.lookup_policy.local,
            repository=self._hosts.repository(name),
            reference=reference,
            deny_execution=event is not None and await self.is_denied(event.image),
        )

    async def is_denied(self, image: str) -> bool:
        """See `StreamLookup`."""
        found = await self._reads.image(image)
        return found is not None and found.metadata.annotations.get(_DENY) == "true"
