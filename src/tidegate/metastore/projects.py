"""What a project holds in the registry: its repositories, and their end with the project.

When a project goes, everything that its repositories could read goes with it, rows and tombstones
alike: its name may be given to somebody else, and a tombstone is what a later push revives.
Bytes are left to garbage collection, which finds that no row names them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tidegate.metastore import deleted, jobs, usage
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.expiry import remove_part


class ProjectGone(Exception):
    """The project of a push is not there, or is being deleted."""


class _Metadata(msgspec.Struct, rename="camel"):
    deletion_timestamp: str = ""
    annotations: dict[str, str] = {}


class _Namespace(msgspec.Struct):
    metadata: _Metadata


_DECODE = msgspec.json.Decoder(_Namespace).decode

_LIVE = """(
  EXISTS (SELECT 1 FROM manifests m WHERE m.repository_id = r.id AND m.deleted_at IS NULL)
  OR EXISTS (SELECT 1 FROM links l WHERE l.repository_id = r.id AND l.deleted_at IS NULL)
)"""

PURGED_AT_ONCE = 100
"""Rows of one table in one transaction."""

_END = "0"
"""The character after `/`: `PROJECT/` to `PROJECT0` is the range of a project's repositories."""


class Project(NamedTuple):
    """A project: the uid tells it from others of its name."""

    uid: str
    annotations: Mapping[str, str]


def require(tx: Transaction, project: str) -> Mapping[str, str]:
    """The annotations of a project; `ProjectGone` unless there is one and it is to stay.

    Asked in the unit that adds to a repository: what a project's end removes cannot come back.
    """
    metadata = _staying(tx, project)
    if metadata is None:
        raise ProjectGone(f"there is no project {project}")
    return metadata.annotations


def _staying(tx: Transaction, project: str) -> _Metadata | None:
    """The project, if there is one and it is not to go."""
    rows = tx.fetch(
        "SELECT body FROM documents WHERE resource = 'namespaces' AND namespace = '' AND name = ?",
        (project,),
    )
    metadata = _DECODE(bytes(rows[0][0])).metadata if rows else None
    return None if metadata is None or metadata.deletion_timestamp else metadata


async def find(db: Database, project: str) -> Project:
    """A project, be it about to go; one without uid and annotations where there is none."""
    rows = await db.fetch(
        "SELECT uid, body FROM documents"
        " WHERE resource = 'namespaces' AND namespace = '' AND name = ?",
        (project,),
    )
    if not rows:
        return Project("", {})
    return Project(rows[0][0], _DECODE(bytes(rows[0][1])).metadata.annotations)


async def with_content(db: Database, after: str, limit: int) -> list[str]:
    """Projects after `after` that have a repository which holds something, in ASCII order."""
    found: list[str] = []
    position = f"{after}{_END}" if after else ""
    while len(found) < limit:
        rows = await db.scan(
            f"SELECT min(r.name) FROM repositories r WHERE r.name > ? AND {_LIVE}",  # noqa: S608
            (position,),
        )
        if rows[0][0] is None:
            break
        project = str(rows[0][0]).partition("/")[0]
        found.append(project)
        position = f"{project}{_END}"
    return found


async def purge_all(db: Database, project: str) -> bool:
    """Remove all that the project's repositories hold, a little at a time; True in the end.

    Another process may have been quicker, and the name be somebody else's by now: what is in a
    project that is to stay stays.
    """
    while await db.write(
        lambda tx: _staying(tx, project) is None and purge(tx, project, PURGED_AT_ONCE)
    ):
        pass
    return True


def purge(tx: Transaction, project: str, limit: int) -> bool:
    """Remove up to `limit` rows of what the project's repositories hold; False when none is left.

    One repository after the other, then the project's jobs.
    """
    rows = tx.fetch(
        "SELECT id, name FROM repositories WHERE name > ? AND name < ? ORDER BY name LIMIT 1",
        (f"{project}/", f"{project}{_END}"),
    )
    if not rows:
        if jobs.drop_project(tx, project, limit):
            return True
        _purge_uploads(tx, project)
        deleted.forget_project(tx, project)
        usage.forget(tx, project)
        return False
    ((repository_id, name),) = rows
    return remove_part(tx, repository_id, name, limit)


def _purge_uploads(tx: Transaction, project: str) -> None:
    """End the upload sessions: their bytes are dropped as those of any session without a row."""
    tx.execute(
        "DELETE FROM uploads WHERE repository > ? AND repository < ?",
        (f"{project}/", f"{project}{_END}"),
    )
