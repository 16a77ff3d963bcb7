"""Manifests and indexes: pull, push, delete (distribution-spec, end-3, end-7 and end-9).

What is pushed is what is pulled: bytes and media type are kept as they came. A push is one
transaction: the blobs are checked, the manifest, its links and its tags are written, or nothing is.
"""

import json
import time
from collections.abc import Sequence

from tidegate.metastore import links, manifests, projects, tags
from tidegate.metastore.database import Database, Transaction
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid, DigestMismatch, ManifestInvalid
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
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Response, warning
from tidegate.wire.errors import BodyTooLarge

TAG_LIMIT = 100
"""`tag` parameters in one push."""


class Manifests:
    """The manifest endpoint. `sparse` accepts images whose blobs are not there yet."""

    def __init__(self, database: Database, *, sparse: bool = False) -> None:
        self._database = database
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
            raise ManifestUnknown(f"{repository} has no manifest {reference}")
        headers: Headers = [
            (b"docker-content-digest", stored.digest.encode()),
            (b"etag", etag(stored.digest)),
        ]
        if none_match(request, stored.digest):
            return Response(304, headers)
        headers.append((b"content-type", stored.media_type.encode()))
        headers.append((b"content-length", str(len(stored.content)).encode()))
        return Response(200, headers, stored.content)

    async def receive(self, request: Request) -> bytes:
        """The manifest in the body of a PUT."""
        try:
            return await request.body(MANIFEST_LIMIT)
        except BodyTooLarge as error:
            raise ManifestTooLarge(f"a manifest has at most {MANIFEST_LIMIT} bytes") from error

    async def push(
        self, request: Request, repository: RepositoryName, reference: Reference, content: bytes
    ) -> Response:
        """PUT: the bytes under their digest, and under the tags that the request names."""
        manifest = parse_manifest(content, request.header(b"content-type"))
        digest, named = _digest_and_tags(request, reference, content)
        now = time.time()

        def put(tx: Transaction) -> int:
            projects.require(tx, repository.project)
            self._check_blobs(tx, repository, manifest)
            manifests.put(tx, repository, _record(digest, content, manifest), named, now)
            children = {child.digest for child in manifest.manifests}
            manifests.revive(tx, repository, list(children))
            return len(children - manifests.known(tx, repository, list(children)))

        absent = await self._database.write(put)
        return _pushed(repository, reference, digest, named, manifest, absent)

    async def tags_of(self, repository: RepositoryName, reference: Reference) -> list[Tag]:
        """The tags that a delete of `reference` would take with it."""
        if isinstance(reference, Tag):
            return [reference]
        return await tags.naming(self._database, repository, reference)

    async def delete(
        self, repository: RepositoryName, reference: Reference, foreseen: Sequence[Tag]
    ) -> Response:
        """DELETE: a tag alone, or a manifest with every tag that points at it.

        `foreseen` are the tags that the client was found to be allowed to delete: one that came to
        name the manifest since is not taken along.
        """
        now = time.time()
        if isinstance(reference, Digest):
            digest = reference

            def delete(tx: Transaction) -> None:
                if not set(tags.naming_now(tx, repository, digest)) <= set(foreseen):
                    raise ManifestInUse(f"{repository} got another tag for {digest}: try again")
                _delete_manifest(tx, repository, digest, now)
        else:
            tag = reference

            def delete(tx: Transaction) -> None:
                if not tags.delete(tx, repository, tag, now):
                    raise ManifestUnknown(f"{repository} has no tag {tag}")

        await self._database.write(delete)
        return Response(202)

    def _check_blobs(self, tx: Transaction, repository: RepositoryName, manifest: Manifest) -> None:
        """Every blob is in this repository with the size that the manifest says.

        A deleted link counts: storing the manifest revives it, so that a client which has just
        been told that the blob exists does not fail.
        """
        wanted = {blob.digest: blob.size for blob in manifest.blobs}
        sizes = links.sizes(tx, repository, list(wanted))
        missing = [digest for digest in wanted if digest not in sizes]
        if missing and not self._sparse:
            raise ManifestBlobsUnknown(missing)
        for digest, size in sizes.items():
            if wanted[digest] != size:
                raise ManifestInvalid(
                    f"the manifest says that {digest} has {wanted[digest]} bytes, it has {size}"
                )


def _delete_manifest(
    tx: Transaction, repository: RepositoryName, digest: Digest, now: float
) -> None:
    holders = manifests.users_of(tx, repository, digest)
    if holders:
        raise MethodNotAllowed(
            f"index {holders[0]} of {repository} names this manifest: delete that first"
        )
    if not manifests.delete(tx, repository, digest, now):
        raise ManifestUnknown(f"{repository} has no manifest {digest}")


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
        return Digest.of(content), [reference]
    if not reference.matches(content):
        raise DigestMismatch(
            f"the manifest's digest is {Digest.of(content, reference.algorithm)}, not {reference}"
        )
    return reference, list(dict.fromkeys(Tag.parse(text) for text in parameters))


def _record(digest: Digest, content: bytes, manifest: Manifest) -> manifests.Manifest:
    return manifests.Manifest(
        digest=digest,
        media_type=manifest.media_type,
        content=content,
        subject=manifest.subject.digest if manifest.subject is not None else None,
        artifact_type=manifest.referrer_type,
        annotations=json.dumps(manifest.annotations) if manifest.annotations else None,
        blobs=tuple(dict.fromkeys(blob.digest for blob in manifest.blobs)),
        children=tuple(dict.fromkeys(child.digest for child in manifest.manifests)),
    )


def _pushed(
    repository: RepositoryName,
    reference: Reference,
    digest: Digest,
    named: Sequence[Tag],
    manifest: Manifest,
    absent: int,
) -> Response:
    headers: Headers = [
        (b"location", f"/v2/{repository}/manifests/{digest}".encode()),
        (b"docker-content-digest", digest.encode()),
    ]
    if manifest.subject is not None:
        headers.append((b"oci-subject", manifest.subject.digest.encode()))
    if isinstance(reference, Digest):
        headers.extend((b"oci-tag", tag.encode()) for tag in named)
    if absent:
        headers.append(
            warning(f"{absent} of {len(manifest.manifests)} manifests of this index are not here")
        )
    return Response(201, headers)
