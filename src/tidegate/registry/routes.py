"""Which endpoint a path under `/v2/` names.

Matched from the right, because a repository name may contain the endpoints' own words. Nothing is
percent-decoded across a slash: `%2f` in a name stays an invalid character, never a separator.
"""

from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote


class Endpoint(Enum):
    """The distribution specification's endpoints, the listing of repositories, pruning."""

    ROOT = "root"
    CATALOG = "catalog"
    BLOB = "blob"
    UPLOADS = "uploads"
    UPLOAD = "upload"
    MANIFEST = "manifest"
    TAGS = "tags"
    REFERRERS = "referrers"
    ADMIN_BLOB = "admin blob"
    METRICS = "metrics"
    SIGNATURES = "signatures"
    NOWHERE = "nowhere"


class Route(NamedTuple):
    """An endpoint, the repository name as sent, and the last part: digest, tag or upload id."""

    endpoint: Endpoint
    repository: str = ""
    reference: str = ""


ADMIN_BLOBS = "/admin/blobs/"
"""Where OpenShift's pruner asks for the bytes of a blob to be removed."""

EXTENSIONS = "/extensions/v2/"
"""What OpenShift's registry has beside the specification."""

METRICS = f"{EXTENSIONS}metrics"
"""Where OpenShift's registry shows its metrics."""

NOWHERE = Route(Endpoint.NOWHERE)

_BY_WORD = {
    "blobs": Endpoint.BLOB,
    "manifests": Endpoint.MANIFEST,
    "referrers": Endpoint.REFERRERS,
}


def match(path: str) -> Route:
    """The route of a path that the registry serves; NOWHERE if it is no endpoint's."""
    if path in ("/v2/", "/v2"):
        return Route(Endpoint.ROOT)
    if path == "/v2/_catalog":
        return Route(Endpoint.CATALOG)
    if path == METRICS:
        return Route(Endpoint.METRICS)
    if path.startswith(EXTENSIONS):
        name, _, reference = path[len(EXTENSIONS) :].rpartition("/")
        name, _, word = name.rpartition("/")
        found = word == "signatures" and name and reference
        return _route(Endpoint.SIGNATURES, name, reference) if found else NOWHERE
    if path.startswith(ADMIN_BLOBS):
        return _route(Endpoint.ADMIN_BLOB, "", path[len(ADMIN_BLOBS) :])
    name, _, reference = path[len("/v2/") :].rpartition("/")
    name, _, word = name.rpartition("/")
    if word == "uploads" and name.endswith("/blobs"):
        return _route(Endpoint.UPLOAD if reference else Endpoint.UPLOADS, name[:-6], reference)
    if not name:
        return NOWHERE
    if word == "tags" and reference == "list":
        return _route(Endpoint.TAGS, name, "")
    if word == "blobs" and reference == "uploads":
        return _route(Endpoint.UPLOADS, name, "")
    endpoint = _BY_WORD.get(word)
    return _route(endpoint, name, reference) if endpoint is not None and reference else NOWHERE


def _route(endpoint: Endpoint, name: str, reference: str) -> Route:
    if "%" in reference:  # some clients send the colon of a digest as %3A
        decoded = unquote(reference, errors="replace")
        reference = reference if "/" in decoded else decoded
    return Route(endpoint, name, reference)
