"""ImageStreamImport: asks for images of other registries, and says what became of each.

Its name is the stream's. Written once, answered filled in; nothing of it is stored as such.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import field

from tidegate.apimachinery.decoding.messages import Status
from tidegate.apimachinery.documents.references import LocalObjectReference, ObjectReference
from tidegate.apimachinery.errors import FieldError, invalid, required
from tidegate.apimachinery.meta import Object, Wire, doc
from tidegate.apimachinery.resource import Resource, Strategy
from tidegate.images.kinds.group import GROUP, VERSION
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_stream import ImageStream, stream_name_fault
from tidegate.images.kinds.tag_reference import (
    DOCKER_IMAGE,
    LEGACY,
    TagImportPolicy,
    TagReferencePolicy,
    default_policies,
    policy_faults,
    pull_spec_fault,
)
from tidegate.oci.pull_spec import PullSpec


class RepositoryImportSpec(Wire):
    """A repository to import whole."""

    from_: Annotated[ObjectReference, doc("The repository: a DockerImage without a tag.")] = field(
        name="from", default_factory=ObjectReference
    )
    import_policy: Annotated[TagImportPolicy, doc("How images are imported.")] = field(
        default_factory=TagImportPolicy
    )
    reference_policy: Annotated[TagReferencePolicy, doc("Where images are pulled from.")] = field(
        default_factory=TagReferencePolicy
    )
    include_manifest: Annotated[bool, doc("Whether the answer shows the manifests.")] = False


class ImageImportSpec(Wire):
    """An image to import."""

    from_: Annotated[ObjectReference, doc("The image: a DockerImage.")] = field(
        name="from", default_factory=ObjectReference
    )
    to: Annotated[
        LocalObjectReference | None, doc("The tag that is to point to it; none: only look.")
    ] = None
    import_policy: Annotated[TagImportPolicy, doc("How the image is imported.")] = field(
        default_factory=TagImportPolicy
    )
    reference_policy: Annotated[TagReferencePolicy, doc("Where the image is pulled from.")] = field(
        default_factory=TagReferencePolicy
    )
    include_manifest: Annotated[bool, doc("Whether the answer shows the manifest.")] = False


class ImageStreamImportSpec(Wire):
    """What is to be imported."""

    import_: Annotated[bool, doc("Whether the stream is written; otherwise only look.")] = field(
        name="import", default_factory=bool
    )
    repository: Annotated[RepositoryImportSpec | None, doc("A repository to import whole.")] = None
    images: Annotated[list[ImageImportSpec], doc("Images to import.")] = field(default_factory=list)


class ImageImportStatus(Wire):
    """What became of one image."""

    status: Annotated[Status, doc("Whether it was found, and if not why.")] = field(
        default_factory=Status
    )
    image: Annotated[Image | None, doc("The image.")] = None
    tag: Annotated[str, doc("The tag under which it was found.")] = ""
    manifests: Annotated[list[Image], doc("The images of an index.")] = field(default_factory=list)


class RepositoryImportStatus(Wire):
    """What became of a repository."""

    status: Annotated[Status, doc("Whether all went well, and if not why.")] = field(
        default_factory=Status
    )
    images: Annotated[list[ImageImportStatus], doc("What became of each of its images.")] = field(
        default_factory=list
    )
    additional_tags: Annotated[list[str], doc("Tags that were too many to import.")] = field(
        default_factory=list
    )


class ImageStreamImportStatus(Wire):
    """What became of an import."""

    import_: Annotated[ImageStream | None, doc("The stream as it is now.")] = field(
        name="import", default=None
    )
    repository: Annotated[RepositoryImportStatus | None, doc("What became of the repository.")] = (
        None
    )
    images: Annotated[list[ImageImportStatus], doc("What became of each image, in order.")] = field(
        default_factory=list
    )


class ImageStreamImport(Object):
    """ImageStreamImport looks for images in other registries and points tags to them.

    Its name is the stream's. Whether an image was found is said in the status, image by image; the
    request itself succeeds even when none was.
    """

    spec: Annotated[ImageStreamImportSpec, doc("What is to be imported.")] = field(
        default_factory=ImageStreamImportSpec
    )
    status: Annotated[ImageStreamImportStatus, doc("What became of it; set by the server.")] = (
        field(default_factory=ImageStreamImportStatus)
    )


def prepare_import(
    new: ImageStreamImport, _old: ImageStreamImport | None, mode: str = LEGACY
) -> None:
    """Defaults: the policies, and the tag of an image as the tag it is imported to."""
    new.status = ImageStreamImportStatus()
    if (repository := new.spec.repository) is not None:
        default_policies(repository.import_policy, repository.reference_policy, mode)
    for each in new.spec.images:
        default_policies(each.import_policy, each.reference_policy, mode)
        if each.to is None and not pull_spec_fault(each.from_.name):
            tag = PullSpec.parse(each.from_.name).tag
            each.to = LocalObjectReference(name=tag) if tag else None


def _validate(new: ImageStreamImport, _old: ImageStreamImport | None) -> Sequence[FieldError]:
    spec = new.spec
    faults = []
    if not spec.images and spec.repository is None:
        why = "you must specify at least one image or a repository import"
        faults.append(invalid("spec.images", "", why))
    for number, each in enumerate(spec.images):
        faults += _image_faults(each, f"spec.images[{number}]")
    if spec.repository is not None:
        faults += _repository_faults(spec.repository, "spec.repository")
    return faults


def _image_faults(image: ImageImportSpec, path: str) -> list[FieldError]:
    faults = _source_faults(image.from_, path)
    # clients that search ask for every image there is; the import itself then finds none
    if not faults and image.from_.name != "*" and (why := pull_spec_fault(image.from_.name)):
        faults.append(invalid(f"{path}.from.name", image.from_.name, why))
    if image.to is not None and not image.to.name:
        faults.append(
            invalid(f"{path}.to.name", "", "the name of the target tag must be specified")
        )
    return [*faults, *policy_faults(image.import_policy, image.reference_policy, path)]


def _repository_faults(repository: RepositoryImportSpec, path: str) -> list[FieldError]:
    faults = _source_faults(repository.from_, path)
    name = repository.from_.name
    if not faults:
        if why := pull_spec_fault(name):
            faults.append(invalid(f"{path}.from.name", name, why))
        elif (spec := PullSpec.parse(name)).tag or spec.id:
            why = "you must specify an image repository, not a tag or ID"
            faults.append(invalid(f"{path}.from.name", name, why))
    return [*faults, *policy_faults(repository.import_policy, repository.reference_policy, path)]


def _source_faults(source: ObjectReference, path: str) -> list[FieldError]:
    if source.kind != DOCKER_IMAGE:
        return [invalid(f"{path}.from.kind", source.kind, "only DockerImage is supported")]
    return [] if source.name else [required(f"{path}.from.name")]


IMAGE_STREAM_IMPORTS = Resource(
    group=GROUP,
    version=VERSION,
    kind="ImageStreamImport",
    plural="imagestreamimports",
    type=ImageStreamImport,
    namespaced=True,
    verbs=("create",),
    strategy=Strategy(name_fault=stream_name_fault, prepare=prepare_import, validate=_validate),
)
