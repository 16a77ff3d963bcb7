"""The tables of documents: one row each, who depends on whom, and what each write did.

A body is wire JSON with its uid and resourceVersion in it. Of its content this module reads the
owners alone. Invariant: a write changes the row, its owners and the history under one revision.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from tidegate.apimachinery.store import Document, Key, Listing
from tidegate.metastore import deleted
from tidegate.metastore.database import Database, Transaction, Value

IN_LOOP = 50
"""A page of so many documents at most is read in the event loop (see `Database.fetch`)."""
UNLIMITED = 2**62

_GET = "SELECT uid, revision, body FROM documents WHERE resource = ? AND namespace = ? AND name = ?"
# one statement, hence one snapshot on both engines: the rows as of that revision
_PAGE = (
    "SELECT r.newest, d.namespace, d.name, d.uid, d.revision, d.body FROM revision r"
    " LEFT JOIN documents d ON d.resource = ? AND {} WHERE r.id = 1"
    " ORDER BY d.namespace, d.name LIMIT ?"
)
_PART = (
    "SELECT d.namespace, d.name, d.uid, d.revision, d.body FROM documents d"
    " WHERE d.resource = ? AND {} ORDER BY d.namespace, d.name LIMIT ?"
)
_COUNT = "SELECT count(*) FROM documents WHERE resource = ? AND namespace = ?"
_WITHIN = "d.namespace = ? AND d.name > ?"
_ANYWHERE = "(d.namespace, d.name) > (?, ?)"


class Owner(msgspec.Struct):
    """An entry of metadata.ownerReferences."""

    uid: str = ""


class OwnedMetadata(msgspec.Struct, rename="camel"):
    owner_references: list[Owner] | None = None


class Owned(msgspec.Struct):
    """As much of an object as tells who owns it."""

    metadata: OwnedMetadata = msgspec.field(default_factory=OwnedMetadata)


_OWNED = msgspec.json.Decoder(Owned)
_OWNERS = b'"ownerReferences"'


class Place(NamedTuple):
    """Where among a resource's documents one is; lists are in this order, byte by byte."""

    namespace: str
    name: str


class Range(NamedTuple):
    """Documents of a resource after `after`: in one namespace or, with None, in all.

    In one namespace `after` is of that namespace.
    """

    resource: str
    namespace: str | None
    after: Place

    def condition(self) -> str:
        return _ANYWHERE if self.namespace is None else _WITHIN

    def params(self) -> tuple[Value, ...]:
        return (self.resource, *self.after)


async def find(db: Database, key: Key) -> Document | None:
    rows = await db.fetch(_GET, key)
    return Document(key, *rows[0]) if rows else None


async def page(db: Database, within: Range, limit: int) -> Listing:
    """At most `limit` documents (0 is all) and the newest revision, from one snapshot."""
    read = db.fetch if 0 < limit <= IN_LOOP else db.scan
    rows = await read(_PAGE.format(within.condition()), (*within.params(), _one_more(limit)))
    newest: int = rows[0][0]
    if rows[0][1] is None:
        return Listing([], newest, False)
    documents = [_document(within.resource, row[1:]) for row in rows]
    more = 0 < limit < len(documents)
    return Listing(documents[:limit] if more else documents, newest, more)


def get(tx: Transaction, key: Key) -> Document | None:
    """As `find`, within a unit that will change what it finds."""
    rows = tx.fetch(_GET, key)
    return Document(key, *rows[0]) if rows else None


def part(tx: Transaction, within: Range, limit: int) -> list[Document]:
    """As `page`, within a unit."""
    sql = _PART.format(within.condition())
    rows = tx.fetch(sql, (*within.params(), limit or UNLIMITED))
    return [_document(within.resource, row) for row in rows]


def of_namespace(
    tx: Transaction, namespace: str, resources: Sequence[str]
) -> dict[str, list[bytes]]:
    """Bodies of the few documents of these resources in a namespace, by resource."""
    marks = ", ".join("?" * len(resources))
    rows = tx.fetch(
        f"SELECT resource, body FROM documents WHERE resource IN ({marks}) AND namespace = ?"  # noqa: S608
        " ORDER BY resource, name",
        (*resources, namespace),
    )
    found: dict[str, list[bytes]] = {}
    for resource, body in rows:
        found.setdefault(resource, []).append(bytes(body))
    return found


