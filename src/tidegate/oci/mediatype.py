"""Media types (image-spec, media-types.md; Docker image manifest v2, schema 2)."""

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})

OCI_EMPTY = "application/vnd.oci.empty.v1+json"
"""Of the configuration of what has none."""

DOCKER_SCHEMA1 = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
    }
)
"""Refused on push: current clients and registries have dropped it."""

DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable."


def is_distributable(media_type: str) -> bool:
    """Whether a layer of this type must be in the registry before a manifest may name it."""
    return not (media_type == DOCKER_FOREIGN_LAYER or media_type.startswith(_NONDISTRIBUTABLE))


def essence(content_type: str) -> str:
    """A Content-Type without its parameters, in lower case (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()
