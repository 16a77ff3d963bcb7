"""Receipts: what a run copied, for whoever has to show it, and for the next archive.

A JSON document with its own digest, of the document without that field, with sorted keys and no
blanks. It lists all content of every image, however it came to the target, so that the newest one
alone says what the reader of a chain of archives has. Invariant: a receipt whose digest is not its
own is refused.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.delivery.mirrors.copying import Copied, Piece
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.oci.digest import Digest
from tidegate.oci.errors import DigestInvalid

KIND = "MirrorReceipt"
VERSION = "tidegate.io/v1"

RECEIPT_LIMIT = 1 << 30
"""Bytes; a receipt of 100,000 images has some hundred million."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one image; `error` is empty if it was copied."""

    origin: str
    target: str
    copied: Copied | None = None
    error: str = ""

    @property
    def result(self) -> str:
        """One word for it."""
        if self.copied is None:
            return "failed"
        moved = self.copied.moved or any(
            each.how in ("copied", "mounted")
            for each in (*self.copied.manifests, *self.copied.blobs)
        )
        return "copied" if moved else "unchanged"


@dataclass(frozen=True, slots=True)
class Run:
    """What is said of a run beside its images; times are RFC 3339."""

    program: str
    started: str
    finished: str
    builds_on: str = ""


def receipt(run: Run, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = {
        "apiVersion": VERSION,
        "kind": KIND,
        "program": run.program,
        "started": run.started,
        "finished": run.finished,
        "bytes": dict(totals(outcomes)),
        "images": [_image(each) for each in outcomes],
    }
    if run.builds_on:
        document["buildsOn"] = run.builds_on
    document["digest"] = digest_of(document)
    return document


def totals(outcomes: Iterable[Outcome]) -> Counter[str]:
    """Bytes by how they came to the target; each blob once for each target."""
    found: Counter[str] = Counter({"copied": 0, "mounted": 0, "present": 0, "assumed": 0})
    seen: set[tuple[str, Digest]] = set()
    for outcome in outcomes:
        if outcome.copied is None:
            continue
        place = outcome.target.rpartition("@")[0] or outcome.target
        for piece in (*outcome.copied.manifests, *outcome.copied.blobs):
            if (place, piece.digest) not in seen:
                seen.add((place, piece.digest))
                found[piece.how] += piece.size
    return found


def digest_of(document: Mapping[str, Any]) -> str:
    """The digest of a receipt, whatever it says its digest is."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    content = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


class _Content(msgspec.Struct):
    digest: str


class _Listed(msgspec.Struct):
    manifests: list[_Content] = []
    blobs: list[_Content] = []


class _Receipt(msgspec.Struct):
    digest: str
    kind: str
    images: list[_Listed]


@dataclass(frozen=True, slots=True)
class Known:
    """What a reader has by an earlier receipt, and the digest of that."""

    receipt: str
    digests: frozenset[str]


def known_by(content: bytes, where: str) -> Known:
    """Read a receipt; `NotCopied` for what is none, or was changed."""
    try:
        document = json.loads(content)
        found = msgspec.convert(document, _Receipt)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise NotCopied(f"{where} is no receipt of a mirror run") from error
    if found.kind != KIND:
        raise NotCopied(f"{where} is no receipt of a mirror run")
    if digest_of(document) != found.digest:
        raise NotCopied(f"{where} was changed after it was written: its digest is not its own")
    digests = {each.digest for image in found.images for each in (*image.manifests, *image.blobs)}
    try:
        return Known(found.digest, frozenset(Digest.parse(each) for each in digests))
    except DigestInvalid as error:
        raise NotCopied(f"{where}: {error}") from error


def _image(outcome: Outcome) -> dict[str, Any]:
    document: dict[str, Any] = {
        "source": outcome.origin,
        "target": outcome.target,
        "result": outcome.result,
    }
    if outcome.error:
        document["error"] = outcome.error
    if outcome.copied is not None:
        document["digest"] = str(outcome.copied.digest)
        document["manifests"] = [_piece(each) for each in outcome.copied.manifests]
        document["blobs"] = [_piece(each) for each in outcome.copied.blobs]
        if outcome.copied.warnings:
            document["warnings"] = list(outcome.copied.warnings)
    return document


def _piece(piece: Piece) -> dict[str, Any]:
    return {
        "digest": str(piece.digest),
        "mediaType": piece.media_type,
        "size": piece.size,
        "how": piece.how,
    }
