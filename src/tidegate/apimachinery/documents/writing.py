"""What every write of one resource has in common: whom it names, who judges it, what it is called.

Invariant: what is written was prepared, validated and admitted as it is written.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

from tidegate.apimachinery.documents.deletion import LIMIT, Cascade, Ending
from tidegate.apimachinery.documents.metadata import validate_metadata
from tidegate.apimachinery.errors import BadRequest, RequestTooLarge, invalid_object
from tidegate.apimachinery.meta import Object
from tidegate.apimachinery.resource import Resource
from tidegate.apimachinery.storage import Admission, Admitted, Call
from tidegate.apimachinery.store import DocumentTransaction, ObjectStore

K = TypeVar("K", bound=Object)

Companions = Callable[[DocumentTransaction, K], None]
"""Makes other documents in the unit that makes an object."""


@dataclass(frozen=True, slots=True)
class Writing(Generic[K]):
    """What writes of a resource need; see `documents.DocumentStorage`.

    `endings` are by resource.
    """

    resource: Resource[K]
    store: ObjectStore
    admission: Admission | None
    companions: Companions[K] | None
    endings: Mapping[str, Ending]
    clock: Callable[[], float]
    new_uid: Callable[[], str]

    def now(self) -> str:
        """The time as metadata has it."""
        moment = datetime.fromtimestamp(math.floor(self.clock()), UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    def address(self, call: Call, new: K, name: str) -> None:
        """Name the object as the request does, which it must not contradict."""
        new.api_version, new.kind = self.resource.api_version, self.resource.kind
        metadata = new.metadata
        if metadata.name not in ("", name):
            raise BadRequest(
                f"the name of the object ({metadata.name}) does not match the name on the URL "
                f"({name})"
            )
        metadata.name = name
        if not self.resource.namespaced:
            metadata.namespace = ""
        elif metadata.namespace not in ("", call.namespace):
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        else:
            metadata.namespace = call.namespace

    def validate(self, new: K, old: K | None) -> None:
        """Refuse an object that breaks a rule, with all that is wrong with it.

        One that is too large already may become smaller.
        """
        before = None if old is None else old.metadata
        faults = validate_metadata(self.resource, new.metadata, before)
        faults += self.resource.strategy.validate(new, old)
        if faults:
            raise invalid_object(self.resource.qualified_kind, new.metadata.name, faults)
        size, limit = len(msgspec.json.encode(new)), self.resource.strategy.size_limit
        if size > limit and (old is None or size > len(msgspec.json.encode(old))):
            raise RequestTooLarge(
                f"Request entity too large: the object would have {size} bytes, limit is {limit}"
            )

    async def admit(self, asked: Admitted) -> None:
        if self.admission is not None:
            await self.admission.admit(asked)

    def cascade(self, tx: DocumentTransaction, call: Call) -> Cascade:
        """The deletions of one unit of work."""
        # What a dry run did is undone, so that it could not go on in another unit.
        return Cascade(tx, self.endings, self.now(), None if call.dry_run else LIMIT)


def encoded(struct: Object, revision: str) -> bytes:
    """The wire JSON at a revision; the struct itself stays, since a unit may run again."""
    metadata = msgspec.structs.replace(struct.metadata, resource_version=revision)
    return msgspec.json.encode(msgspec.structs.replace(struct, metadata=metadata))
