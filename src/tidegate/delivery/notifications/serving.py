"""What serves the subscriptions, and the ways back for what they could not be told."""

from typing import Any

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.storage import DocumentStorage
from tidegate.apimachinery.errors import Qualified, forbid, missing
from tidegate.apimachinery.http.endpoints import Served
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Admission, Admitted, Call
from tidegate.apimachinery.store import Document, Key, ObjectStore
from tidegate.delivery.notifications.subscriptions import subscription_of
from tidegate.kinds.bounded import bounded
from tidegate.kinds.event_subscription import (
    CLUSTER_EVENT_SUBSCRIPTIONS,
    EVENT_SUBSCRIPTIONS,
    SUBSCRIPTION,
    SUBSCRIPTIONS,
    DeadLetter,
    DeadLetters,
    Replay,
    Subscription,
    host_of,
    secret_of,
)
from tidegate.metastore import jobs, outbox
from tidegate.metastore.database import Database, Transaction
from tidegate.observability.timestamp import rfc3339_seconds

LETTERS = 500


def serve(store: ObjectStore, database: Database, authorizer: Authorizer) -> list[Served]:
    """What the API application serves of this room."""
    return [
        _served(each, store, database, SecretReaders(authorizer))
        for each in (EVENT_SUBSCRIPTIONS, CLUSTER_EVENT_SUBSCRIPTIONS)
    ]


def _served(
    resource: Resource[Any], store: ObjectStore, database: Database, admission: Admission
) -> Served:
    return Served(
        resource,
        DocumentStorage(resource, bounded(store, resource, SUBSCRIPTIONS), admission=admission),
        {
            "deadletters": DeadLetterStorage(resource, store, database),
            "replay": ReplayStorage(resource, store, database),
        },
    )


class SecretReaders:
    """Admits a subscription by who may read its Secret: its values are sent to a URL of hers."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def admit(self, asked: Admitted) -> None:
        """See `Admission`; what was so before may stay as it is."""
        new, old = asked.new, asked.old
        if not isinstance(new, SUBSCRIPTION) or not new.spec.secret:
            return
        if isinstance(old, SUBSCRIPTION) and _sends(old) == _sends(new):
            return
        namespace, name = secret_of(new)
        wanted = Attributes("get", "secrets", namespace, name, group="")
        if not await self._authorizer.authorize(asked.call.user, wanted):
            resource = Qualified(f"{type(new).__name__.lower()}s", "tidegate.io")
            why = f"it uses Secret {new.spec.secret}, which its writer may not read"
            raise forbid(resource, new.metadata.name, why)


def _sends(subscription: Subscription) -> tuple[str, str]:
    return subscription.spec.url, subscription.spec.secret


class DeadLetterStorage:
    """Gets of `deadletters`."""

    def __init__(self, resource: Resource[Any], store: ObjectStore, database: Database) -> None:
        self._resource = resource
        self._store = store
        self._database = database

    async def get(self, call: Call, name: str) -> bytes:
        """See `storage.Getter`."""
        document = await _find(self._resource, self._store, call, name)
        found = await outbox.letters(self._database, document.uid, 0, LETTERS)
        letters = DeadLetters(
            api_version="tidegate.io/v1",
            kind="DeadLetters",
            items=[
                DeadLetter(
                    number=each.id,
                    failed=rfc3339_seconds(each.failed_at),
                    attempts=each.attempts,
                    error=each.error,
                    replayed=bool(each.again),
                    message=each.body.decode(),
                )
                for each in found
            ],
        )
        letters.metadata.name, letters.metadata.namespace = name, call.namespace
        return msgspec.json.encode(letters)


class ReplayStorage:
    """Creates of `replay`: they make the job due that sends them."""

    def __init__(
        self,
        resource: Resource[Any],
        store: ObjectStore,
        database: Database,
    ) -> None:
        self._resource = resource
        self._store = store
        self._database = database

    async def create(self, call: Call, new: Object) -> bytes:
        """See `storage.Creater`."""
        if not isinstance(new, Replay):
            raise TypeError("not a Replay")
        document = await _find(self._resource, self._store, call, call.name)
        job = f"{call.namespace}/{call.name}"
        lane = host_of(subscription_of(document).spec.url)

        def unit(tx: Transaction) -> int:
            count = outbox.raise_again(tx, document.uid, new.letters)
            if count:
                jobs.enqueue(tx, outbox.JOB, job, due=tx.now(), lane=lane, project=call.namespace)
            return count

        if not call.dry_run:
            new.count = await self._database.write(unit)
        new.api_version, new.kind = "tidegate.io/v1", "Replay"
        new.metadata.name, new.metadata.namespace = call.name, call.namespace
        return msgspec.json.encode(new)


async def _find(resource: Resource[Any], store: ObjectStore, call: Call, name: str) -> Document:
    document = await store.get(Key(resource.key, call.namespace, name))
    if document is None:
        raise missing(resource.qualified, name)
    return document
