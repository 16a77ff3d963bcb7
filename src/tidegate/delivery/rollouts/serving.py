"""What serves Rollouts: written by who may move the tag, for a Rollout lets it go back."""

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import forbid
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.storage import Admitted
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.bounded import bounded
from tidegate.kinds.rollout import MOST, ROLLOUTS, Rollout


def serve(store: ObjectStore, authorizer: Authorizer) -> list[Served]:
    """What the API application serves of this room."""
    kept = bounded(store, ROLLOUTS, MOST)
    return [Served(ROLLOUTS, DocumentStorage(ROLLOUTS, kept, admission=TagWriters(authorizer)))]


class TagWriters:
    """Admits a Rollout by who may update its tag."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def admit(self, asked: Admitted) -> None:
        """See `Admission`; a tag that it was of before may stay."""
        new, old = asked.new, asked.old
        if not isinstance(new, Rollout):
            return
        if isinstance(old, Rollout) and old.spec.tag == new.spec.tag:
            return
        wanted = Attributes("update", "imagestreamtags", new.metadata.namespace, new.spec.tag)
        if not await self._authorizer.authorize(asked.call.user, wanted):
            why = f"it lets tag {new.spec.tag} go back, which its writer may not update"
            raise forbid(ROLLOUTS.qualified, new.metadata.name, why)
