"""Whether the registry's tags and the streams' events tell one story: for `tidegate check`.

    stream_tags.newest    the number of the tag's last event
    stream_tags.current   the newest of its events that are shown
    tags                  a row iff that event's image is a live manifest of the repository
    repositories          those that have tags in streams belong to a stream
    images                every live manifest has one (once all older data has been taken over)

Each part is read by one statement, hence from one snapshot: what a push or a delete does in the
meantime is no fault. Nothing is asked of deleted streams, which may be half forgotten.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from tidegate.metastore import deleted, unadopted
from tidegate.metastore.database import Database, Row
from tidegate.oci.digest import Digest

ROWS = 500

_IS_STREAM = "SELECT 1 FROM documents WHERE resource = ? AND namespace = ? AND name = ?"

_TAGS = """
SELECT t.repository_id, t.name, r.name, t.newest, t.current,
  (SELECT max(e.number) FROM tag_events e
   WHERE e.repository_id = t.repository_id AND e.tag = t.name),
  (SELECT e.number FROM tag_events e
   WHERE e.repository_id = t.repository_id AND e.tag = t.name AND e.number > t.hidden
   AND e.removed_at IS NULL AND e.how NOT IN ('delete', 'undelete')
   ORDER BY e.number DESC LIMIT 1),
  (SELECT m.digest FROM tag_events e
   JOIN manifests m ON m.repository_id = e.repository_id AND m.digest = e.image
   WHERE e.repository_id = t.repository_id AND e.tag = t.name AND e.number = t.current
   AND m.deleted_at IS NULL),
  (SELECT m.digest FROM tags g JOIN manifests m ON m.id = g.manifest_id
   WHERE g.repository_id = t.repository_id AND g.name = t.name)
FROM (SELECT repository_id, name, hidden, newest, current FROM stream_tags
      WHERE (repository_id, name) > (?, ?) ORDER BY repository_id, name LIMIT ?) t
JOIN repositories r ON r.id = t.repository_id
ORDER BY t.repository_id, t.name
"""


class Disagreement(NamedTuple):
    """Something that one table says and another does not; `digest` is what it is about."""

    digest: Digest | None
    detail: str


async def of_tags(db: Database) -> AsyncIterator[Disagreement]:
    """What is wrong with tags that streams know."""
    after: tuple[int, str] = (0, "")
    asked: int | None = None
    while rows := await db.scan(_TAGS, (*after, ROWS)):
        for row in rows:
            if unadopted.ASIDE in row[2]:
                continue
            for fault in _faults(row):
                yield fault
            if row[0] != asked:
                asked = row[0]
                if not await _belongs(db, row[0]):
                    yield Disagreement(None, f"{row[2]} has tags and is no stream")
        after = (rows[-1][0], rows[-1][1])


def _faults(row: Row) -> Sequence[Disagreement]:
    _, tag, repository, newest, current, last, shown, named, led = row
    name = f"{repository}:{tag}"
    digest = Digest(named or led) if named or led else None
    faults = []
    if newest != (last or 0):
        detail = f"{name} counts {newest} events, the last is {last}"
        faults.append(Disagreement(digest, detail))
    if current != shown:
        detail = f"{name} names what event {current} says, the newest is {shown}"
        faults.append(Disagreement(digest, detail))
    if named != led:
        detail = f"{name} is {led or 'nothing'} to the registry and {named or 'nothing'} to streams"
        faults.append(Disagreement(digest, detail))
    return faults


async def _belongs(db: Database, repository_id: int) -> bool:
    """Whether a repository is that of a stream, there or deleted; read twice if it was renamed."""
    while True:
        name = await _name(db, repository_id)
        project, _, stream = name.partition("/")
        if not name or unadopted.ASIDE in name:
            return True
        if await db.scan(_IS_STREAM, (deleted.IMAGE_STREAMS, project, stream)):
            return True
        if await _name(db, repository_id) == name:
            return False


async def _name(db: Database, repository_id: int) -> str:
    rows = await db.scan("SELECT name FROM repositories WHERE id = ?", (repository_id,))
    return str(rows[0][0]) if rows else ""


async def of_older(db: Database) -> AsyncIterator[Disagreement]:
    """What streams and Images do not know, though all older data is said to be taken over."""
    after: tuple[int, str] = (0, "")
    while tags := await unadopted.tags(db, after, ROWS):
        for tag in tags:
            if not tag.known:
                yield Disagreement(None, f"{tag.repository}:{tag.name} is in no stream")
        after = (tags[-1].repository_id, tags[-1].name)
    last = 0
    while manifests := await unadopted.manifests(db, last, ROWS):
        for manifest in manifests:
            if not manifest.known and unadopted.ASIDE not in manifest.repository:
                yield Disagreement(manifest.digest, f"{manifest.repository} has it, without Image")
        last = manifests[-1].id
