"""Sources and destinations of `tidegate tag`, guessed as `oc tag` guesses."""

import pytest

from tidegate.cli.client.references import (
    DOCKER,
    STREAM_IMAGE,
    STREAM_TAG,
    StreamTag,
    check_tag,
    parse_source,
    parse_stream_tag,
    rollback_target,
)
from tidegate.cli.refusal import Refused

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "name"),
    [
        ("web:1", STREAM_TAG, "", "web:1"),
        ("team/web:1", STREAM_TAG, "team", "web:1"),
        (f"web@{DIGEST}", STREAM_IMAGE, "", f"web@{DIGEST}"),
        (f"team/web@{DIGEST}", STREAM_IMAGE, "team", f"web@{DIGEST}"),
        ("web@abababababab", STREAM_IMAGE, "", "web@abababababab"),
        ("busybox", DOCKER, "", "busybox"),
        ("quay.io/team/web:1", DOCKER, "team", "quay.io/team/web:1"),
        ("localhost:5000/team/web", DOCKER, "team", "localhost:5000/team/web"),
        (f"quay.io/team/web@{DIGEST}", DOCKER, "team", f"quay.io/team/web@{DIGEST}"),
    ],
)
def test_a_source_is_guessed_from_its_form(text: str, kind: str, namespace: str, name: str) -> None:
    if kind == DOCKER and "@" in text:
        source = parse_source(text, "docker")
    else:
        source = parse_source(text, None)
    assert (source.kind, source.spec.namespace, source.named()) == (kind, namespace, name)


def test_an_image_of_a_registry_needs_no_hint_when_it_has_a_digest() -> None:
    text = f"quay.io/team/web@{DIGEST}"
    source = parse_source(text, None)
    assert (source.kind, source.named()) == (DOCKER, text)


@pytest.mark.parametrize(
    "text", ["web:1", "team/web:1", f"team/web@{DIGEST}", "quay.io/team/web:1", "busybox"]
)
def test_a_source_is_said_again_as_it_was_written(text: str) -> None:
    assert parse_source(text, None).written() == text


@pytest.mark.parametrize("hint", ["docker", "DockerImage"])
def test_a_hint_makes_a_docker_image_of_what_looks_like_a_stream(hint: str) -> None:
    source = parse_source("openshift/ruby:2", hint)
    assert (source.kind, source.named()) == (DOCKER, "openshift/ruby:2")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("quay.io/team/web:1", "istag"),
        ("web", "istag"),
        ("web:1", "isimage"),
        ("web:1", "podman"),
        ("Web:1", None),
        ("quay.io", None),
        ("", None),
    ],
)
def test_what_is_no_source_is_refused(text: str, hint: str | None) -> None:
    with pytest.raises(Refused):
        parse_source(text, hint)


def test_a_destination_is_a_tag_of_a_stream_of_some_project() -> None:
    assert parse_stream_tag("web:1", "here") == StreamTag("here", "web", "1")
    assert parse_stream_tag("there/web:1", "here") == StreamTag("there", "web", "1")
    assert parse_stream_tag("web", "here", tag_required=False) == StreamTag("here", "web", "")


@pytest.mark.parametrize(
    "text", ["web", "web:", "a/b/web:1", "/web:1", "web@sha256:1", ":1", "a:b:c"]
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_stream_tag(text, "here")


def test_an_empty_tag_is_not_the_whole_stream() -> None:
    with pytest.raises(Refused):
        parse_stream_tag("web:", "here", tag_required=False)


@pytest.mark.parametrize("tag", ["-a", ".a", "a/b", "a" * 129])
def test_a_tag_that_no_registry_has_is_refused(tag: str) -> None:
    with pytest.raises(Refused):
        check_tag(tag)


def test_a_rollback_goes_to_a_number_a_time_or_an_image() -> None:
    assert rollback_target("7") == {"number": 7}
    assert rollback_target("2026-11-23T10:15:00Z") == {"time": "2026-11-23T10:15:00Z"}
    assert rollback_target("2026-11-23T12:15:00+02:00") == {"time": "2026-11-23T10:15:00Z"}
    assert rollback_target("20261123T101500Z") == {"time": "2026-11-23T10:15:00Z"}
    assert rollback_target("sha256:abcd") == {"image": "sha256:abcd"}
    assert rollback_target("123456789012") == {"image": "123456789012"}


def test_a_rollback_to_a_time_without_its_zone_is_refused() -> None:
    with pytest.raises(Refused, match="time zone"):
        rollback_target("2026-11-23T10:15:00")
