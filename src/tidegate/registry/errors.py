"""The error codes of the distribution API, and which exception becomes which answer.

Look-up follows an exception's class ancestry. What is not listed is a 500 whose text stays in the
log. Codes outside the specification's list are those that real clients meet (DENIED's kin).
"""

from collections.abc import Sequence
from typing import NamedTuple

from tidegate.auth.errors import HostInvalid
from tidegate.images.streams.errors import ImageHeld, StreamMissing, StreamRefused
from tidegate.metastore.errors import MetastoreBusy, MetastoreFull, MetastoreUnavailable
from tidegate.metastore.projects import ProjectGone
from tidegate.oci.digest import Digest
from tidegate.oci.errors import (
    DigestInvalid,
    DigestMismatch,
    ManifestInvalid,
    NameInvalid,
    RangeInvalid,
    SizeMismatch,
    TagInvalid,
)
from tidegate.registry.response import Headers, Response, json_response
from tidegate.storage.errors import BlobMissing, StorageFull, UploadBusy, UploadTruncated
from tidegate.wire.errors import BodyStalled, BodyTooLarge


class RegistryError(Exception):
    """A refusal that this room states itself; `headers` go with the answer.

    `claimed` is whom credentials that prove nobody named, for the audit log alone.
    """

    def __init__(
        self, message: str = "", headers: Headers | None = None, claimed: str = ""
    ) -> None:
        super().__init__(message)
        self.headers = headers or []
        self.claimed = claimed


class BlobUnknown(RegistryError):
    """The repository has no such blob."""


class ManifestUnknown(RegistryError):
    """The repository has no such manifest."""


class RepositoryUnknown(RegistryError):
    """There is no such repository."""


class UploadUnknown(RegistryError):
    """No such upload session in this repository, or it has expired."""


class UploadInUse(RegistryError):
    """Another request is writing to the upload session."""


class ChunkOutOfOrder(RegistryError):
    """A chunk that does not start where the upload stands."""


class RangeUnsatisfiable(RegistryError):
    """A range that has no byte of the blob."""


class PaginationInvalid(RegistryError):
    """`n` is no number of entries."""


class ManifestTooLarge(RegistryError):
    """A manifest over the limit."""


class TooManyTags(RegistryError):
    """More `tag` parameters than one request may have."""


class MethodNotAllowed(RegistryError):
    """The endpoint has no such method."""


class EndpointUnknown(RegistryError):
    """No endpoint has this path."""


class Unauthorized(RegistryError):
    """No credentials, wrong ones, or a token of too narrow a scope."""


class Denied(RegistryError):
    """The identity lacks the right."""


class SignatureInvalid(RegistryError):
    """A body that is no signature of the image it was sent for."""


class SignatureExists(RegistryError):
    """The image has such a signature already."""


class ManifestInUse(RegistryError):
    """Somebody tagged the manifest while it was being deleted."""


class TooManyRequests(RegistryError):
    """The client has to wait."""


class PullThroughFailed(RegistryError):
    """A manifest that is in another registry, which did not give it."""


class ManifestBlobsUnknown(RegistryError):
    """A manifest that names blobs which the repository does not have."""

    def __init__(self, missing: Sequence[Digest]) -> None:
        super().__init__("blob unknown to registry")
        self.missing = missing


class ErrorCode(NamedTuple):
    """How one kind of exception is answered; its own text, if any, replaces `message`."""

    exception: type[Exception]
    status: int
    code: str
    message: str


