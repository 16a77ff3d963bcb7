"""Who refers to a manifest (distribution-spec, end-12).

Referrers are rows written when a manifest with a `subject` is pushed, so a list is complete and
current by itself; a fallback-tag index that a client pushed adds nothing, because each manifest it
lists was pushed here with its subject and is a row already.
"""

from urllib.parse import quote

import msgspec

from tidegate.metastore import manifests
from tidegate.metastore.database import Database
from tidegate.metastore.manifests import Referrer
from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.registry.request import Request
from tidegate.registry.response import Headers, Response, encode_json, link_to_next

_PAGE_BYTES = 3 * 1024 * 1024
"""Clients read a page as a manifest, of which 4 MiB is all they are sure to accept."""
_PAGE_ROWS = 500


class Referrers:
    """The referrers endpoint."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, request: Request, repository: RepositoryName, subject: Digest) -> Response:
        """GET: an index of what refers to `subject`; empty, never 404, for a valid digest."""
        wanted = request.parameter("artifactType") or None
        after = request.parameter("last") or ""
        rows = await manifests.referrers(
            self._database, repository, subject, wanted, after[:160], _PAGE_ROWS
        )
        descriptors: list[bytes] = []
        size = 0
        for row in rows:
            descriptor = _descriptor(row)
            size += len(descriptor)
            if descriptors and size > _PAGE_BYTES:
                break
            descriptors.append(descriptor)
        headers: Headers = [(b"content-type", mediatype.OCI_INDEX.encode())]
        if wanted is not None:
            headers.append((b"oci-filters-applied", b"artifactType"))
        if len(descriptors) < len(rows) or len(rows) == _PAGE_ROWS:
            path = f"/v2/{repository}/referrers/{subject}"
            query: dict[str, str | int] = {"last": rows[len(descriptors) - 1].digest}
            if wanted is not None:
                query["artifactType"] = quote(wanted, safe="")
            headers.append(link_to_next(path, query))
        return Response(200, headers, _index(descriptors))


def _descriptor(row: Referrer) -> bytes:
    fields: dict[str, object] = {
        "mediaType": row.media_type,
        "digest": row.digest,
        "size": row.size,
    }
    if row.artifact_type is not None:
        fields["artifactType"] = row.artifact_type
    if row.annotations is not None:
        fields["annotations"] = msgspec.Raw(row.annotations.encode())
    return encode_json(fields)


def _index(descriptors: list[bytes]) -> bytes:
    return encode_json(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_INDEX,
            "manifests": [msgspec.Raw(descriptor) for descriptor in descriptors],
        }
    )