def count(tx: Transaction, resource: str, namespace: str) -> int:
    """How many documents of a resource a namespace has."""
    return int(tx.fetch(_COUNT, (resource, namespace))[0][0])


async def counted(db: Database, resource: str, namespace: str) -> int:
    """As `count`, outside of a unit."""
    return int((await db.scan(_COUNT, (resource, namespace)))[0][0])


def put(tx: Transaction, key: Key, uid: str, encode: Callable[[int], bytes]) -> Document:
    """Create or replace; `encode` turns the new revision into the body."""
    return replace(tx, key, get(tx, key), uid, encode)


def replace(
    tx: Transaction,
    key: Key,
    before: Document | None,
    uid: str,
    encode: Callable[[int], bytes],
) -> Document:
    """As `put`, for who has read in this unit what is there, or that there is nothing."""
    revision = tx.record(key.resource, _name(key), "put")
    document = Document(key, uid, revision, encode(revision))
    tx.execute(
        "INSERT INTO documents (resource, namespace, name, uid, revision, body)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (resource, namespace, name) DO UPDATE SET"
        " uid = excluded.uid, revision = excluded.revision, body = excluded.body",
        (*key, uid, revision, document.body),
    )
    _own(tx, key, _owners(before), _owners(document))
    _remember(tx, revision, key, before, document.body)
    return document


def delete(tx: Transaction, key: Key) -> Document | None:
    """Remove; the document as it last was, under the revision of the removal."""
    before = get(tx, key)
    if before is None:
        return None
    revision = tx.record(key.resource, _name(key), "delete")
    tx.execute("DELETE FROM documents WHERE resource = ? AND namespace = ? AND name = ?", key)
    _own(tx, key, _owners(before), frozenset())
    _remember(tx, revision, key, before, None)
    deleted.keep(tx, before)
    return before._replace(revision=revision)


def dependents(tx: Transaction, uid: str) -> list[Document]:
    """Documents whose metadata.ownerReferences name `uid`."""
    rows = tx.fetch(
        "SELECT o.resource, d.namespace, d.name, d.uid, d.revision, d.body FROM document_owners o"
        " JOIN documents d ON d.resource = o.resource AND d.namespace = o.namespace"
        " AND d.name = o.name WHERE o.owner_uid = ? ORDER BY o.resource, o.namespace, o.name",
        (uid,),
    )
    return [_document(resource, row) for resource, *row in rows]


def _own(tx: Transaction, key: Key, before: frozenset[str], after: frozenset[str]) -> None:
    if before == after:
        return
    tx.execute("DELETE FROM document_owners WHERE resource = ? AND namespace = ? AND name = ?", key)
    tx.execute_many(
        "INSERT INTO document_owners (owner_uid, resource, namespace, name) VALUES (?, ?, ?, ?)",
        [(owner, *key) for owner in sorted(after)],
    )


def _owners(document: Document | None) -> frozenset[str]:
    if document is None or _OWNERS not in document.body:
        return frozenset()
    references = _OWNED.decode(document.body).metadata.owner_references or ()
    return frozenset(owner.uid for owner in references if owner.uid)


def _remember(
    tx: Transaction, revision: int, key: Key, before: Document | None, after: bytes | None
) -> None:
    tx.execute(
        "INSERT INTO history (revision, resource, namespace, name, before, after)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (revision, *key, before.body if before else None, after),
    )


def _name(key: Key) -> str:
    """What the change log calls the document."""
    return f"{key.namespace}/{key.name}" if key.namespace else key.name


def _one_more(limit: int) -> int:
    return limit + 1 if limit else UNLIMITED


def _document(resource: str, row: Sequence[Any]) -> Document:
    namespace, name, uid, revision, body = row
    return Document(Key(resource, namespace, name), uid, revision, body)
