"""Where bytes lie below a store's root.

    blobs/sha256/ab/abcd…          a blob, complete and synced; ab are the first two of 64 digits
    blobs/sha512/ab/abcd…          the same with 128 digits
    uploads/0123456789abcdef…      an upload in progress, named by its session's 32 digits
    quarantine/sha256/ab/abcd…     bytes that no longer have their digest, set aside for a look
    cache/sha256/ab/abcd…          a copy of a blob of another registry, complete and synced
    fills/sha256/abcd…-0123…       such a copy as it grows; 0123… stands for the other registry

A million blobs are 256 directories of four thousand names: small enough to list one at a time.
Copies are not the truth: whatever is in `cache/` and `fills/` may go at any time.
The metadata database and the TLS files lie beside these and are not this room's.
"""

import hashlib
import re

from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid
from tidegate.storage.errors import PathRefused

BLOBS = "blobs/"
UPLOADS = "uploads/"
QUARANTINE = "quarantine/"
CACHE = "cache/"
FILLS = "fills/"

_UPLOAD_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def blob_path(digest: Digest) -> str:
    """Path of a blob's bytes."""
    return BLOBS + _fan_out(digest)


def quarantine_path(digest: Digest) -> str:
    """Path of bytes that lay at `blob_path` and do not have this digest."""
    return QUARANTINE + _fan_out(digest)


def upload_path(upload_id: str) -> str:
    """Path of an upload's bytes; `PathRefused` when the id is not 32 lower-case hex digits."""
    if _UPLOAD_ID.fullmatch(upload_id) is None:
        raise PathRefused(f"{upload_id[:80]!r} is no upload id")
    return UPLOADS + upload_id


def cache_path(digest: Digest) -> str:
    """Path of a copy of a blob that another registry has."""
    return CACHE + _fan_out(digest)


def fill_path(digest: Digest, source: str) -> str:
    """Path of such a copy while it comes in from `source`.

    Each source has a file of its own, so that nobody reads what came from where she may not.
    """
    checked = Digest.parse(digest)
    mark = hashlib.sha256(source.encode()).hexdigest()[:16]
    return f"{FILLS}{checked.algorithm}/{checked.encoded}-{mark}"


def blob_digest(path: str) -> Digest | None:
    """The digest whose bytes belong at `path`; None if `blob_path` cannot have made the path."""
    return _digest_at(path, BLOBS)


def cached_digest(path: str) -> Digest | None:
    """The digest whose copy belongs at `path`; None if `cache_path` cannot have made the path."""
    return _digest_at(path, CACHE)


def upload_id(path: str) -> str | None:
    """The session whose bytes belong at `path`; None if `upload_path` cannot have made it."""
    name = path.removeprefix(UPLOADS)
    return name if _UPLOAD_ID.fullmatch(name) is not None else None


def _digest_at(path: str, tree: str) -> Digest | None:
    algorithm, _, encoded = path.removeprefix(tree).partition("/")
    try:
        digest = Digest.parse(f"{algorithm}:{encoded.rpartition('/')[2]}")
    except DigestInvalid:
        return None
    return digest if tree + _fan_out(digest) == path else None


def _fan_out(digest: Digest) -> str:
    # parsed again: everything below a digest's path trusts that it is one
    checked = Digest.parse(digest)
    return f"{checked.algorithm}/{checked.encoded[:2]}/{checked.encoded}"
