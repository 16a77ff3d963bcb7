"""Creating documents.

Invariant: an object is made only in a namespace that lives, under a name that is free, at the
moment when it is made.
"""

from typing import Generic, TypeVar

import msgspec

from tidegate.apimachinery.documents.bodies import header, is_terminating, restamped
from tidegate.apimachinery.documents.units import run
from tidegate.apimachinery.documents.writing import Writing, encoded
from tidegate.apimachinery.errors import (
    AlreadyExists,
    BadRequest,
    FieldError,
    Qualified,
    exists_already,
    forbid,
    missing,
)
from tidegate.apimachinery.meta import Object, ObjectMeta
from tidegate.apimachinery.names import generated_name
from tidegate.apimachinery.storage import Admitted, Call
from tidegate.apimachinery.store import Document, DocumentTransaction, Key

K = TypeVar("K", bound=Object)

_NAMESPACES = "namespaces"

_NAMES = 8
"""Generated names that are tried, as in Kubernetes: at a million of a prefix, one in 1,000 creates
finds none free."""


class Creates(Generic[K]):
    """Creates of one resource."""

    def __init__(self, writing: Writing[K]) -> None:
        self._writing = writing
        self._decode = msgspec.json.Decoder(writing.resource.type).decode

    async def create(self, call: Call, new: K) -> bytes:
        """See `storage.Creater`; `new` is changed into what is written."""
        if new.metadata.resource_version:
            raise BadRequest("resourceVersion should not be set on objects to be created")
        if new.metadata.name or not new.metadata.generate_name:
            return await self.make(call, new)
        return await self._generate(call, new)

    async def _generate(self, call: Call, new: K) -> bytes:
        """Create an object under the first generated name that is free."""
        pristine = msgspec.json.encode(new)
        name = ""
        for _ in range(_NAMES):
            attempt = self._decode(pristine)
            name = attempt.metadata.name = generated_name(attempt.metadata.generate_name)
            try:
                return await self.make(call, attempt)
            except AlreadyExists:
                continue
        resource = self._writing.resource.qualified
        raise AlreadyExists(
            f"{exists_already(resource, name)}, the server was not able to generate a unique name "
            "for the object",
            resource=resource,
            name=name,
            retry_after=1,
        )

    async def make(self, call: Call, new: K) -> bytes:
        """Create an object whose name is known."""
        self._writing.address(call, new, new.metadata.name)
        metadata = new.metadata
        metadata.uid = self._writing.new_uid()
        metadata.creation_timestamp = self._writing.now()
        metadata.deletion_timestamp, metadata.deletion_grace_period_seconds = "", None
        metadata.self_link = ""
        self._writing.resource.strategy.prepare(new, None)
        metadata.generation = 1 if self._writing.resource.strategy.counts_generation else 0
        self._writing.validate(new, None)
        await self._writing.admit(Admitted(call, new, None))
        store, dry = self._writing.store, call.dry_run
        body = await run(store, lambda tx: self._insert(tx, new), dry_run=dry)
        return restamped(body, "") if dry else body

    def _insert(self, tx: DocumentTransaction, new: K) -> bytes:
        """The unit that makes an object where it may be made."""
        metadata = new.metadata
        if self._writing.resource.namespaced:
            self._check_namespace(tx, metadata)
        key = Key(self._writing.resource.key, metadata.namespace, metadata.name)
        existing = tx.get(key)
        if existing is not None:
            raise self._exists(existing)
        made = tx.put(key, metadata.uid, lambda revision: encoded(new, str(revision)))
        if self._writing.companions is not None:
            self._writing.companions(tx, new)
        return made.body

    def _exists(self, existing: Document) -> AlreadyExists:
        refusal = exists_already(self._writing.resource.qualified, existing.key.name)
        if not header(existing.body).deletion_timestamp:
            return refusal
        text = f"object is being deleted: {refusal}"
        return AlreadyExists(text, resource=refusal.resource, name=refusal.name)

    def _check_namespace(self, tx: DocumentTransaction, metadata: ObjectMeta) -> None:
        name = metadata.namespace
        namespace = tx.get(Key(_NAMESPACES, "", name))
        if namespace is None:
            raise missing(Qualified(_NAMESPACES), name)
        if is_terminating(namespace.body):
            refusal = forbid(
                self._writing.resource.qualified,
                metadata.name,
                f"unable to create new content in namespace {name} because it is being terminated",
            )
            refusal.causes = (
                FieldError(
                    "NamespaceTerminating",
                    "metadata.namespace",
                    f"namespace {name} is being terminated",
                ),
            )
            raise refusal
