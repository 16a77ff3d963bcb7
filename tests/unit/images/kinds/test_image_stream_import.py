"""Rules of openshift-apiserver's ValidateImageStreamImport and ValidateImageStreamMapping."""

from tidegate.apimachinery.documents.references import LocalObjectReference, ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image import Image
from tidegate.images.kinds.image_signature import ImageSignature
from tidegate.images.kinds.image_stream import ImageStream
from tidegate.images.kinds.image_stream_import import (
    IMAGE_STREAM_IMPORTS,
    ImageImportSpec,
    ImageStreamImport,
    ImageStreamImportSpec,
    ImageStreamImportStatus,
    RepositoryImportSpec,
)
from tidegate.images.kinds.image_stream_mapping import (
    IMAGE_STREAM_MAPPINGS,
    ImageStreamMapping,
    mapping_faults,
)

STRATEGY = IMAGE_STREAM_IMPORTS.strategy


def docker(name: str) -> ObjectReference:
    return ObjectReference(kind="DockerImage", name=name)


def prepared(*images: ImageImportSpec, repository: str | None = None) -> ImageStreamImport:
    spec = ImageStreamImportSpec(images=list(images))
    if repository is not None:
        spec.repository = RepositoryImportSpec(from_=docker(repository))
    request = ImageStreamImport(metadata=ObjectMeta(name="s"), spec=spec)
    STRATEGY.prepare(request, None)
    return request


def faults(request: ImageStreamImport) -> list[str]:
    return [str(each) for each in STRATEGY.validate(request, None)]


def test_an_image_goes_to_the_tag_that_it_has() -> None:
    request = prepared(
        ImageImportSpec(from_=docker("r.io/a:1")),
        ImageImportSpec(from_=docker("r.io/a")),
        ImageImportSpec(from_=docker("r.io/a:1"), to=LocalObjectReference(name="2")),
        ImageImportSpec(from_=docker("*")),
    )
    to = [each.to.name if each.to else None for each in request.spec.images]
    assert to == ["1", None, "2", None]
    assert faults(request) == []


def test_policies_have_defaults() -> None:
    request = prepared(ImageImportSpec(from_=docker("a")), repository="r.io/a")
    assert request.spec.repository is not None
    (image,), repository = request.spec.images, request.spec.repository
    assert image.import_policy == repository.import_policy
    assert image.import_policy.import_mode == "Legacy"
    assert image.reference_policy.type == repository.reference_policy.type == "Source"


def test_what_became_of_it_is_not_the_client_s_to_say() -> None:
    request = ImageStreamImport(status=ImageStreamImportStatus(import_=ImageStream()))
    STRATEGY.prepare(request, None)
    assert request.status == ImageStreamImportStatus()


def test_something_is_to_be_imported() -> None:
    (fault,) = faults(prepared())
    assert fault.startswith("spec.images: Invalid value: ")
    assert fault.endswith("you must specify at least one image or a repository import")


def test_images_come_from_other_registries() -> None:
    request = prepared(
        ImageImportSpec(from_=ObjectReference(kind="ImageStreamTag", name="a:b")),
        ImageImportSpec(from_=docker("")),
        ImageImportSpec(from_=docker("A"), to=LocalObjectReference()),
    )
    assert faults(request) == [
        'spec.images[0].from.kind: Invalid value: "ImageStreamTag": only DockerImage is supported',
        "spec.images[1].from.name: Required value",
        'spec.images[2].from.name: Invalid value: "A": repository name must be lowercase',
        'spec.images[2].to.name: Invalid value: "": the name of the target tag must be specified',
    ]


def test_a_repository_has_neither_tag_nor_id() -> None:
    why = "you must specify an image repository, not a tag or ID"
    path = "spec.repository.from.name: Invalid value: "
    assert faults(prepared(repository="r.io/a")) == []
    assert faults(prepared(repository="r.io/a:1")) == [f'{path}"r.io/a:1": {why}']
    digest = "sha256:" + "0" * 64
    assert faults(prepared(repository=f"a@{digest}")) == [f'{path}"a@{digest}": {why}']
    assert faults(prepared(repository="A")) == [f'{path}"A": repository name must be lowercase']
    assert faults(prepared(repository="")) == ["spec.repository.from.name: Required value"]


def test_a_mapping_has_a_tag_and_no_signatures() -> None:
    strategy = IMAGE_STREAM_MAPPINGS.strategy
    mapping = ImageStreamMapping(image=Image(signatures=[ImageSignature()]))
    strategy.prepare(mapping, None)
    assert mapping.image == Image(docker_image_metadata_version="1.0")
    assert [str(each) for each in strategy.validate(mapping, None)] == ["tag: Required value"]
    assert [str(each) for each in mapping_faults(mapping)] == [
        "tag: Required value",
        "image.dockerImageReference: Required value",
    ]
    mapping.tag, mapping.image.docker_image_reference = "t", "r.io/a"
    assert list(strategy.validate(mapping, None)) == mapping_faults(mapping) == []
    assert strategy.name_fault is not None
    assert strategy.name_fault("a/b") == "may not contain '/'"
