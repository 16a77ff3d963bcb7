"""Documents that may come back: streams and images, with all that hung on them.

    documents --delete--> deleted_documents --restore--> documents
    repositories: NS/NAME         <-->         NS/NAME~UID (a name nobody can ask for)

Whatever deletes such a document does it through `document_rows.delete`, which calls `keep`: a
cascade, the end of an owner, a request. The rows of a stream stay as they are, so that both ways
cost the same for a stream of any size.
"""

import time
from typing import NamedTuple

from tidegate.apimachinery.store import Document, Key
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.name import RepositoryName

IMAGES, IMAGE_STREAMS = "images.image.openshift.io", "imagestreams.image.openshift.io"

KEPT = frozenset({IMAGES, IMAGE_STREAMS})
"""Resources whose deleted documents are kept for a while."""


class Deleted(NamedTuple):
    """A deleted document: the version that it had last, and when it went."""

    uid: str
    deleted_at: float
    body: bytes


def keep(tx: Transaction, document: Document) -> None:
    """Keep a document that is being deleted; nothing for resources that are not kept."""
    key = document.key
    if key.resource not in KEPT:
        return
    tx.execute(
        "INSERT INTO deleted_documents (resource, namespace, name, uid, deleted_at, body)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (resource, namespace, name, uid) DO UPDATE SET"
        " deleted_at = excluded.deleted_at, body = excluded.body",
        (*key, document.uid, time.time(), document.body),
    )
    if key.resource == IMAGE_STREAMS:
        _rename(tx, f"{key.namespace}/{key.name}", aside(key, document.uid))


def newest(tx: Transaction, key: Key) -> Deleted | None:
    """The one that was deleted last under that name."""
    rows = tx.fetch(
        "SELECT uid, deleted_at, body FROM deleted_documents"
        " WHERE resource = ? AND namespace = ? AND name = ? ORDER BY deleted_at DESC LIMIT 1",
        key,
    )
    return Deleted(*rows[0]) if rows else None


async def waiting(db: Database, key: Key) -> RepositoryName | None:
    """The repository that holds the rows of the stream that was deleted last under that name."""
    rows = await db.fetch(
        "SELECT uid FROM deleted_documents"
        " WHERE resource = ? AND namespace = ? AND name = ? ORDER BY deleted_at DESC LIMIT 1",
        key,
    )
    return aside(key, rows[0][0]) if rows else None


def take_back(tx: Transaction, key: Key, uid: str) -> None:
    """Forget that it was deleted; a stream gets its rows back. The document is the caller's to put.

    What the repository of that name has got since (blobs without a stream) is left behind.
    """
    tx.execute(
        "DELETE FROM deleted_documents"
        " WHERE resource = ? AND namespace = ? AND name = ? AND uid = ?",
        (*key, uid),
    )
    if key.resource == IMAGE_STREAMS:
        name = f"{key.namespace}/{key.name}"
        tx.execute("UPDATE repositories SET name = name || '~' || id WHERE name = ?", (name,))
        _rename(tx, aside(key, uid), name)


async def expired(db: Database, before: float, limit: int) -> list[tuple[Key, str]]:
    """Documents deleted before a moment, with their uids, oldest first."""
    rows = await db.scan(
        "SELECT resource, namespace, name, uid FROM deleted_documents"
        " WHERE deleted_at < ? ORDER BY deleted_at LIMIT ?",
        (before, limit),
    )
    return [(Key(*key), uid) for *key, uid in rows]


def forget(tx: Transaction, key: Key, uid: str) -> None:
    """Drop a kept document for good; the rows of a stream go first, with their repository."""
    tx.execute(
        "DELETE FROM deleted_documents"
        " WHERE resource = ? AND namespace = ? AND name = ? AND uid = ?",
        (*key, uid),
    )


def forget_project(tx: Transaction, project: str) -> None:
    """Drop what was deleted in a project that goes itself."""
    tx.execute("DELETE FROM deleted_documents WHERE namespace = ? AND namespace <> ''", (project,))


def aside(key: Key, uid: str) -> RepositoryName:
    """The repository that holds the rows of a deleted stream."""
    return RepositoryName(f"{key.namespace}/{key.name}~{uid}")


def _rename(tx: Transaction, old: str, new: str) -> None:
    tx.execute("UPDATE repositories SET name = ? WHERE name = ?", (new, old))
