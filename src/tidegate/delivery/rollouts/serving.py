"""What serves Rollouts: written by who may move the tag, for a Rollout lets it go back."""

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import Qualified, forbid, forbidden, invalid_object
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.storage import Admitted
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.bounded import bounded
from tidegate.kinds.rollout import MOST, ROLLOUTS, Rollout


def serve(store: ObjectStore, authorizer: Authorizer, *, cluster: bool) -> list[Served]:
    """What the API application serves of this room; `cluster` says whether there is one."""
    kept = bounded(store, ROLLOUTS, MOST)
    admission = TagWriters(authorizer, cluster=cluster)
    return [Served(ROLLOUTS, DocumentStorage(ROLLOUTS, kept, admission=admission))]


_NOWHERE = forbidden(
    "spec.traffic",
    "weights are of an HTTPRoute or a Route, which are in a cluster: this server has none (its "
    "setting `cluster`). Steps over workloads need none",
)


class TagWriters:
    """Admits a Rollout by who may update its tag, and weights where something can have them."""

    def __init__(self, authorizer: Authorizer, *, cluster: bool) -> None:
        self._authorizer = authorizer
        self._cluster = cluster

    async def admit(self, asked: Admitted) -> None:
        """See `Admission`; a tag that it was of before may stay, and so may weights."""
        new, old = asked.new, asked.old
        if not isinstance(new, Rollout):
            return
        had = isinstance(old, Rollout) and old.spec.traffic == new.spec.traffic
        if new.spec.traffic is not None and not self._cluster and not had:
            kind = Qualified(ROLLOUTS.kind, ROLLOUTS.group)
            raise invalid_object(kind, new.metadata.name, [_NOWHERE])
        if isinstance(old, Rollout) and old.spec.tag == new.spec.tag:
            return
        wanted = Attributes("update", "imagestreamtags", new.metadata.namespace, new.spec.tag)
        if not await self._authorizer.authorize(asked.call.user, wanted):
            why = f"it lets tag {new.spec.tag} go back, which its writer may not update"
            raise forbid(ROLLOUTS.qualified, new.metadata.name, why)
