"""Manifests and indexes as each repository knows them.

    put -> live -> delete -> tombstone -> put, or an index that names it -> live

The bytes are kept once per digest, whoever pushed them; the media type belongs to the repository's
row, because it came with the push. Readers see live manifests only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.metastore import links, repositories, tag_events, tags
from tidegate.metastore.batches import batches
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.links import Link
from tidegate.metastore.origins import Origin
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

REFERRERS_BYTES = 4 * 1024 * 1024
"""Manifests whose annotations are read at once: each may have 4 MiB of them."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest to be stored, with what is looked up of it.

    `blobs` are the config and layers that are to be in the repository, `children` what an index
    lists; `annotations` is the JSON text that a referrers list shows. With an `origin` the blobs
    may be there alone.
    """

    digest: Digest
    media_type: str
    content: bytes
    subject: Digest | None = None
    artifact_type: str | None = None
    annotations: str | None = None
    blobs: tuple[Digest, ...] = ()
    children: tuple[Digest, ...] = ()
    origin: Origin | None = None


class StoredManifest(NamedTuple):
    """What a pull answers with."""

    digest: Digest
    media_type: str
    content: bytes


class Referrer(NamedTuple):
    """A manifest as the list of its subject's referrers shows it; `annotations` is JSON text."""

    digest: Digest
    media_type: str
    size: int
    artifact_type: str | None
    annotations: str | None


_BY_TAG = (
    "SELECT m.digest, m.media_type, c.content FROM repositories r"
    " JOIN tags t ON t.repository_id = r.id AND t.name = ?"
    " JOIN manifests m ON m.id = t.manifest_id"
    " JOIN contents c ON c.id = m.content_id"
    " WHERE r.name = ?"
)
_BY_DIGEST = (
    "SELECT m.media_type, c.content FROM repositories r"
    " JOIN manifests m ON m.repository_id = r.id AND m.digest = ?"
    " JOIN contents c ON c.id = m.content_id"
    " WHERE r.name = ? AND m.deleted_at IS NULL"
)


async def by_tag(db: Database, repository: RepositoryName, tag: Tag) -> StoredManifest | None:
    """The manifest that the tag names."""
    rows = await db.fetch(_BY_TAG, (tag, repository))
    if not rows:
        return None
    digest, media_type, content = rows[0]
    return StoredManifest(Digest(digest), media_type, content)


async def by_digest(
    db: Database, repository: RepositoryName, digest: Digest
) -> StoredManifest | None:
    """The manifest with that digest, tagged or not."""
    rows = await db.fetch(_BY_DIGEST, (digest, repository))
    return StoredManifest(digest, *rows[0]) if rows else None


def beginning(tx: Transaction, repository_id: int, start: str, limit: int) -> list[str]:
    """Live manifests of a repository whose digest begins with `start`, in order."""
    rows = tx.fetch(
        "SELECT digest FROM manifests WHERE repository_id = ? AND digest >= ? AND digest < ?"
        " AND deleted_at IS NULL ORDER BY digest LIMIT ?",
        (repository_id, start, start + "\x7f", limit),
    )
    return [digest for (digest,) in rows]


def content(tx: Transaction, digest: str) -> bytes | None:
    """The bytes of a manifest, whichever repository has it."""
    rows = tx.fetch("SELECT content FROM contents WHERE digest = ?", (digest,))
    return bytes(rows[0][0]) if rows else None


