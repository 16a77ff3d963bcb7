"""Texts of openshift-apiserver's validation, cells of its printers."""

import msgspec
import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image_stream import (
    IMAGE_STREAMS,
    ImageStream,
    ImageStreamSpec,
    ImageStreamStatus,
    NamedTagEventList,
    TagEvent,
    TagReference,
    shown_repository,
    shown_tags,
)
from tidegate.images.kinds.tag_reference import TagImportPolicy, TagReferencePolicy

STRATEGY = IMAGE_STREAMS.strategy


def faults(stream: ImageStream) -> list[str]:
    STRATEGY.prepare(stream, None)
    return [str(each) for each in STRATEGY.validate(stream, None)]


def faults_of(tag: TagReference) -> list[str]:
    return faults(ImageStream(spec=ImageStreamSpec(tags=[tag])))


def history(tag: str, *created: str) -> NamedTagEventList:
    return NamedTagEventList(tag=tag, items=[TagEvent(created=each) for each in created])


@pytest.mark.parametrize("name", ["A", "a--b", ".a", "a:b", "a@b", ""])
def test_a_stream_is_named_as_a_repository(name: str) -> None:
    assert STRATEGY.name_fault is not None
    assert STRATEGY.name_fault(name) == 'must match "[a-z0-9]+(?:[._-][a-z0-9]+)*"'
    assert STRATEGY.name_fault("a.b-c_d1") is None
    assert STRATEGY.name_fault("a/b") == "may not contain '/'"


def test_namespace_and_name_have_a_length_together() -> None:
    meta = ObjectMeta(namespace="n" * 100, name="a" * 154)
    assert faults(ImageStream(metadata=meta)) == []
    meta.name += "a"
    (fault,) = faults(ImageStream(metadata=meta))
    assert fault.endswith("'namespace/name' cannot be longer than 255 characters")


def test_what_clients_look_for_is_written_even_when_it_is_zero() -> None:
    stream = ImageStream(
        spec=ImageStreamSpec(tags=[TagReference(name="a")]),
        status=ImageStreamStatus(tags=[history("a", "2024-01-01T00:00:00Z")]),
    )
    written = msgspec.to_builtins(stream)
    assert written["spec"]["lookupPolicy"] == {"local": False}
    assert written["status"]["dockerImageRepository"] == ""
    assert written["status"]["tags"][0]["items"] == [
        {
            "created": "2024-01-01T00:00:00Z",
            "dockerImageReference": "",
            "image": "",
            "generation": 0,
        }
    ]


def test_tags_get_their_defaults_and_their_order() -> None:
    tags = [TagReference(name="b"), TagReference(name="a"), TagReference(name="b", reference=True)]
    stream = ImageStream(spec=ImageStreamSpec(tags=tags))
    STRATEGY.prepare(stream, None)
    assert [(each.name, each.reference) for each in stream.spec.tags] == [("a", False), ("b", True)]
    assert {each.reference_policy.type for each in stream.spec.tags} == {"Source"}
    assert {each.import_policy.import_mode for each in stream.spec.tags} == {"Legacy"}


def test_a_repository_to_import_has_neither_tag_nor_id() -> None:
    def of(repository: str) -> list[str]:
        return faults(ImageStream(spec=ImageStreamSpec(docker_image_repository=repository)))

    path = "spec.dockerImageRepository: Invalid value: "
    assert of("r.io/a/b") == []
    assert of("r.io/a:t") == [f'{path}"r.io/a:t": the repository name may not contain a tag']
    digest = "sha256:" + "0" * 64
    assert of(f"a@{digest}") == [f'{path}"a@{digest}": the repository name may not contain an ID']
    assert of("a b") == [f'{path}"a b": invalid reference format']


def test_a_tag_comes_from_what_is_known() -> None:
    kinds = "valid values are 'DockerImage', 'ImageStreamImage', 'ImageStreamTag'"
    assert faults_of(TagReference(name="t", from_=ObjectReference())) == [
        "spec.tags[t].from.name: Required value",
        f"spec.tags[t].from.kind: Required value: {kinds}",
    ]
    docker = ObjectReference(kind="DockerImage", name="A")
    assert faults_of(TagReference(name="t", from_=docker)) == [
        'spec.tags[t].from.name: Invalid value: "A": repository name must be lowercase'
    ]
    docker.name = "a:1"
    scheduled = TagImportPolicy(scheduled=True)
    assert faults_of(TagReference(name="t", from_=docker, import_policy=scheduled)) == []


