"""Tags that belong to an image instead of naming one: cosign's, and those of old referrers lists.

sha256-HEX.sig  .att  .sbom     cosign: signatures, attestations, SBOMs of sha256:HEX
sha256-HEX                      index of what refers to sha256:HEX, in registries without a
                                referrers list (distribution-spec, "Referrers Tag Schema")
"""

import json
import re

from tidegate.oci import mediatype
from tidegate.oci.digest import Digest

COSIGN = (".sig", ".att", ".sbom")

_ATTACHED = re.compile(r"(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{64,115})(\.[a-z]+)?", re.ASCII)

_ALGORITHM_LIMIT, _ENCODED_LIMIT = 32, 64


def is_attached(tag: str) -> bool:
    """Whether a tag is copied with the image that it is about, not for itself."""
    return _ATTACHED.fullmatch(tag) is not None


def cosign_tags(subject: Digest) -> list[str]:
    """The tags under which cosign keeps what it knows of a manifest."""
    start = f"{subject.algorithm}-{subject.encoded}"
    return [start + suffix for suffix in COSIGN if len(start + suffix) <= 128]


def fallback_tag(subject: Digest) -> str:
    """The tag of the list of what refers to a manifest."""
    return f"{subject.algorithm[:_ALGORITHM_LIMIT]}-{subject.encoded[:_ENCODED_LIMIT]}"


def fallback_index(before: bytes | None, descriptors: list[dict[str, object]]) -> bytes:
    """A list of referrers with these, each once, behind those that it had."""
    listed: list[object] = []
    if before is not None:
        document = json.loads(before)
        listed = [each for each in document.get("manifests") or [] if isinstance(each, dict)]
    known = {each.get("digest") for each in listed if isinstance(each, dict)}
    listed += [each for each in descriptors if each["digest"] not in known]
    document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": listed}
    return json.dumps(document, separators=(",", ":")).encode()