def put(
    tx: Transaction,
    repository: RepositoryName,
    manifest: Manifest,
    named: Sequence[Tag],
    now: float,
    blobs: Mapping[Digest, Link] | None = None,
) -> None:
    """Store the manifest and let `named` tags name it; revives what it refers to.

    Whether its blobs are there is the caller's to check first, in the same unit: `blobs` is what
    `links.find` told of them.
    """
    repository_id = repositories.ensure(tx, repository)
    tx.execute(
        "INSERT INTO contents (digest, content) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        (manifest.digest, manifest.content),
    )
    referrer = manifest.subject is not None
    tx.execute(
        "INSERT INTO manifests (repository_id, content_id, digest, media_type, size,"
        " subject, artifact_type, annotations, pushed_at, origin, origin_insecure)"
        " SELECT ?, id, digest, ?, ?, ?, ?, ?, ?, ?, ? FROM contents WHERE digest = ?"
        " ON CONFLICT (repository_id, digest) DO UPDATE SET media_type = excluded.media_type,"
        " subject = excluded.subject, artifact_type = excluded.artifact_type,"
        " annotations = excluded.annotations, pushed_at = excluded.pushed_at, deleted_at = NULL,"
        " origin = excluded.origin, origin_insecure = excluded.origin_insecure",
        (
            repository_id,
            manifest.media_type,
            len(manifest.content),
            manifest.subject,
            manifest.artifact_type if referrer else None,
            manifest.annotations if referrer else None,
            now,
            None if manifest.origin is None else manifest.origin.repository,
            int(manifest.origin is not None and manifest.origin.insecure),
            manifest.digest,
        ),
    )
    ((manifest_id,),) = tx.fetch(
        "SELECT id FROM manifests WHERE repository_id = ? AND digest = ?",
        (repository_id, manifest.digest),
    )
    found = blobs or {}
    _use(tx, repository_id, manifest_id, manifest, found)
    if not all(digest in found and found[digest].is_live for digest in manifest.blobs):
        links.revive(tx, repository, manifest.blobs)
    tx.record("manifests", f"{repository}@{manifest.digest}", "put")
    tags.point(tx, repository, named, manifest_id, now)


def _use(
    tx: Transaction,
    repository_id: int,
    manifest_id: int,
    manifest: Manifest,
    found: Mapping[Digest, Link],
) -> None:
    """Write down what the manifest needs, so that nothing of it is collected."""
    tx.execute_many(
        "INSERT INTO blob_uses (blob_id, repository_id, manifest_id) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(link.blob_id, repository_id, manifest_id) for link in found.values()],
    )
    others = [digest for digest in manifest.blobs if digest not in found]
    tx.execute_many(
        "INSERT INTO blobs (digest) VALUES (?) ON CONFLICT (digest) DO NOTHING",
        [(digest,) for digest in others],
    )
    for marks, values in batches(others):
        tx.execute(
            "INSERT INTO blob_uses (blob_id, repository_id, manifest_id)"  # noqa: S608
            f" SELECT id, ?, ? FROM blobs WHERE digest IN ({marks}) ON CONFLICT DO NOTHING",
            (repository_id, manifest_id, *values),
        )
    tx.execute_many(
        "INSERT INTO child_uses (digest, repository_id, manifest_id) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [(digest, repository_id, manifest_id) for digest in manifest.children],
    )


def delete(tx: Transaction, repository: RepositoryName, digest: Digest, now: float) -> bool:
    """Make the manifest a tombstone and remove its tags; False when it was not there."""
    rows = tx.fetch(
        "SELECT m.id FROM manifests m JOIN repositories r ON r.id = m.repository_id"
        " WHERE r.name = ? AND m.digest = ? AND m.deleted_at IS NULL",
        (repository, digest),
    )
    if not rows:
        return False
    ((manifest_id,),) = rows
    tags.delete_all(tx, repository, manifest_id)
    tx.execute("UPDATE manifests SET deleted_at = ? WHERE id = ?", (now, manifest_id))
    tx.record("manifests", f"{repository}@{digest}", "delete")
    return True


def release(
    tx: Transaction, repository: RepositoryName, repository_id: int, digest: str, now: float
) -> None:
    """Let go of an image that is out of every history: its manifest, and children of it alone.

    Tombstones, as `delete` makes. Nothing happens to what a history or a live index still names.
    """
    waiting = [Digest(digest)]
    while waiting:
        each = waiting.pop()
        if tag_events.names_image(tx, repository_id, each) or _has_parent(tx, repository_id, each):
            continue
        if delete(tx, repository, each, now):
            waiting += _children(tx, repository_id, each)


def _has_parent(tx: Transaction, repository_id: int, digest: Digest) -> bool:
    return bool(
        tx.fetch(
            "SELECT 1 FROM child_uses u"
            " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
            " WHERE u.digest = ? AND u.repository_id = ? LIMIT 1",
            (digest, repository_id),
        )
    )


def _children(tx: Transaction, repository_id: int, digest: Digest) -> list[Digest]:
    rows = tx.fetch(
        "SELECT u.digest FROM manifests m JOIN child_uses u ON u.manifest_id = m.id"
        " WHERE m.repository_id = ? AND m.digest = ?",
        (repository_id, digest),
    )
    return [Digest(child) for (child,) in rows]


