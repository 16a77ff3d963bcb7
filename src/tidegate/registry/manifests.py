"""Manifests and indexes: pull, push, delete (distribution-spec, end-3, end-7 and end-9).

What is pushed is what is pulled: bytes and media type are kept as they came. A push is one
transaction: the blobs are checked, the manifest and its links are written, and the stream gets the
image and an event for each tag (`images.pushes`), or nothing happens. So is a delete.
"""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.images import deletes, point_in_time, pushes
from tidegate.images.kinds.image import Image
from tidegate.images.pushes import ImageGone, Pushed
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.opening import opened
from tidegate.images.streams.stream import PUSH, Actor, Stream
from tidegate.metastore import links, manifests, projects, tag_events, tags
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, DigestMismatch, ManifestInvalid, TagInvalid
from tidegate.oci.manifest import MANIFEST_LIMIT, Manifest, parse_manifest
from tidegate.oci.name import Reference, RepositoryName, Tag
from tidegate.registry.conditions import etag, none_match
from tidegate.registry.errors import (
    ManifestBlobsUnknown,
    ManifestInUse,
    ManifestTooLarge,
    ManifestUnknown,
    MethodNotAllowed,
    TooManyTags,
)
from tidegate.registry.names import require_pushable
from tidegate.registry.pull_through.service import PullThrough
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Response, warning
from tidegate.storage.blobs import BlobStore
from tidegate.wire.errors import BodyTooLarge

TAG_LIMIT = 100
"""`tag` parameters in one push."""

_WARNINGS = 8
"""Told in one answer: each may be a header of 4 KiB."""


@dataclass(frozen=True, slots=True)
class Pusher:
    """Who pushes, and whether she may make a stream that is not there."""

    name: str
    may_create: bool = False


