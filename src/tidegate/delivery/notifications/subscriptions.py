"""The objects of the two kinds of subscriptions, as they are stored."""

from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.auth.stored import put, read
from tidegate.kinds.event_subscription import (
    CLUSTER_EVENT_SUBSCRIPTIONS,
    EVENT_SUBSCRIPTIONS,
    ClusterEventSubscription,
    EventSubscription,
    EventSubscriptionStatus,
    Subscription,
)


def key_of(job: str) -> Key:
    """Where the subscription of a job is; one without a namespace is the cluster's."""
    namespace, _, name = job.partition("/")
    resource = EVENT_SUBSCRIPTIONS if namespace else CLUSTER_EVENT_SUBSCRIPTIONS
    return Key(resource.key, namespace, name)


def subscription_of(document: Document) -> Subscription:
    """The object that a document holds, of whichever of the two kinds."""
    if document.key.namespace:
        return read(EVENT_SUBSCRIPTIONS, document)
    return read(CLUSTER_EVENT_SUBSCRIPTIONS, document)


def put_status(
    tx: DocumentTransaction, key: Key, uid: str, status: EventSubscriptionStatus
) -> None:
    """Write how it goes, unless the subscription is gone by now."""
    document = tx.get(key)
    if document is None or document.uid != uid:
        return
    changed = subscription_of(document)
    changed.status = status
    if isinstance(changed, EventSubscription):
        put(tx, EVENT_SUBSCRIPTIONS, changed)
    elif isinstance(changed, ClusterEventSubscription):
        put(tx, CLUSTER_EVENT_SUBSCRIPTIONS, changed)
