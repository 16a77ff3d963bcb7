"""Writes of whole ImageStreams as units of work: the port that `DocumentStorage` writes through.

    get      the stream as it is shown, so that a change is made to what its writer saw
    admit    the plan of what the change does; whether its writer may read what tags come from
    write    in the unit, the plan done to header and rows; all else is a document like others

One `StreamWrite` serves one call. Invariant: a plan is done to the revision that it was made from,
which `DocumentStorage` checks in the unit.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from tidegate.apimachinery.authorizer import Attributes, Authorizer
from tidegate.apimachinery.documents.beside import weighed
from tidegate.apimachinery.documents.bodies import restamped
from tidegate.apimachinery.documents.units import Accompanied
from tidegate.apimachinery.errors import FieldError, invalid_object
from tidegate.apimachinery.storage import Admitted, Call
from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.streams.applying import apply, changed_since
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.planning import (
    Plan,
    foreign_sources,
    malformed,
    plan_spec,
    plan_status,
)
from tidegate.images.streams.refusals import not_readable, refused
from tidegate.images.streams.registries import (
    ANYWHERE,
    references,
    spec_faults,
    status_faults,
)
from tidegate.images.streams.rendering import composed, heading, without_history
from tidegate.images.streams.renderings import Renderings
from tidegate.images.streams.stream import TAG, Actor, Stream, key_of
from tidegate.images.streams.unit_rendering import shown_in
from tidegate.kinds.registries.config import RegistryConfig
from tidegate.kinds.registries.import_policy import ImportPolicy
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.oci.name import RepositoryName

T = TypeVar("T")

_STREAM = msgspec.json.Decoder(ImageStream)

LARGE = 1024 * 1024
"""Bytes of a stream that is not gone through as a whole where a part will do."""


class StreamWrite(Accompanied):
    """The `ObjectStore` and the `Admission` of one call that writes a stream."""

    def __init__(
        self,
        store: ObjectStore,
        database: Database,
        renderings: Renderings,
        authorizer: Authorizer,
        config: RegistryConfig,
        call: Call,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(store, self._run)
        self._documents = store
        self._database = database
        self._renderings = renderings
        self._authorizer = authorizer
        self._config = config
        self._call = call
        self._clock = clock
        self._policy = ANYWHERE
        self._plan: Plan | None = None
        self._seen: Document | None = None
        self._readable: set[RepositoryName] = set()
        self._warnings: list[str] = []

    async def get(self, key: Key) -> Document | None:
        """See `ObjectStore`; a stream as it is shown.

        Who changes what is wanted does not change what happened, so that of a large stream he is
        spared going through that.
        """
        document = await self._documents.get(key)
        if document is None:
            return None
        body = (await self._renderings.one(heading(document.body))).body
        if len(body) > LARGE and not self._call.subresource:
            body = without_history(body)
        self._seen = document
        return document._replace(body=body)

    async def admit(self, asked: Admitted) -> None:
        """Plan the write; `Invalid` for tags whose source is not for the writer to read."""
        new, old = asked.new, asked.old
        if not isinstance(new, ImageStream) or not (old is None or isinstance(old, ImageStream)):
            return
        weight = self._call.weight + 200 * (len(new.spec.tags) + len(new.status.tags))
        policy = (await self._config.current()).imports()
        if self._call.subresource and old is not None:
            plan = await weighed(weight, plan_status, new, old)
            hosts = self._renderings.hosts
            faults = await weighed(weight, status_faults, new, old, policy, hosts)
            _refuse(new, faults)
            self._plan = plan
            return
        plan = await weighed(weight, plan_spec, new, old)
        faults = malformed(plan)
        if faults:
            raise refused(new.metadata.name, faults)
        sources = foreign_sources(plan)
        for source, tags in sources.items():
            if not await self._may_read(source):
                faults += [not_readable(tag, source) for tag in tags]
        if faults:
            raise refused(new.metadata.name, faults)
        known = await self._knowing(policy, old)
        changed = [each.spec for each in plan.wishes if each.spec is not None]
        _refuse(new, await weighed(weight, spec_faults, changed, new, known))
        self._plan, self._readable, self._policy = plan, set(sources), known

    async def _knowing(self, policy: ImportPolicy, old: ImageStream | None) -> ImportPolicy:
        """The list for imports, with what the stream refers to already."""
        if old is None or not policy.restricted or self._seen is None:
            return policy
        whole = (await self._renderings.one(heading(self._seen.body))).body
        stream = await weighed(len(whole), _STREAM.decode, whole)
        return await weighed(len(whole), policy.knowing, references(stream))

    async def _may_read(self, source: RepositoryName) -> bool:
        wanted = Attributes("get", "imagestreams/layers", source.project, source.stream)
        return await self._authorizer.authorize(self._call.user, wanted)

    async def _run(self, unit: Callable[[DocumentTransaction], T]) -> T:
        self._warnings = []
        try:
            return await self._database.write(lambda tx: unit(_StreamUnit(tx, self)))
        finally:  # a dry run ends with an exception
            self._call.warnings.extend(dict.fromkeys(self._warnings))

    def found(self, tx: Transaction, document: Document | None) -> Document | None:
        """A document as the unit has it; of the planned stream, whether it is still what was seen.

        Pushes of other tags go on while a plan is made, many a second, and are none of a patch's
        concern: the stream then counts as the one that was seen. A whole object says of which
        version it is, and that holds.
        """
        plan, seen = self._plan, self._seen
        if document is None or plan is None or seen is None or document.key != seen.key:
            return document
        if self._call.verb != "patch" or document.uid != seen.uid:
            return document
        untouched = restamped(document.body, "") == restamped(seen.body, "")
        if untouched and not changed_since(tx, plan, seen.revision):
            return seen._replace(body=document.body)
        return document

    def put(self, tx: Transaction, key: Key) -> Document | None:
        """Do the plan in a unit; None when it is of another object."""
        plan = self._plan
        if plan is None or key != key_of(plan.name):
            return None
        actor = Actor(self._call.user.name, TAG, self._clock())
        hosts = self._renderings.hosts
        stream, document = apply(tx, plan, actor, self._readable, hosts, self._policy)
        self._warnings = stream.warnings
        if not self._call.dry_run:
            return document
        return document._replace(body=_rendered(tx, stream, document, hosts))


def _refuse(stream: ImageStream, faults: Sequence[FieldError]) -> None:
    if faults:
        raise invalid_object(IMAGE_STREAMS.qualified_kind, stream.metadata.name, faults)


class _StreamUnit(DocumentUnit):
    """A unit in which the stream of a plan is written by it, not as a document."""

    def __init__(self, tx: Transaction, write: StreamWrite) -> None:
        super().__init__(tx)
        self._transaction = tx
        self._write = write

    def get(self, key: Key) -> Document | None:
        return self._write.found(self._transaction, super().get(key))

    def put(self, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
        written = self._write.put(self._transaction, key)
        return super().put(key, uid, encode) if written is None else written


def _rendered(tx: Transaction, stream: Stream, document: Document, hosts: Hosts) -> bytes:
    """What a dry run answers: the stream as only its unit sees it."""
    header = heading(document.body)
    return composed(header, shown_in(tx, stream.repository_id, header, hosts), hosts)
