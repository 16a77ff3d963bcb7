"""The group and version that all kinds of this room belong to, and the annotations they share."""

GROUP = "image.openshift.io"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

MANAGED = "openshift.io/image.managed"
"""Annotation of an Image whose content lives in this registry."""

MANIFEST_BLOB_STORED = "image.openshift.io/manifestBlobStored"
"""Annotation of an Image whose manifest and config are kept as content, not in the object."""

LAYERS_ORDER = "image.openshift.io/dockerLayersOrder"
"""Annotation of an Image: `ascending` when its layers begin with the base."""
ASCENDING, DESCENDING = "ascending", "descending"

REPOSITORY_CHECK = "openshift.io/image.dockerRepositoryCheck"
"""Annotation of an image stream: when it was last imported."""

INSECURE_REPOSITORY = "openshift.io/image.insecureRepository"
"""Annotation of an image stream: `true` when its repository may be read without good TLS."""
