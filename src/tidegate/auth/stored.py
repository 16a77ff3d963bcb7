"""Objects that this room writes and reads itself, in units of its own rather than for a client."""

import uuid
from typing import TypeVar

import msgspec

from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.store import Document, DocumentTransaction, Key
from tidegate.observability.timestamp import rfc3339_seconds

K = TypeVar("K", bound=Object)


def put_new(tx: DocumentTransaction, resource: Resource[K], new: K, now: float) -> Document:
    """Store an object that is not there yet, complete with what the server sets."""
    new.metadata.uid = str(uuid.uuid4())
    new.metadata.creation_timestamp = rfc3339_seconds(now)
    return put(tx, resource, new)


def put(tx: DocumentTransaction, resource: Resource[K], changed: K) -> Document:
    """Store an object that was read in this unit, or that `put_new` completed."""
    changed.api_version, changed.kind = resource.api_version, resource.kind
    metadata = changed.metadata

    def encode(revision: int) -> bytes:
        metadata.resource_version = str(revision)
        return msgspec.json.encode(changed)

    return tx.put(Key(resource.key, metadata.namespace, metadata.name), metadata.uid, encode)


def read(resource: Resource[K], document: Document) -> K:
    """The object that a document holds."""
    return msgspec.json.decode(document.body, type=resource.type)
