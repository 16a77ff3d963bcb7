"""AdmissionReview (admission.k8s.io), v1 and v1beta1: the question read, the answer written.

Knows no image. Invariant: an answer carries the uid and the version of its question, and a patch
and its type come together or not at all; the API server refuses anything else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.apimachinery.errors import ApiError

GROUP = "admission.k8s.io"

_VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")

_UID_LIMIT = 256
"""Characters of a uid that is sent back; the API server's have 36."""


class ReviewInvalid(Exception):
    """What came is no AdmissionReview; the text says why."""


class GroupVersionResource(msgspec.Struct, frozen=True):
    """Which collection an object belongs to."""

    resource: str
    group: str = ""
    version: str = ""


class GroupVersionKind(msgspec.Struct, frozen=True):
    """Which kind an object is of."""

    kind: str
    group: str = ""
    version: str = ""


class AdmissionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """What the API server is about to do; the objects stay raw until somebody needs them."""

    uid: str
    kind: GroupVersionKind
    resource: GroupVersionResource
    operation: str
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")
    old_object: msgspec.Raw = msgspec.Raw(b"null")


class _Review(msgspec.Struct, rename="camel"):
    kind: str
    api_version: str
    request: AdmissionRequest


@dataclass(frozen=True, slots=True)
class Review:
    """A question and the version that it was asked in."""

    api_version: str
    request: AdmissionRequest


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to a review: operations of a JSON patch, or a refusal; and texts for the user."""

    patch: Sequence[dict[str, Any]] = ()
    refusal: ApiError | None = None
    warnings: Sequence[str] = ()


def read_review(body: bytes) -> Review:
    """The question in a request's body; `ReviewInvalid` for anything else."""
    try:
        review = msgspec.json.decode(body, type=_Review)
    except RecursionError as error:
        raise ReviewInvalid("the AdmissionReview is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReviewInvalid(f"the body is no AdmissionReview: {error}") from error
    if review.kind != "AdmissionReview" or review.api_version not in _VERSIONS:
        raise ReviewInvalid(f"send an AdmissionReview of {' or '.join(_VERSIONS)}")
    if not 0 < len(review.request.uid) <= _UID_LIMIT:
        raise ReviewInvalid(f"request.uid has 1 to {_UID_LIMIT} characters")
    return Review(review.api_version, review.request)


def answer_review(review: Review, verdict: Verdict) -> dict[str, Any]:
    """The AdmissionReview to send back; bytes in it are written as base64."""
    response: dict[str, Any] = {
        "uid": review.request.uid,
        "allowed": verdict.refusal is None,
    }
    if verdict.refusal is not None:
        response["status"] = verdict.refusal.status()
    elif verdict.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = msgspec.json.encode(list(verdict.patch))
    if verdict.warnings:
        response["warnings"] = list(verdict.warnings)
    return {"kind": "AdmissionReview", "apiVersion": review.api_version, "response": response}
