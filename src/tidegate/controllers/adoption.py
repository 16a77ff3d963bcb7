"""Taking over data of the version before projects, users and roles: once, resumably, while serving.

    administrators   before anything is served: a row that said `admin` becomes a binding
    projects         beside pulls: each that holds something becomes a Namespace, some at a time

How far it has come is kept in a document that no endpoint serves; what is done is never done again,
so that what an administrator took away since stays away, and nobody can have it done once more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.store import Document, DocumentTransaction, Key, ObjectStore
from tidegate.auth.projects.provision import provision
from tidegate.auth.rbac.reconciliation import grant_cluster_admin
from tidegate.auth.serviceaccounts.tokens import Signer
from tidegate.auth.users.local import ensure_objects
from tidegate.controllers.setback import log_setback
from tidegate.metastore import projects, users
from tidegate.metastore.database import Database

_LOG = logging.getLogger(__name__)

MARK = Key("adoptions.tidegate.io", "", "progress")

DONE = "done"
ADMINISTRATORS, PROJECTS, POSITION = "administrators", "projects", "position"

BATCH = 20
"""Projects in one transaction: some 200 rows."""

RETRY_SECONDS = 5.0


class Older(NamedTuple):
    """What the database holds of the version before: users, and those who were administrators."""

    names: Sequence[str]
    administrators: Sequence[str]


async def older_users(database: Database) -> Older:
    """The local users whose objects may be missing."""
    names: list[str] = []
    administrators: list[str] = []
    while page := await users.names(database, names[-1] if names else "", 1000):
        names += page
    for name in names:
        user = await users.find(database, name)
        if user is not None and user.admin:
            administrators.append(name)
    return Older(names, administrators)


def adopt_users(tx: DocumentTransaction, older: Older, now: float) -> None:
    """Give each user her objects and each administrator her binding; not a second time."""
    if _progress(tx).get(ADMINISTRATORS) == DONE:
        return
    for name in older.names:
        ensure_objects(tx, name, now)
    for name in older.administrators:
        grant_cluster_admin(tx, name, now)
    _note(tx, {ADMINISTRATORS: DONE})


async def adopt_projects(
    database: Database, store: ObjectStore, signer: Callable[[], Awaitable[Signer]]
) -> None:
    """Make a Namespace for each project that has repositories; returns when all have one.

    Each worker runs it: whoever comes first makes the next ones, and nobody makes one twice.
    """
    while True:
        try:
            more = True
            while more:
                more = await _adopt_some(database, store, await signer())
        except Exception as error:  # noqa: BLE001  the top of a loop: logged, and tried again
            log_setback(_LOG, "adopting older data", error)
        else:
            return
        await asyncio.sleep(RETRY_SECONDS)


async def _adopt_some(database: Database, store: ObjectStore, signer: Signer) -> bool:
    """Adopt the next few projects; False when none is left."""
    data = _told(await store.get(MARK))
    if data.get(PROJECTS) == DONE:
        return False
    position = data.get(POSITION, "")
    found = await projects.with_content(database, position, BATCH)

    def unit(tx: DocumentTransaction) -> bool:
        if _progress(tx).get(POSITION, "") != position or PROJECTS in _progress(tx):
            return False  # another process was quicker
        for name in found:
            provision(tx, name, None, signer)
        _note(tx, {POSITION: found[-1]} if found else {PROJECTS: DONE})
        return True

    mine = await store.write(unit)
    if mine and found:
        _LOG.info("adopted %d projects, up to %s", len(found), found[-1])
    elif mine and position:
        _LOG.info("every project that has images is a namespace now")
    return True


def _progress(tx: DocumentTransaction) -> dict[str, str]:
    return _told(tx.get(MARK))


def _told(mark: Document | None) -> dict[str, str]:
    return {} if mark is None else msgspec.json.decode(mark.body, type=dict[str, str])


def _note(tx: DocumentTransaction, told: dict[str, str]) -> None:
    body = msgspec.json.encode(_progress(tx) | told)
    tx.put(MARK, MARK.name, lambda _revision: body)