class Manifests:
    """The manifest endpoint. `sparse` accepts images whose blobs are not there yet."""

    def __init__(
        self,
        database: Database,
        store: BlobStore,
        hosts: Hosts,
        through: PullThrough | None = None,
        *,
        sparse: bool = False,
    ) -> None:
        """`through` has what is named here and kept in other registries."""
        self._through = through
        self._database = database
        self._store = store
        self._hosts = hosts
        self._sparse = sparse

    async def pull(
        self, request: Request, repository: RepositoryName, reference: Reference
    ) -> Response:
        """GET and HEAD, by tag or digest; what is stored is served whatever `Accept` says.

        A registry that converts or hides by `Accept` breaks artifacts; clients check the type.
        """
        if isinstance(reference, Digest):
            stored = await manifests.by_digest(self._database, repository, reference)
        else:
            stored = await manifests.by_tag(self._database, repository, reference)
            if stored is None:
                stored = await self._as_it_was(repository, reference)
        if stored is None and self._through is not None:
            stored = await self._through.manifests.pull(request, repository, reference)
        if stored is None:
            raise ManifestUnknown(f"{repository} has no manifest {reference}")
        return answered(request, stored)

    async def _as_it_was(
        self, repository: RepositoryName, tag: Tag
    ) -> manifests.StoredManifest | None:
        """What `TAG.at-TIME` means: the tag at the end of that second, so that an event counts
        whose time, which is shown in whole seconds, it is."""
        meant = point_in_time.parse(tag)
        if meant is None:
            return None
        moment = math.nextafter(meant.time + 1, 0)
        digest = await tag_events.as_of(self._database, repository, Tag(meant.tag), moment)
        if digest is None:
            return None
        return await manifests.by_digest(self._database, repository, digest)

    async def receive(self, request: Request) -> bytes:
        """The manifest in the body of a PUT."""
        try:
            return await request.body(MANIFEST_LIMIT)
        except BodyTooLarge as error:
            raise ManifestTooLarge(f"a manifest has at most {MANIFEST_LIMIT} bytes") from error

    async def push(
        self,
        request: Request,
        repository: RepositoryName,
        reference: Reference,
        content: bytes,
        pusher: Pusher,
    ) -> Response:
        """PUT: the bytes under their digest, and under the tags that the request names."""
        manifest = parse_manifest(content, request.header(b"content-type"))
        digest, named = _digest_and_tags(request, reference, content)
        config = await self._config(repository, manifest)
        pushed = Pushed(repository, digest, manifest.media_type, content, config, named)
        told = await self._store_pushed(request, pushed, manifest, pusher)
        return _pushed(repository, reference, digest, named, manifest, told)

    async def _config(self, repository: RepositoryName, manifest: Manifest) -> Digest | None:
        """The configuration, as far as the repository may read it or the push is refused."""
        if manifest.config is None:
            return None
        digest = manifest.config.digest
        if self._sparse and await links.size(self._database, repository, digest) is None:
            return None
        return digest

    async def _store_pushed(
        self, request: Request, pushed: Pushed, manifest: Manifest, pusher: Pusher
    ) -> list[str]:
        """The unit of a push, once more if the Image that it counted on has just been deleted, or
        if blobs that an imported image of the repository has are to be taken over first."""
        adopted = False
        while True:
            now = time.time()
            image = await pushes.prepare(self._database, self._store, self._hosts, pushed, now)
            try:
                return await self._database.write(
                    self._push_unit(pushed, manifest, pusher, image, now)
                )
            except ImageGone:
                continue
            except ManifestBlobsUnknown as error:
                if adopted or self._through is None:
                    raise
                adopted = True
                found = await self._through.adopting.adopt(
                    request, pushed.repository, error.missing
                )
                if not found:
                    raise

    def _push_unit(
        self, pushed: Pushed, manifest: Manifest, pusher: Pusher, image: Image | None, now: float
    ) -> Callable[[Transaction], list[str]]:
        repository = pushed.repository
        stored = _record(pushed.digest, pushed.content, manifest)
        children = list(stored.children)

        def put(tx: Transaction) -> list[str]:
            require_pushable(repository.project, projects.require(tx, repository.project))
            blobs = self._check_blobs(tx, repository, manifest)
            stream = pushes.stream_for(tx, repository, now, may_create=pusher.may_create)
            appeared: set[Digest] = set()
            known = pushes.find_image(tx, pushed.digest)
            if known is not None:  # which events can name
                appeared = {pushed.digest} - manifests.known(tx, repository, [pushed.digest])
            manifests.put(tx, repository, stored, (), now, blobs)
            appeared |= manifests.revive(tx, repository, children)
            told = _of_absent(
                manifest, len(children) - len(manifests.known(tx, repository, children))
            )
            pushes.show_again(stream, appeared, now)
            actor = Actor(pusher.name, PUSH, now)
            return told + pushes.record(stream, pushed, image, known, actor)

        return put

    async def tags_of(self, repository: RepositoryName, reference: Reference) -> list[Tag]:
        """The tags that a delete of `reference` would take with it."""
        if isinstance(reference, Tag):
            return [reference]
        return await tags.naming(self._database, repository, reference)

    async def delete(
        self, repository: RepositoryName, reference: Reference, foreseen: Sequence[Tag], user: str
    ) -> Response:
        """DELETE: a tag alone, or a manifest with every tag that points at it.

        `foreseen` are the tags that the client was found to be allowed to delete: one that came to
        name the manifest since is not taken along.
        """
        actor = Actor(user, tag_events.DELETE, time.time())

        def delete(tx: Transaction) -> list[str]:
            stream = opened(tx, repository)
            if isinstance(reference, Digest):
                _delete_manifest(tx, stream, repository, reference, foreseen, actor)
            else:
                _delete_tag(tx, stream, repository, reference, actor)
            return [] if stream is None else stream.warnings

        told = await self._database.write(delete)
        return Response(202, _warnings(told))

    def _check_blobs(
        self, tx: Transaction, repository: RepositoryName, manifest: Manifest
    ) -> dict[Digest, links.Link]:
        """Every blob is in this repository with the size that the manifest says.

        A deleted link counts: storing the manifest revives it, so that a client which has just
        been told that the blob exists does not fail.
        """
        wanted = list(dict.fromkeys(blob.digest for blob in manifest.blobs))
        found = links.find(tx, repository, wanted)
        missing = [digest for digest in wanted if digest not in found]
        if missing and not self._sparse:
            raise ManifestBlobsUnknown(missing)
        for blob in manifest.blobs:  # one may be named twice, and with two sizes
            link = found.get(blob.digest)
            if link is not None and blob.size != link.size:
                said = f"{blob.digest} has {blob.size} bytes"
                raise ManifestInvalid(f"the manifest says that {said}, it has {link.size}")
        return found


