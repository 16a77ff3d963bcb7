"""A stream of 100,000 tags and 1,000,000 events, written as rows: pushing it would take an hour.

    20,000 images      (or fewer) over the same two blobs, each with manifest, Image and links
    99,999 tags        t000000 ... with nine events each; the later a tag, the later its images, and
                       an image has several tags
    latest             with all the other events, over a hundred thousand, of any image

What is made by functions of the product is: header, manifests and Images. Tags and events are
numbers, so SQL makes them, the same on both engines.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tests.images import IMAGE_MANIFEST, Content, encode
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.docker_image import image_of
from tidegate.images.kinds.group import API_VERSION
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.pushes import keep_image
from tidegate.images.streams.stream import Stream
from tidegate.metastore import links, manifests
from tidegate.metastore.database import Database, Transaction, sqlite_path
from tidegate.metastore.open import open_database
from tidegate.observability.timestamp import rfc3339_seconds
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName

BUSY = "latest"
"""The tag with the most events."""

_AT_ONCE = 1000

_NUMBERS = (
    "WITH RECURSIVE numbers (i) AS (SELECT {} UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {})"
)
_NAME = "'t' || substr(CAST(1000000 + t.i AS TEXT), 2)"


@dataclass(frozen=True)
class Large:
    """How much there is of what."""

    tags: int = 100_000
    events: int = 1_000_000
    images: int = 20_000
    each: int = 9  # events of a tag that is not `latest`

    def tag(self, number: int) -> str:
        """The name of a tag; the last ones are the ones that changed last."""
        return f"t{number:06d}"

    @property
    def numbered(self) -> int:
        return self.tags - 1

    @property
    def of_latest(self) -> int:
        return self.events - self.each * self.numbered


def manifest_of(blobs: tuple[Content, ...], number: int) -> Content:
    """One of the images: configuration and layers are those of all the others."""
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": blobs[0].descriptor(),
        "layers": [blob.descriptor() for blob in blobs[1:]],
        "annotations": {"org.opencontainers.image.version": f"1.{number}"},
    }
    return Content(encode(document), IMAGE_MANIFEST)


def fill(url: str, repository: str, blobs: tuple[Content, ...], large: Large) -> None:
    """Write it into a metadata database; `blobs` (configuration first) are in the blob store.

    Nobody else writes meanwhile: the manifests' ids have to follow one another.
    """
    asyncio.run(_fill(url, RepositoryName.parse(repository), blobs, large))


async def _fill(url: str, name: RepositoryName, blobs: tuple[Content, ...], large: Large) -> None:
    now = time.time()
    db = await open_database(url)
    try:
        await db.write(lambda tx: _begin(tx, name, blobs, now))
        for start in range(0, large.images, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, large.images))
            await db.write(_images(name, blobs, numbers, now))
        again = await _drop_indexes(db, url)
        await _write_tags(db, name, large, now)
        for index in again:
            await db.write(partial(_run, sql=index))
        if sqlite_path(url) is None:  # as autovacuum has done by the time that there is so much
            await db.write(partial(_run, sql="ANALYZE"))
    finally:
        await db.close()


async def _drop_indexes(db: Database, url: str) -> list[str]:
    """Take the events' indexes away, which take long to build row by row; how to make them."""
    if sqlite_path(url) is not None:
        sql = (
            "SELECT name, sql FROM sqlite_master WHERE tbl_name = ? AND type = 'index' AND sql > ''"
        )
    else:
        sql = (
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE tablename = ? AND indexdef NOT LIKE '%UNIQUE%'"
        )
    found = await db.fetch(sql, ("tag_events",))
    for index, _ in found:
        await db.write(partial(_run, sql=f"DROP INDEX {index}"))
    return [made for _, made in found]


def _run(tx: Transaction, sql: str) -> None:
    tx.execute(sql)


def _begin(tx: Transaction, name: RepositoryName, blobs: tuple[Content, ...], now: float) -> None:
    if Stream.open(tx, name) is None:
        metadata = ObjectMeta(
            name=name.stream,
            namespace=name.project,
            uid=f"00000000-0000-4000-8000-{abs(hash(name)) % 10**12:012d}",
            generation=1,
            creation_timestamp=rfc3339_seconds(now),
        )
        header = ImageStream(api_version=API_VERSION, kind=IMAGE_STREAMS.kind, metadata=metadata)
        Stream.make(tx, name, header).save()
    for blob in blobs:
        links.link(tx, name, Digest(blob.digest), len(blob.data), now)


