"""What writes did to documents: read on from a revision, or undone back to one.

A change has the body before and after it, so the state as of revision R is today's rows with every
key that has changed since R put back to what was before its first change. Rows are read first and
changes after them: whatever happens to a key in between is among its changes and undone with them.
Invariant: nothing is told from a history that is not complete back to where it was asked from.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.errors import Expired
from tidegate.apimachinery.store import Change, Document, Key, Listing
from tidegate.metastore.database import Database, Row, Value
from tidegate.metastore.document_rows import Place, Range, page

_AFTER = (
    "SELECT r.compacted, r.newest, h.revision, h.resource, h.namespace, h.name, {}"
    " FROM revision r LEFT JOIN history h ON {} WHERE r.id = 1 ORDER BY h.revision LIMIT ?"
)
_BODIES = "h.before, h.after"
_AFTER_OF_ALL = _AFTER.format(_BODIES, "h.revision > ?")
_AFTER_OF_ONE = _AFTER.format(_BODIES, "h.revision > ? AND h.resource = ?")

_FIRST = (
    "SELECT min(revision) AS first FROM history WHERE resource = ? AND revision > ?"
    " AND (namespace, name) > (?, ?){} GROUP BY namespace, name"
)
_SINCE = (
    "SELECT r.compacted, h.namespace, h.name, h.before FROM revision r"
    " LEFT JOIN ({}) part ON 1 = 1"
    " LEFT JOIN history h ON h.revision = part.first WHERE r.id = 1"
)
# those of now, with those that were before their first change, without those that are since
_COUNT = (
    "SELECT r.compacted, r.newest, (SELECT count(*) FROM documents"
    " WHERE resource = ? AND (namespace, name) > (?, ?){0}),"
    " (SELECT count(h.before) - count(d.name)"
    " FROM ({1}) part JOIN history h ON h.revision = part.first"
    " LEFT JOIN documents d ON d.resource = h.resource AND d.namespace = h.namespace"
    " AND d.name = h.name) FROM revision r WHERE r.id = 1"
)
_IN_NAMESPACE = " AND namespace = ?"


class Stretch(NamedTuple):
    """Changes after a revision, and where the log began and ended when they were read."""

    compacted: int
    newest: int
    changes: list[Change]
    reached: int
    """No change up to here is missing, unless the revision asked for was compacted."""


class ObjectMetadata(msgspec.Struct, rename="camel"):
    uid: str = ""
    resource_version: str = "0"


class StoredObject(msgspec.Struct):
    """As much of an object as its row repeats."""

    metadata: ObjectMetadata = msgspec.field(default_factory=ObjectMetadata)


_STORED = msgspec.json.Decoder(StoredObject)


async def read(db: Database, after: int, limit: int, resource: str | None = None) -> Stretch:
    """At most `limit` changes after a revision, of one resource or (None) of all."""
    if resource is None:
        rows = await db.fetch(_AFTER_OF_ALL, (after, limit))
    else:
        rows = await db.fetch(_AFTER_OF_ONE, (after, resource, limit))
    return _stretch(rows, limit)


async def glance(db: Database, after: int, limit: int, wanted: Sequence[str]) -> Stretch:
    """As `read` of all, but with the bodies of the `wanted` resources alone: both None of others.

    A push changes large documents that mostly nobody watches.
    """
    marks = ", ".join("?" * len(wanted))
    bodies = ", ".join(
        f"CASE WHEN h.resource IN ({marks}) THEN h.{body} END" for body in ("before", "after")
    )
    sql = _AFTER.format(bodies, "h.revision > ?")
    return _stretch(await db.fetch(sql, (*wanted, *wanted, after, limit)), limit)


def _stretch(rows: Sequence[Row], limit: int) -> Stretch:
    compacted, newest, first, *_ = rows[0]
    if first is None:
        return Stretch(compacted, newest, [], newest)
    changes = [
        Change(revision, Key(kind, namespace, name), before, after)
        for _, _, revision, kind, namespace, name, before, after in rows
    ]
    reached = changes[-1].revision if len(changes) == limit else newest
    return Stretch(compacted, newest, changes, reached)


async def page_at(db: Database, within: Range, limit: int, revision: int) -> Listing:
    """As `document_rows.page`, of the state as of `revision`.

    Raises Expired when changes since then have been compacted, or when it is yet to come.
    """
    found: list[Document] = []
    more = True
    while more and (not limit or len(found) <= limit):
        listing = await page(db, within, limit)
        if listing.revision < revision:
            raise Expired(f"revision {revision} was never reached, {listing.revision} is newest")
        last = _place(listing.documents[-1]) if listing.more else None
        if listing.revision == revision:
            found += listing.documents
        else:
            found += await _undone(db, within, last, listing, revision)
        more = last is not None
        if last is not None:
            within = within._replace(after=last)
    if 0 < limit < len(found):
        return Listing(found[:limit], revision, True)
    return Listing(found, revision, False)


async def count_at(db: Database, within: Range, revision: int) -> int | None:
    """How many documents there were at `revision`; None when that is not known."""
    end = "" if within.namespace is None else _IN_NAMESPACE
    namespace = () if within.namespace is None else (within.namespace,)
    params: list[Value] = [within.resource, *within.after, *namespace]
    params += [within.resource, revision, *within.after, *namespace]
    ((compacted, newest, now, difference),) = await db.scan(
        _COUNT.format(end, _FIRST.format(end)), params
    )
    known: bool = compacted <= revision <= newest
    return now + difference if known else None


async def _undone(
    db: Database, within: Range, last: Place | None, listing: Listing, revision: int
) -> list[Document]:
    """The documents up to `last`, or to the end of the range, as they were at `revision`."""
    state = {_place(document): document for document in listing.documents}
    for place, body in (await _since(db, within, last, revision)).items():
        if body is None:
            state.pop(place, None)
        else:
            state[place] = _as_it_was(Key(within.resource, *place), body)
    return [state[place] for place in sorted(state)]


async def _since(
    db: Database, within: Range, last: Place | None, revision: int
) -> dict[Place, bytes | None]:
    """What each document was that has changed since `revision`; None where there was none."""
    params: list[Value] = [within.resource, revision, *within.after]
    end = ""
    if last is not None:
        end = " AND (namespace, name) <= (?, ?)"
        params += last
    elif within.namespace is not None:
        end = _IN_NAMESPACE
        params.append(within.namespace)
    rows = await db.scan(_SINCE.format(_FIRST.format(end)), params)
    if rows[0][0] > revision:
        raise Expired(f"the state at revision {revision} is no longer known")
    return {
        Place(namespace, name): before for _, namespace, name, before in rows if name is not None
    }


def _place(document: Document) -> Place:
    return Place(document.key.namespace, document.key.name)


def _as_it_was(key: Key, body: bytes) -> Document:
    metadata = _STORED.decode(body).metadata
    return Document(key, metadata.uid, int(metadata.resource_version), body)