def known(tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]) -> set[Digest]:
    """Those of `digests` that are live manifests of the repository."""
    return _found(tx, repository, digests, "IS NULL")


def revive(tx: Transaction, repository: RepositoryName, digests: Sequence[Digest]) -> set[Digest]:
    """Make live again what of these is a tombstone, with the blobs they need; which were.

    For an index that names manifests which were deleted after its client had seen them.
    """
    revived = _found(tx, repository, digests, "IS NOT NULL")
    for digest in revived:
        tx.execute(
            "UPDATE manifests SET deleted_at = NULL WHERE digest = ?"
            " AND repository_id = (SELECT id FROM repositories WHERE name = ?)",
            (digest, repository),
        )
        tx.execute(
            "UPDATE links SET deleted_at = NULL WHERE deleted_at IS NOT NULL"
            " AND repository_id = (SELECT id FROM repositories WHERE name = ?)"
            " AND blob_id IN (SELECT u.blob_id FROM manifests m"
            " JOIN blob_uses u ON u.manifest_id = m.id"
            " WHERE m.digest = ? AND m.repository_id = links.repository_id)",
            (repository, digest),
        )
        tx.record("manifests", f"{repository}@{digest}", "put")
    return revived


def _found(
    tx: Transaction, repository: RepositoryName, digests: Sequence[Digest], deleted: str
) -> set[Digest]:
    found: set[Digest] = set()
    for marks, values in batches(digests):
        rows = tx.fetch(
            "SELECT m.digest FROM manifests m"  # noqa: S608 - placeholders
            " WHERE m.repository_id = (SELECT id FROM repositories WHERE name = ?)"
            f" AND m.digest IN ({marks}) AND m.deleted_at {deleted}",
            (repository, *values),
        )
        found.update(Digest(digest) for (digest,) in rows)
    return found


def users_of(
    tx: Transaction, repository: RepositoryName, digest: Digest, limit: int = 100
) -> list[Digest]:
    """Live manifests of the repository that need this blob or manifest, at most `limit`."""
    rows = tx.fetch(
        "SELECT m.digest FROM repositories r JOIN blobs b ON b.digest = ?"
        " JOIN blob_uses u ON u.blob_id = b.id AND u.repository_id = r.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " WHERE r.name = ?"
        " UNION ALL SELECT m.digest FROM repositories r"
        " JOIN child_uses u ON u.digest = ? AND u.repository_id = r.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " WHERE r.name = ? LIMIT ?",
        (digest, repository, digest, repository, limit),
    )
    return [Digest(user) for (user,) in rows]


async def referrers(
    db: Database,
    repository: RepositoryName,
    subject: Digest,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> list[Referrer]:
    """Live manifests with that subject, after digest `after`, in digest order.

    Ends before `limit` once `REFERRERS_BYTES` of annotations are read, the last one included, so
    that a page costs bounded memory whatever was pushed.
    """
    found: list[Referrer] = []
    weight = 0
    while len(found) < limit and weight <= REFERRERS_BYTES:
        part = await _referrers(db, repository, subject, artifact_type, after, limit - len(found))
        if not part:
            break
        found += part
        after = part[-1].digest
        weight += sum(len(each.annotations or "") for each in part)
    return found


async def _referrers(
    db: Database,
    repository: RepositoryName,
    subject: Digest,
    artifact_type: str | None,
    after: str,
    limit: int,
) -> list[Referrer]:
    """As many as have `REFERRERS_BYTES` together, at least one if there is one."""
    of_type = "" if artifact_type is None else " AND artifact_type = ?"
    rows = await db.scan(
        "SELECT m.digest, m.media_type, m.size, m.artifact_type, m.annotations FROM ("  # noqa: S608
        "SELECT id, sum(size) OVER (ORDER BY digest) - size AS before FROM ("
        "SELECT id, size, digest FROM manifests"
        " WHERE repository_id = (SELECT id FROM repositories WHERE name = ?)"
        f" AND subject = ? AND digest > ? AND deleted_at IS NULL{of_type}"
        " ORDER BY digest LIMIT ?) AS next) AS part"
        " JOIN manifests m ON m.id = part.id WHERE part.before <= ? ORDER BY m.digest",
        (
            repository,
            subject,
            after,
            *(() if artifact_type is None else (artifact_type,)),
            limit,
            REFERRERS_BYTES,
        ),
    )
    return [Referrer(Digest(digest), *rest) for digest, *rest in rows]