ERRORS = (
    ErrorCode(BlobUnknown, 404, "BLOB_UNKNOWN", "blob unknown to registry"),
    ErrorCode(BlobMissing, 404, "BLOB_UNKNOWN", "blob unknown to registry"),
    ErrorCode(UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN", "upload session unknown or expired"),
    ErrorCode(UploadTruncated, 404, "BLOB_UPLOAD_INVALID", "upload lost its bytes: start again"),
    ErrorCode(UploadInUse, 409, "BLOB_UPLOAD_INVALID", "another request writes to this upload"),
    ErrorCode(UploadBusy, 409, "BLOB_UPLOAD_INVALID", "another request writes to this upload"),
    ErrorCode(DigestMismatch, 400, "DIGEST_INVALID", "content does not match the digest"),
    ErrorCode(DigestInvalid, 400, "DIGEST_INVALID", "invalid digest"),
    ErrorCode(SizeMismatch, 400, "SIZE_INVALID", "length does not match the content"),
    ErrorCode(ChunkOutOfOrder, 416, "RANGE_INVALID", "chunk does not continue the upload"),
    ErrorCode(RangeUnsatisfiable, 416, "RANGE_INVALID", "invalid range"),
    ErrorCode(RangeInvalid, 416, "RANGE_INVALID", "invalid range"),
    ErrorCode(ManifestBlobsUnknown, 400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry"),
    ErrorCode(ManifestInvalid, 400, "MANIFEST_INVALID", "manifest invalid"),
    ErrorCode(ManifestTooLarge, 413, "MANIFEST_INVALID", "manifest too large"),
    ErrorCode(ManifestUnknown, 404, "MANIFEST_UNKNOWN", "manifest unknown"),
    ErrorCode(
        PullThroughFailed,
        404,  # by which clients show the text
        "OPENSHIFT_PULLTHROUGH_MANIFEST",
        "unable to pull manifest from the registry that has it",
    ),
    ErrorCode(NameInvalid, 400, "NAME_INVALID", "invalid repository name"),
    ErrorCode(RepositoryUnknown, 404, "NAME_UNKNOWN", "repository name not known to registry"),
    ErrorCode(TagInvalid, 400, "TAG_INVALID", "invalid tag"),
    ErrorCode(TooManyTags, 414, "TAG_INVALID", "too many tags in one request"),
    ErrorCode(PaginationInvalid, 400, "PAGINATION_NUMBER_INVALID", "invalid number of results"),
    ErrorCode(HostInvalid, 400, "UNSUPPORTED", "the Host header names no host"),
    ErrorCode(Unauthorized, 401, "UNAUTHORIZED", "authentication required"),
    ErrorCode(Denied, 403, "DENIED", "requested access to the resource is denied"),
    ErrorCode(MethodNotAllowed, 405, "UNSUPPORTED", "the operation is unsupported"),
    ErrorCode(EndpointUnknown, 404, "UNSUPPORTED", "no endpoint of the registry has this path"),
    ErrorCode(SignatureInvalid, 400, "SIGNATURE_INVALID", "invalid image signature"),
    ErrorCode(SignatureExists, 409, "SIGNATURE_EXISTS", "manifest signature already exists"),
    ErrorCode(ImageHeld, 405, "UNSUPPORTED", "the image is held"),
    ErrorCode(ManifestInUse, 409, "UNSUPPORTED", "the manifest was tagged meanwhile"),
    ErrorCode(ProjectGone, 403, "DENIED", "requested access to the resource is denied"),
    ErrorCode(StreamRefused, 403, "DENIED", "requested access to the resource is denied"),
    ErrorCode(StreamMissing, 403, "DENIED", "requested access to the resource is denied"),
    ErrorCode(TooManyRequests, 429, "TOOMANYREQUESTS", "too many requests"),
    ErrorCode(BodyTooLarge, 413, "SIZE_INVALID", "request too large"),
    ErrorCode(BodyStalled, 408, "BLOB_UPLOAD_INVALID", "the body stopped arriving"),
    ErrorCode(StorageFull, 507, "UNAVAILABLE", "the registry's storage is full: nothing was kept"),
    ErrorCode(MetastoreFull, 507, "UNAVAILABLE", "the registry's storage is full"),
    ErrorCode(MetastoreBusy, 503, "UNAVAILABLE", "the registry is overloaded"),
    ErrorCode(MetastoreUnavailable, 503, "UNAVAILABLE", "the metadata database is out of reach"),
)

_BY_EXCEPTION = {each.exception: each for each in ERRORS}

_OWN_TEXT = (RegistryError, StreamRefused, StreamMissing, HostInvalid, ValueError)
"""Exceptions whose text is a sentence for the client; the others' may name paths and hosts."""


def answer(error: Exception) -> Response | None:
    """The error body for a listed exception; None for one that nobody foresaw."""
    for kind in type(error).__mro__:
        known = _BY_EXCEPTION.get(kind)
        if known is not None:
            return _answer(error, known)
    return None


def error_response(
    status: int, code: str, message: str, headers: Headers | None = None
) -> Response:
    """An error body as the specification draws it (distribution-spec, "Error Codes")."""
    return json_response(
        status, {"errors": [{"code": code, "message": message, "detail": None}]}, headers or []
    )


def _answer(error: Exception, known: ErrorCode) -> Response:
    if isinstance(error, ManifestBlobsUnknown):
        entries = [
            {"code": known.code, "message": known.message, "detail": {"digest": digest}}
            for digest in error.missing
        ]
        return json_response(known.status, {"errors": entries})
    text = str(error) if isinstance(error, _OWN_TEXT) else ""
    headers = error.headers if isinstance(error, RegistryError) else []
    return error_response(known.status, known.code, text or known.message, headers)
