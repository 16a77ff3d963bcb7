"""Origins of imported images: the repositories of other registries that have their blobs.

    manifests.origin    HOST/REPOSITORY; null for a manifest that was pushed, whose blobs are linked

An imported manifest is a row like a pushed one, and names its blobs (`blob_uses`) without a link of
the repository to them: they are read from the origin. Promoting an image takes its origin along.
"""

from typing import NamedTuple

from tidegate.metastore.database import Database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

_LOOKED_AT = 100
"""Manifests that name a blob: a base layer may be in thousands, most of one origin."""

_EVENTS = 20
"""Events and tags of one image that are looked at."""

_OF_BLOB = (
    "SELECT m.origin, m.origin_insecure FROM repositories r JOIN blobs b ON b.digest = ?"
    " JOIN blob_uses u ON u.blob_id = b.id AND u.repository_id = r.id"
    " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
    " WHERE r.name = ? AND m.origin IS NOT NULL LIMIT ?"
)


class Named(NamedTuple):
    """A manifest that names what is wanted."""

    media_type: str
    content: bytes


class Origin(NamedTuple):
    """Where blobs are: `HOST/REPOSITORY`, and whether bad TLS or none is good enough there."""

    repository: str
    insecure: bool = False


async def of_blob(db: Database, repository: RepositoryName, digest: Digest) -> list[Origin]:
    """Where to read a blob that live imported manifests of the repository name.

    Nowhere for a blob that no such manifest names: it is not for readers of the repository.
    """
    rows = await db.fetch(_OF_BLOB, (digest, repository, _LOOKED_AT))
    found = {Origin(origin, bool(insecure)) for origin, insecure in rows}
    return sorted(found, key=lambda each: (each.insecure, each.repository))


async def naming_blob(db: Database, repository: RepositoryName, digest: Digest) -> Named | None:
    """A live manifest of the repository that names the blob, an imported one if there is any."""
    rows = await db.fetch(
        "SELECT m.media_type, c.content FROM manifests m JOIN contents c ON c.id = m.content_id"
        " WHERE m.id = (SELECT part.id FROM (SELECT m.id, m.origin FROM repositories r"
        " JOIN blobs b ON b.digest = ?"
        " JOIN blob_uses u ON u.blob_id = b.id AND u.repository_id = r.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " WHERE r.name = ? LIMIT ?) part"
        " ORDER BY CASE WHEN part.origin IS NULL THEN 1 ELSE 0 END, part.id LIMIT 1)",
        (digest, repository, _LOOKED_AT),
    )
    return Named(rows[0][0], bytes(rows[0][1])) if rows else None


async def of_listed(db: Database, repository: RepositoryName, digest: Digest) -> list[Origin]:
    """Where to read a manifest that live imported indexes of the repository list."""
    rows = await db.fetch(
        "SELECT DISTINCT m.origin, m.origin_insecure FROM repositories r"
        " JOIN child_uses u ON u.digest = ? AND u.repository_id = r.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " WHERE r.name = ? AND m.origin IS NOT NULL"
        " ORDER BY m.origin_insecure, m.origin LIMIT ?",
        (digest, repository, _LOOKED_AT),
    )
    return [Origin(origin, bool(insecure)) for origin, insecure in rows]


async def events_of(
    db: Database, repository: RepositoryName, image: str
) -> list[tuple[str, str | None]]:
    """References to other registries in shown events that name an image, with their tag's spec.

    Those that their tag names now come first.
    """
    rows = await db.fetch(
        "SELECT e.reference, t.spec FROM tag_events e"
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = (SELECT id FROM repositories WHERE name = ?)"
        " AND e.image = ? AND e.image <> '' AND e.number > t.hidden AND e.removed_at IS NULL"
        " AND e.how NOT IN ('delete', 'undelete') AND e.reference NOT LIKE '/%'"
        " ORDER BY CASE WHEN e.number = t.current THEN 0 ELSE 1 END, e.tag, e.number DESC LIMIT ?",
        (repository, image, _EVENTS),
    )
    return [(reference, spec) for reference, spec in rows]


async def image_of(db: Database, repository: RepositoryName, tag: str) -> str | None:
    """The image that a tag of the stream names, whether the repository has it or not."""
    rows = await db.fetch(
        "SELECT e.image FROM stream_tags t JOIN tag_events e"
        " ON e.repository_id = t.repository_id AND e.tag = t.name AND e.number = t.current"
        " WHERE t.repository_id = (SELECT id FROM repositories WHERE name = ?) AND t.name = ?"
        " AND e.image <> ''",
        (repository, tag),
    )
    return str(rows[0][0]) if rows else None


async def specs_using(db: Database, repository: RepositoryName, digest: Digest) -> list[str]:
    """What is wanted of tags whose shown images use a blob, as JSON; some of them."""
    users = (
        "SELECT m.id, m.digest, m.repository_id FROM repositories r JOIN blobs b ON b.digest = ?"
        " JOIN blob_uses u ON u.blob_id = b.id AND u.repository_id = r.id"
        " JOIN manifests m ON m.id = u.manifest_id AND m.deleted_at IS NULL"
        " WHERE r.name = ? LIMIT 100"
    )
    rows = await db.scan(
        "SELECT DISTINCT t.spec FROM tag_events e"  # noqa: S608  our own parts
        " JOIN stream_tags t ON t.repository_id = e.repository_id AND t.name = e.tag"
        " WHERE e.repository_id = (SELECT id FROM repositories WHERE name = ?)"
        " AND e.image <> '' AND e.number > t.hidden AND e.removed_at IS NULL"
        f" AND t.spec IS NOT NULL AND e.image IN (SELECT digest FROM ({users}) single"
        f" UNION SELECT p.digest FROM ({users}) child"
        " JOIN child_uses c ON c.digest = child.digest AND c.repository_id = child.repository_id"
        " JOIN manifests p ON p.id = c.manifest_id AND p.deleted_at IS NULL) LIMIT ?",
        (repository, digest, repository, digest, repository, _EVENTS),
    )
    return [spec for (spec,) in rows]


async def of_manifest(db: Database, repository: RepositoryName, digest: str) -> Origin | None:
    """The origin of a live manifest; None for one that was pushed, or is not there."""
    rows = await db.fetch(
        "SELECT m.origin, m.origin_insecure FROM repositories r JOIN manifests m"
        " ON m.repository_id = r.id AND m.digest = ? AND m.deleted_at IS NULL"
        " WHERE r.name = ? AND m.origin IS NOT NULL",
        (digest, repository),
    )
    return Origin(rows[0][0], bool(rows[0][1])) if rows else None
