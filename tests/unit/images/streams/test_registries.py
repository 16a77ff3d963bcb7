from typing import Any

import msgspec

from tidegate.images.kinds.image_stream import ImageStream, prepare_stream
from tidegate.images.streams.hosts import Hosts
from tidegate.images.streams.registries import references, spec_faults, status_faults
from tidegate.kinds.registries.import_policy import Allowed, ImportPolicy

HOSTS = Hosts("registry:5000", "old.example.com", announced=lambda: ("new.example.com",))
POLICY = ImportPolicy((Allowed("quay.io", "443"),), restricted=True, internal="registry:5000")


def stream(
    *sources: str, repository: str = "", status: dict[str, list[str]] | None = None, **more: Any
) -> ImageStream:
    tags = [
        {"name": f"t{number}", "from": {"kind": "DockerImage", "name": each}}
        for number, each in enumerate(sources)
    ]
    past = [
        {"tag": tag, "items": [{"dockerImageReference": each} for each in events]}
        for tag, events in (status or {}).items()
    ]
    values = {
        "metadata": {"name": "web", "namespace": "shop", **more},
        "spec": {"tags": tags, "dockerImageRepository": repository},
        "status": {"tags": past},
    }
    return msgspec.convert(values, ImageStream)


def fields(new: ImageStream, policy: ImportPolicy = POLICY) -> list[str]:
    return [each.field for each in spec_faults(new.spec.tags, new, policy)]


def test_what_comes_from_no_registry_is_held_to_no_list() -> None:
    new = stream("gcr.io/a/b", "quay.io/a/b")
    assert fields(new) == ["spec.tags[t0].from.name"]
    new.spec.tags[0].from_ = None
    assert fields(new) == []
    new.spec.tags[0].from_ = new.spec.tags[1].from_
    assert new.spec.tags[0].from_ is not None
    new.spec.tags[0].from_ = msgspec.structs.replace(
        new.spec.tags[0].from_, kind="ImageStreamTag", name="gcr:io"
    )
    assert fields(new) == []


def test_without_a_list_nothing_is_looked_at() -> None:
    new = stream("gcr.io/a/b", repository="gcr.io/a/b", status={"a": ["gcr.io/a/b"]})
    assert fields(new, ImportPolicy()) == []
    assert status_faults(new, stream(), ImportPolicy(), HOSTS) == []


def test_what_is_no_pull_spec_is_told_elsewhere() -> None:
    assert fields(stream("NOT A SPEC", repository="also not")) == []


def test_of_a_status_what_is_new_is_looked_at() -> None:
    old = stream(status={"a": ["gcr.io/x/y@1"]})
    ours = ["registry:5000/a/b@1", "old.example.com/a/b@1", "new.example.com/a/b@1", "/shop/web@1"]
    new = stream(status={"a": ["gcr.io/x/z", "gcr.io/x/y@1", *ours], "b": ["quay.io/x/y"]})
    assert [each.field for each in status_faults(new, old, POLICY, HOSTS)] == [
        "status.tags[a].items[0].dockerImageReference"
    ]


def test_an_insecure_tag_may_have_been_at_either_port() -> None:
    policy = ImportPolicy((Allowed("gcr.io", "80"),), restricted=True)
    new = stream("gcr.io/x/y", status={"t0": ["gcr.io/x/y"]})
    assert fields(new, policy)
    assert status_faults(new, stream(), policy, HOSTS)
    new.spec.tags[0].import_policy.insecure = True
    assert not fields(new, policy)
    assert not status_faults(new, stream(), policy, HOSTS)


def test_everything_that_a_stream_refers_to_is_known() -> None:
    found = stream("a.io/b:1", repository="c.io/d", status={"t": ["e.io/f@1", "/shop/web@2"]})
    assert list(references(found)) == ["c.io/d", "a.io/b:1", "e.io/f@1", "/shop/web@2"]


def test_new_tags_get_the_servers_import_mode_and_old_ones_keep_theirs() -> None:
    old = stream("quay.io/a/b:1", "quay.io/a/b:2", "quay.io/a/b:3")
    prepare_stream(old, None, "Legacy")
    new = stream("quay.io/a/b:1", "quay.io/a/c:2", "quay.io/a/b:3", "quay.io/a/b:4")
    new.spec.tags[2].import_policy.import_mode = "PreserveOriginal"
    prepare_stream(new, old, "PreserveOriginal")
    assert [each.import_policy.import_mode for each in new.spec.tags] == [
        "Legacy",
        "PreserveOriginal",  # it comes from somewhere else
        "PreserveOriginal",  # said
        "PreserveOriginal",  # new
    ]