def test_only_other_registries_are_looked_at_on_schedule() -> None:
    tag = TagReference(
        name="t",
        from_=ObjectReference(kind="ImageStreamTag", name="a:b"),
        import_policy=TagImportPolicy(scheduled=True),
    )
    assert faults_of(tag) == [
        (
            "spec.tags[t].importPolicy.scheduled: Invalid value: true: only tags pointing to "
            "Docker repositories may be scheduled for background import"
        )
    ]


def test_policies_have_known_values() -> None:
    tag = TagReference(
        name="t",
        import_policy=TagImportPolicy(import_mode="All"),
        reference_policy=TagReferencePolicy(type="Far"),
    )
    assert faults_of(tag) == [
        (
            'spec.tags[t].referencePolicy.type: Invalid value: "Far": valid values are "Source", '
            '"Local"'
        ),
        (
            'spec.tags[t].importPolicy.importMode: Invalid value: "All": invalid import mode, '
            "valid modes are '', 'Legacy', 'PreserveOriginal'"
        ),
    ]


def test_an_event_has_a_pull_spec() -> None:
    items = [
        TagEvent(),
        TagEvent(docker_image_reference="A"),
        TagEvent(docker_image_reference="/ns/s@sha256:" + "0" * 64),
    ]
    stream = ImageStream(status=ImageStreamStatus(tags=[NamedTagEventList(tag="t", items=items)]))
    assert faults(stream) == [
        "status.tags[t].items[0].dockerImageReference: Required value",
        (
            'status.tags[t].items[1].dockerImageReference: Invalid value: "A": '
            "repository name must be lowercase"
        ),
    ]


def test_a_table_shows_the_repository_that_most_people_can_use() -> None:
    stream = ImageStream(status=ImageStreamStatus(docker_image_repository="in/n/s"))
    assert shown_repository(stream) == "in/n/s"
    stream.spec.docker_image_repository = "r.io/s"
    assert shown_repository(stream) == "r.io/s"
    stream.status.public_docker_image_repository = "out/n/s"
    assert shown_repository(stream) == "out/n/s"


def test_a_table_shows_the_newest_tags_first() -> None:
    tags = [
        history("none"),
        history("b", "2024-01-02T00:00:00Z"),
        history("a", "2024-01-02T00:00:00Z"),
    ]
    tags.append(history("new", "2024-03-01T00:00:00Z", "2023-01-01T00:00:00Z"))
    assert shown_tags(tags) == "new,a,b,none"
    assert shown_tags([]) == ""


@pytest.mark.parametrize(
    ("lengths", "shown"),
    [
        ([50, 1], 1),  # one is always shown
        ([39], 1),
        ([19, 19], 2),
        ([19, 19, 1], 2),
        ([25, 20], 2),  # more than ten columns left, at most ten beyond
        ([25, 30], 1),
        ([32, 10], 1),  # less than ten left
    ],
)
def test_a_table_shows_as_many_tags_as_fit(lengths: list[int], shown: int) -> None:
    names = [f"{chr(97 + number)}".ljust(length, "x") for number, length in enumerate(lengths)]
    text = shown_tags([history(each) for each in names])
    hidden = len(names) - shown
    assert text == ",".join(names[:shown]) + (f" + {hidden} more..." if hidden else "")


def test_the_cells_of_a_stream() -> None:
    stream = ImageStream(status=ImageStreamStatus(tags=[history("a", "1970-01-01T00:00:00Z")]))
    assert [(each.name, each.cell(stream, 60)) for each in IMAGE_STREAMS.columns] == [
        ("Image Repository", ""),
        ("Tags", "a"),
        ("Updated", "About a minute ago"),
    ]
    assert IMAGE_STREAMS.columns[2].cell(ImageStream(), 60) == ""


def test_streams_are_selected_by_their_repositories() -> None:
    stream = ImageStream(
        spec=ImageStreamSpec(docker_image_repository="a"),
        status=ImageStreamStatus(docker_image_repository="b"),
    )
    assert {name: read(stream) for name, read in IMAGE_STREAMS.fields.items()} == {
        "spec.dockerImageRepository": "a",
        "status.dockerImageRepository": "b",
    }