def _images(
    name: RepositoryName, blobs: tuple[Content, ...], numbers: range, now: float
) -> Callable[[Transaction], None]:
    digests = tuple(Digest(blob.digest) for blob in blobs)
    created = rfc3339_seconds(now)

    def unit(tx: Transaction) -> None:
        for number in numbers:
            content = manifest_of(blobs, number)
            digest = Digest(content.digest)
            stored = manifests.Manifest(digest, IMAGE_MANIFEST, content.data, blobs=digests)
            manifests.put(tx, name, stored, [], now)
            reference = f"{name}@{digest}"
            image = image_of(
                content.digest, IMAGE_MANIFEST, content.data, blobs[0].data, reference, created
            )
            image.metadata.uid = f"00000000-0000-4000-9000-{number:012d}"
            image.metadata.creation_timestamp = created
            keep_image(tx, digest, image)

    return unit


async def _write_tags(db: Database, name: RepositoryName, large: Large, now: float) -> None:
    ((repository_id, first, count, last),) = await db.fetch(
        "SELECT r.id, min(m.id), count(*), max(m.id) FROM repositories r"
        " JOIN manifests m ON m.repository_id = r.id WHERE r.name = ? GROUP BY r.id",
        (name,),
    )
    assert last - first + 1 == count == large.images, "the ids of the manifests have gaps"
    for start in range(0, large.numbered, _AT_ONCE):
        tags = range(start, min(start + _AT_ONCE, large.numbered))
        await db.write(_tags(repository_id, first, tags, large, now))
    for start in range(1, large.of_latest + 1, 10 * _AT_ONCE):
        numbers = range(start, min(start + 10 * _AT_ONCE, large.of_latest + 1))
        await db.write(_events_of_latest(repository_id, first, numbers, large, now))
    await db.write(lambda tx: _end(tx, name, repository_id, first, large, now))


def _tags(
    repository_id: int, first: int, tags: range, large: Large, now: float
) -> Callable[[Transaction], None]:
    numbers = _NUMBERS.format(tags.start, tags.stop)
    event = f"(t.i * {large.each} + {{}} - 1)"
    image = f"{first} + {event} * {large.images} / {large.each * large.numbered}"

    def unit(tx: Transaction) -> None:
        revision = tx.record("repositories", "filling", "put")
        tx.execute(
            f"{numbers}, events (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM events"
            f" WHERE number < {large.each})"
            " INSERT INTO tag_events (repository_id, tag, number, created_at, recorded_at,"
            " reference, image, generation, how, who)"
            f" SELECT m.repository_id, {_NAME}, e.number, CAST(? AS DOUBLE PRECISION) + e.number,"
            " CAST(? AS DOUBLE PRECISION) + e.number, '/' || r.name || '@' || m.digest, m.digest,"
            " 1, 'push', 'admin' FROM numbers t CROSS JOIN events e"
            f" JOIN manifests m ON m.id = {image.format('e.number')}"
            " JOIN repositories r ON r.id = m.repository_id",
            (now - 1000, now - 1000),
        )
        tx.execute(
            f"{numbers} INSERT INTO stream_tags"
            " (repository_id, name, hidden, newest, current, changed)"
            f" SELECT {repository_id}, {_NAME}, 0, {large.each}, {large.each}, {revision}"
            " FROM numbers t"
        )
        tx.execute(
            f"{numbers} INSERT INTO tags (repository_id, name, manifest_id, updated_at)"
            f" SELECT {repository_id}, {_NAME}, {image.format(large.each)}, ? FROM numbers t",
            (now,),
        )

    return unit


def _events_of_latest(
    repository_id: int, first: int, numbers: range, large: Large, now: float
) -> Callable[[Transaction], None]:
    def unit(tx: Transaction) -> None:
        tx.execute(
            f"{_NUMBERS.format(numbers.start, numbers.stop)}"
            " INSERT INTO tag_events (repository_id, tag, number, created_at, recorded_at,"
            " reference, image, generation, how, who)"
            f" SELECT {repository_id}, '{BUSY}', t.i, CAST(? AS DOUBLE PRECISION) + t.i,"
            " CAST(? AS DOUBLE PRECISION) + t.i, '/' || r.name || '@' || m.digest, m.digest, 1,"
            f" 'push', 'admin' FROM numbers t JOIN manifests m ON m.id = {first} + t.i %"
            f" {large.images} JOIN repositories r ON r.id = m.repository_id",
            (now - 1_000_000, now - 1_000_000),
        )

    return unit


def _end(
    tx: Transaction, name: RepositoryName, repository_id: int, first: int, large: Large, now: float
) -> None:
    """The row of `latest`, and a header that is newer than every tag."""
    newest = large.of_latest
    revision = tx.record("repositories", "filling", "put")
    tx.execute(
        "INSERT INTO stream_tags (repository_id, name, hidden, newest, current, changed)"
        " VALUES (?, ?, 0, ?, ?, ?)",
        (repository_id, BUSY, newest, newest, revision),
    )
    tx.execute(
        "INSERT INTO tags (repository_id, name, manifest_id, updated_at) VALUES (?, ?, ?, ?)",
        (repository_id, BUSY, first + newest % large.images, now),
    )
    stream = Stream.open(tx, name)
    assert stream is not None
    stream.touch()
    stream.save()
