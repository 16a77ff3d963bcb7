"""Image: what the API says of one manifest. Its name is the manifest's digest.

What was derived from the manifest is never changed by an update: a client that sends something else
gets the old values back, silently, as clients of OpenShift expect.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Meta, field
from msgspec.structs import replace

from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, doc
from tidegate.apimachinery.names import path_segment_faults
from tidegate.apimachinery.resource import Column, Resource, Strategy, Subresource
from tidegate.images.kinds.content import ImageLayer, ImageManifest, described
from tidegate.images.kinds.group import (
    ASCENDING,
    DESCENDING,
    GROUP,
    LAYERS_ORDER,
    MANIFEST_BLOB_STORED,
    VERSION,
)
from tidegate.images.kinds.image_signature import ImageSignature, signature_faults
from tidegate.oci.digest import Digest
from tidegate.oci.mediatype import MANIFESTS
from tidegate.oci.pull_spec import PullSpec, PullSpecInvalid, is_digest

__all__ = [
    "IMAGES",
    "METADATA_VERSION",
    "Image",
    "ImageLayer",
    "ImageManifest",
    "ImageUndelete",
    "image_faults",
    "image_name_fault",
    "prepare_image",
]

METADATA_VERSION = "1.0"
"""Of dockerImageMetadata, the only one there is."""


_SIGNATURES = Meta(
    description="All signatures of the image.",
    extra_json_schema={
        "x-kubernetes-patch-strategy": "merge",
        "x-kubernetes-patch-merge-key": "name",
    },
)
"""Merged by a key that the original declares and no signature has: server-side apply, which needs
the key, has the list as a whole."""


class Image(Object):
    """Image describes a container image by the content that a registry holds of it.

    Its name is the digest of its manifest. Images are made by pushes and imports and never change
    in what they say of the content; image streams refer to them.
    """

    docker_image_reference: Annotated[str, doc("The pull spec under which it was found.")] = ""
    docker_image_metadata: Annotated[
        dict[str, Any],
        doc("What the image's configuration says, as a DockerImage object.", replace=True),
    ] = field(default_factory=dict)
    docker_image_metadata_version: Annotated[
        str, doc("Version of dockerImageMetadata, 1.0 unless something else is said.")
    ] = ""
    docker_image_manifest: Annotated[
        str, doc("The manifest as JSON, where it is not kept as content.")
    ] = ""
    docker_image_layers: Annotated[
        list[ImageLayer], doc("Its layers, the base first; none for an index.")
    ] = field(default_factory=list)
    signatures: Annotated[list[ImageSignature], _SIGNATURES] = field(default_factory=list)
    docker_image_signatures: Annotated[
        list[str],
        doc("Signatures inside a manifest of schema 1, deprecated.", format="byte"),
    ] = field(default_factory=list)
    docker_image_manifest_media_type: Annotated[str, doc("Media type of the manifest.")] = ""
    docker_image_config: Annotated[
        str, doc("The configuration as JSON, where it is not kept as content.")
    ] = ""
    docker_image_manifests: Annotated[
        list[ImageManifest], doc("The manifests of an index; then there are no layers.")
    ] = field(default_factory=list)


class ImageUndelete(Object):
    """ImageUndelete brings back a deleted image as it was; the answer is the Image."""


def image_faults(image: Image, path: str = "") -> list[FieldError]:
    """What is wrong with an image, which is at `path` (`image.`) of what is written."""
    faults = []
    reference = image.docker_image_reference
    if not reference:
        faults.append(required(f"{path}dockerImageReference"))
    else:
        try:
            PullSpec.parse(reference)
        except PullSpecInvalid as error:
            faults.append(invalid(f"{path}dockerImageReference", reference, str(error)))
    for number, each in enumerate(image.signatures):
        faults += signature_faults(each, f"{path}signatures[{number}].")
    if image.docker_image_manifests and image.docker_image_layers:
        why = "dockerImageLayers should not be set when dockerImageManifests is set"
        faults.append(invalid(f"{path}dockerImageLayers", "<layers>", why))
    for number, manifest in enumerate(image.docker_image_manifests):
        faults += _manifest_faults(manifest, f"{path}dockerImageManifests[{number}]")
    return faults


def _manifest_faults(manifest: ImageManifest, path: str) -> list[FieldError]:
    faults = []
    if not is_digest(manifest.digest):
        why = "digest does not conform with OCI image specification"
        faults.append(invalid(f"{path}.digest", manifest.digest, why))
    if not manifest.architecture:
        faults.append(required(f"{path}.architecture"))
    if not manifest.os:
        faults.append(required(f"{path}.os"))
    if manifest.manifest_size < 0:
        why = "manifest size cannot be negative"
        faults.append(invalid(f"{path}.size", manifest.manifest_size, why))
    return faults


def image_name_fault(name: str) -> str | None:
    return next(iter(path_segment_faults(name)), None)


def prepare_image(new: Image, old: Image | None) -> None:
    """Derive on create what the manifest says; on update keep it, and refuse other texts.

    Manifest and configuration may be taken away, or given as long as they are the right ones.
    """
    new.metadata.owner_references = []  # it goes when nothing holds it, not with an owner
    _put_base_first(new)
    if old is not None:
        _keep(new, old)
    _derive(new)
    if new.metadata.annotations.get(MANIFEST_BLOB_STORED) == "true":
        new.docker_image_manifest = new.docker_image_config = ""
    new.docker_image_metadata_version = new.docker_image_metadata_version or METADATA_VERSION


def _put_base_first(new: Image) -> None:
    """Old registries listed the layers of schema 2 and OCI from the top."""
    if not new.docker_image_layers:
        return
    unsaid = DESCENDING if new.docker_image_manifest_media_type in MANIFESTS else ASCENDING
    if new.metadata.annotations.get(LAYERS_ORDER, unsaid) == DESCENDING:
        new.docker_image_layers = new.docker_image_layers[::-1]
    new.metadata.annotations = {**new.metadata.annotations, LAYERS_ORDER: ASCENDING}


def _keep(new: Image, old: Image) -> None:
    new.docker_image_metadata = old.docker_image_metadata
    new.docker_image_metadata_version = old.docker_image_metadata_version
    new.docker_image_layers = old.docker_image_layers
    new.docker_image_manifests = old.docker_image_manifests
    new.docker_image_signatures = old.docker_image_signatures
    if not _is_of(new.docker_image_manifest, old.metadata.name):
        new.docker_image_manifest = old.docker_image_manifest
    if not _is_of(new.docker_image_config, old.docker_image_metadata.get("Id")):
        new.docker_image_config = old.docker_image_config


def _is_of(text: str, digest: object) -> bool:
    return not text or Digest.of(text.encode()) == digest


def _derive(new: Image) -> None:
    if not new.docker_image_manifest:
        return
    found = described(
        new.metadata.name,
        new.docker_image_manifest_media_type,
        new.docker_image_manifest.encode(),
        new.docker_image_config.encode() or None,
    )
    new.docker_image_manifest_media_type = found.media_type
    if not new.docker_image_metadata.get("Size"):
        new.docker_image_metadata = found.metadata
    if not new.docker_image_manifests:
        new.docker_image_manifests = found.manifests
    if found.layers and not new.docker_image_layers:
        new.docker_image_layers = found.layers
        new.metadata.annotations = {**new.metadata.annotations, LAYERS_ORDER: ASCENDING}


def _validate(new: Image, old: Image | None) -> Sequence[FieldError]:
    """On update not the manifests of an index: they were kept, and a push may name no platform."""
    return image_faults(new if old is None else replace(new, docker_image_manifests=[]))


IMAGES = Resource(
    group=GROUP,
    version=VERSION,
    kind="Image",
    plural="images",
    type=Image,
    namespaced=False,
    age=False,
    columns=(
        Column(
            "Image Reference",
            lambda each, _now: each.docker_image_reference,
            "The pull spec under which it was found.",
        ),
    ),
    strategy=Strategy(name_fault=image_name_fault, prepare=prepare_image, validate=_validate),
    subresources={
        "undelete": Subresource(
            verbs=("create",),
            kind="ImageUndelete",
            type=ImageUndelete,
            group=GROUP,
            version=VERSION,
        ),
    },
)
