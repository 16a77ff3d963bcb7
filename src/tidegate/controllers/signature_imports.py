"""Looks each hour whether images of other registries have been signed since (image-api 9.3).

One job goes through all Images that were not pushed here and asks where each was found first, as
nobody, for its simple signatures: what a registry without them costs is one request an hour. It is
the least of what is asked of a registry: one that wants to be left alone is passed over until the
next hour. Signatures are added, never removed.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tidegate.apimachinery.meta import Wire
from tidegate.apimachinery.store import Document, ObjectStore
from tidegate.controllers.jobs import Limits, Progress, run_jobs
from tidegate.images.imports.attached import SIGNATURES
from tidegate.images.imports.signing import found_at, sign
from tidegate.images.kinds.group import MANAGED
from tidegate.images.kinds.image import IMAGES
from tidegate.metastore import jobs
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.jobs import Job
from tidegate.oci.digest import Digest
from tidegate.remote.errors import RemoteError
from tidegate.remote.gateway import Gateway, Registries, Urgency
from tidegate.remote.location import Location

KIND = "signature-import"
INTERVAL = 3600.0

PAGE = 50
"""Images that are read at a time."""

PATIENCE = 60.0
"""Seconds for the signatures of one image."""

_LOG = logging.getLogger(__name__)


class _Metadata(Wire):
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Partial(Wire):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    docker_image_reference: str = ""
    signatures: list[msgspec.Raw] = msgspec.field(default_factory=list)


_PARTIAL = msgspec.json.Decoder(_Partial)


class Signable(NamedTuple):
    """An Image that may have signatures elsewhere."""

    digest: Digest
    location: Location


def signable(documents: Iterable[Document]) -> list[Signable]:
    """Those of some Images that were not pushed here, and have not all signatures that may be."""
    found = []
    for document in documents:
        image = _PARTIAL.decode(document.body)
        location = found_at(image.docker_image_reference)
        managed = image.metadata.annotations.get(MANAGED) == "true"
        if location is None or managed or len(image.signatures) >= SIGNATURES:
            continue
        found.append(Signable(Digest(document.key.name), location))
    return found


@dataclass(slots=True)
class _Round:
    """One look at all images; `asked` are registries that were met in it, `left` those left out."""

    registries: Registries
    asked: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    async def signatures(self, image: Signable) -> list[bytes]:
        """What a registry has of an image; nothing of one that fails, or is to be left alone."""
        digest, location = image
        if location.host in self.left:
            return []
        try:
            async with asyncio.timeout(PATIENCE):
                if location.host not in self.asked:
                    self.asked.add(location.host)
                    await self.registries.head(location, digest)  # says whether it keeps any
                return await self.registries.signatures(location, digest)
        except (RemoteError, TimeoutError) as error:
            self.left.add(location.host)
            _LOG.info("signatures of %s are left to the next hour: %s", location.host, error)
            return []


async def run_signature_imports(
    database: Database, store: ObjectStore, gateway: Gateway, clock: Callable[[], float]
) -> None:
    """Do the job, until cancelled; each process makes it, one does it."""
    now = clock()
    if await jobs.find(database, KIND, "images") is None:
        first = now + INTERVAL / 60
        await database.write(lambda tx: jobs.enqueue(tx, KIND, "images", due=first, now=now))

    async def work(job: Job, progress: Progress) -> float:
        await import_signatures(database, store, gateway, clock, job, progress)
        return clock() + INTERVAL

    await run_jobs(database, KIND, work, limits=Limits(parallel=1, longest=6 * 3600.0))


async def import_signatures(
    database: Database,
    store: ObjectStore,
    gateway: Gateway,
    clock: Callable[[], float],
    job: Job,
    progress: Progress,
) -> None:
    """Go through all images from the job's position on."""
    going = _Round(gateway.registries(urgency=Urgency.BACKGROUND))
    after, done, added = job.position, job.done if job.position else 0, 0
    while True:
        page = await store.list(IMAGES.key, "", after=("", after) if after else None, limit=PAGE)
        for image in signable(page.documents):
            for content in await going.signatures(image):
                added += await database.write(_signing(image, content, clock()))
        done += len(page.documents)
        after = page.documents[-1].key.name if page.more else ""
        await progress.tell(position=after, done=done)
        if not page.more:
            break
    if added:
        _LOG.info("found %d new signatures of imported images", added)


def _signing(image: Signable, content: bytes, now: float) -> Callable[[Transaction], bool]:
    return lambda tx: sign(tx, image.digest, image.location, content, now)