def answered(
    request: Request, stored: manifests.StoredManifest, more: Sequence[tuple[bytes, bytes]] = ()
) -> Response:
    """The answer with a manifest, or that the client has it; `more` headers go with either."""
    headers: Headers = [
        (b"docker-content-digest", stored.digest.encode()),
        (b"etag", etag(stored.digest)),
        *more,
    ]
    if none_match(request, stored.digest):
        return Response(304, headers)
    headers.append((b"content-type", stored.media_type.encode()))
    headers.append((b"content-length", str(len(stored.content)).encode()))
    return Response(200, headers, stored.content)


def _delete_tag(
    tx: Transaction, stream: Stream | None, repository: RepositoryName, tag: Tag, actor: Actor
) -> None:
    if stream is None:
        gone = tags.delete(tx, repository, tag, actor.now)
    else:
        gone = deletes.drop_tag(stream, tag, actor)
    if not gone:
        raise ManifestUnknown(f"{repository} has no tag {tag}")


def _delete_manifest(
    tx: Transaction,
    stream: Stream | None,
    repository: RepositoryName,
    digest: Digest,
    foreseen: Sequence[Tag],
    actor: Actor,
) -> None:
    if not set(tags.naming_now(tx, repository, digest)) <= set(foreseen):
        raise ManifestInUse(f"{repository} got another tag for {digest}: try again")
    holders = manifests.users_of(tx, repository, digest)
    if holders:
        raise MethodNotAllowed(
            f"index {holders[0]} of {repository} names this manifest: delete that first"
        )
    if not manifests.known(tx, repository, [digest]):
        raise ManifestUnknown(f"{repository} has no manifest {digest}")
    if stream is not None:
        deletes.drop_image(stream, digest, actor)
    manifests.delete(tx, repository, digest, actor.now)


def _digest_and_tags(
    request: Request, reference: Reference, content: bytes
) -> tuple[Digest, list[Tag]]:
    """Under which digest and tags a push is kept.

    `?tag=` goes with a digest only (distribution-spec, end-7b).
    """
    parameters = request.parameters("tag")
    if len(parameters) > TAG_LIMIT:
        raise TooManyTags(f"{len(parameters)} tags in one request, more than {TAG_LIMIT}")
    if isinstance(reference, Tag):
        if parameters:
            raise DigestInvalid("`?tag=` goes with a push by digest; this one is by tag")
        return Digest.of(content), [_pushable(reference)]
    if not reference.matches(content):
        raise DigestMismatch(
            f"the manifest's digest is {Digest.of(content, reference.algorithm)}, not {reference}"
        )
    return reference, list(dict.fromkeys(_pushable(Tag.parse(text)) for text in parameters))


def _pushable(tag: Tag) -> Tag:
    if point_in_time.is_reserved(tag):
        raise TagInvalid(
            f"{tag} means another tag as it was at a time, and is for pulls alone: push another tag"
        )
    return tag


def _record(digest: Digest, content: bytes, manifest: Manifest) -> manifests.Manifest:
    is_shown = bool(manifest.subject and manifest.annotations)  # in the list of referrers
    return manifests.Manifest(
        digest=digest,
        media_type=manifest.media_type,
        content=content,
        subject=manifest.subject.digest if manifest.subject is not None else None,
        artifact_type=manifest.referrer_type,
        annotations=json.dumps(manifest.annotations) if is_shown else None,
        blobs=tuple(dict.fromkeys(blob.digest for blob in manifest.blobs)),
        children=tuple(dict.fromkeys(child.digest for child in manifest.manifests)),
    )


def _pushed(
    repository: RepositoryName,
    reference: Reference,
    digest: Digest,
    named: Sequence[Tag],
    manifest: Manifest,
    told: Sequence[str],
) -> Response:
    headers: Headers = [
        (b"location", f"/v2/{repository}/manifests/{digest}".encode()),
        (b"docker-content-digest", digest.encode()),
    ]
    if manifest.subject is not None:
        headers.append((b"oci-subject", manifest.subject.digest.encode()))
    if isinstance(reference, Digest):
        headers.extend((b"oci-tag", tag.encode()) for tag in named)
    return Response(201, [*headers, *_warnings(told)])


def _of_absent(manifest: Manifest, absent: int) -> list[str]:
    if not absent:
        return []
    return [f"{absent} of {len(manifest.manifests)} manifests of this index are not here"]


def _warnings(told: Sequence[str]) -> Headers:
    return [warning(text) for text in told[:_WARNINGS]]
