"""TriggerPolicies, joined to what serves them: writing one that uses a Secret takes reading it."""

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import forbid
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.storage import Admitted
from tidegate.apimachinery.store import ObjectStore
from tidegate.kinds.bounded import bounded
from tidegate.kinds.trigger_policy import (
    POLICIES,
    TRIGGER_POLICIES,
    TriggerPolicy,
    TriggerWebhook,
)


def serve(store: ObjectStore, authorizer: Authorizer) -> list[Served]:
    """What the API application serves of this folder."""
    storage = DocumentStorage(
        TRIGGER_POLICIES,
        bounded(store, TRIGGER_POLICIES, POLICIES),
        admission=SecretReaders(authorizer),
    )
    return [Served(TRIGGER_POLICIES, storage)]


class SecretReaders:
    """Admits a policy by who may read its Secret: with it, what is sent to a URL of hers is signed,
    and whoever believes that signature believes her."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def admit(self, asked: Admitted) -> None:
        """See `Admission`; what was so before may stay as it is."""
        new, old = asked.new, asked.old
        if not isinstance(new, TriggerPolicy):
            return
        hook = new.spec.webhook or TriggerWebhook(url="")
        if not hook.secret or (isinstance(old, TriggerPolicy) and old.spec.webhook == hook):
            return
        metadata = new.metadata
        wanted = Attributes("get", "secrets", metadata.namespace, hook.secret, group="")
        if not await self._authorizer.authorize(asked.call.user, wanted):
            why = f"it uses Secret {hook.secret}, which its writer may not read"
            raise forbid(TRIGGER_POLICIES.qualified, metadata.name, why)
