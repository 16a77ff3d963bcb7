"""A manifest on its way into a stream of this registry: what a push of it does, and who told it so.

One unit: its blobs are looked for, it is stored with what it uses, the stream has its Image, and
each tag an event that says that it was imported, and from where.
"""

import json
from functools import partial

from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.delivery.mirrors.places import Held
from tidegate.images import point_in_time, pushes
from tidegate.images.kinds.image import Image
from tidegate.images.pushes import ImageGone, Pushed
from tidegate.images.streams.stream import IMPORT, Actor, Change, Stream
from tidegate.metastore import links, manifests, projects, tags
from tidegate.metastore.database import Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import OciError
from tidegate.oci.manifest import parse_manifest
from tidegate.oci.name import RepositoryName, Tag


class LocalManifest:
    """One manifest for one repository. `who` is what the history names, `origin` the source."""

    def __init__(
        self, local: Local, repository: RepositoryName, who: str, held: Held, origin: str
    ) -> None:
        self._local = local
        self._repository = repository
        self._who = who
        self._held = held
        self._origin = origin
        try:
            self._parsed = parse_manifest(held.content, held.media_type)
        except OciError as error:
            raise NotCopied(f"{held.digest} cannot be kept: {error}") from error

    async def push(self, named: list[Tag]) -> None:
        """Store it, and let the tags name it.

        Raises `NotCopied`, `StreamRefused` and `ProjectGone`.
        """
        held, local = self._held, self._local
        for tag in named:
            if point_in_time.is_reserved(tag):
                raise NotCopied(f"{tag} means another tag as it was at a time: nobody may push it")
        config = None if self._parsed.config is None else self._parsed.config.digest
        pushed = Pushed(self._repository, held.digest, held.media_type, held.content, config, named)
        while True:
            now = local.clock()
            image = await pushes.prepare(local.database, local.store, local.hosts, pushed, now)
            try:
                await local.database.write(partial(self._put, named=named, image=image, now=now))
            except ImageGone:
                continue
            return

    def _put(self, tx: Transaction, *, named: list[Tag], image: Image | None, now: float) -> None:
        name, digest = self._repository, self._held.digest
        projects.require(tx, name.project)
        found = self._blobs(tx)
        stream = pushes.stream_for(tx, name, now, may_create=True)
        stored = self._stored()
        appeared = {digest} - manifests.known(tx, name, [digest])
        manifests.put(tx, name, stored, (), now, found)
        appeared |= manifests.revive(tx, name, list(stored.children))
        pushes.show_again(stream, appeared, now)
        stream.rules.check_image(pushes.keep_image(tx, digest, image))
        self._tag(stream, named, now)
        stream.save()
        stream.rules.check_storage(tx)

    def _tag(self, stream: Stream, named: list[Tag], now: float) -> None:
        digest = self._held.digest
        reference = f"/{self._repository}@{digest}"
        change = Change(reference, digest, stream.generation, source=self._origin)
        for tag in named:
            if not stream.record(tag, change, Actor(self._who, IMPORT, now)):
                tags.lead(stream.tx, stream.repository_id, tag, digest, now)

    def _blobs(self, tx: Transaction) -> dict[Digest, links.Link]:
        """Every blob is in this repository, with the size that the manifest says."""
        found = links.find(tx, self._repository, [each.digest for each in self._parsed.blobs])
        for blob in self._parsed.blobs:
            link = found.get(blob.digest)
            if link is None or link.size != blob.size:
                raise NotCopied(f"{self._repository} has no {blob.digest} of {blob.size} bytes")
        return found

    def _stored(self) -> manifests.Manifest:
        held, parsed = self._held, self._parsed
        is_shown = bool(parsed.subject and parsed.annotations)  # in the list of referrers
        return manifests.Manifest(
            digest=held.digest,
            media_type=held.media_type,
            content=held.content,
            subject=None if parsed.subject is None else parsed.subject.digest,
            artifact_type=parsed.referrer_type,
            annotations=json.dumps(parsed.annotations) if is_shown else None,
            blobs=tuple(dict.fromkeys(each.digest for each in parsed.blobs)),
            children=tuple(dict.fromkeys(each.digest for each in parsed.manifests)),
        )
