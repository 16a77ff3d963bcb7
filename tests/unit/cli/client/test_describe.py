"""What `tidegate describe` says of objects as the API sends them."""

from typing import Any

import pytest

from tidegate.cli.client.describe import (
    WRITERS,
    image,
    image_stream,
    image_tag,
    stream_image,
    stream_tag,
)

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
REPOSITORY = "registry.example.com/team/web"


def event(digest: str, created: str) -> dict[str, Any]:
    reference = f"{REPOSITORY}@{digest}"
    return {"created": created, "dockerImageReference": reference, "image": digest, "generation": 1}


STREAM = {
    "metadata": {
        "name": "web",
        "namespace": "team",
        "creationTimestamp": "2027-01-15T06:00:00Z",
        "labels": {"app": "web"},
    },
    "spec": {
        "lookupPolicy": {"local": True},
        "tags": [
            {
                "name": "prod",
                "from": {"kind": "ImageStreamImage", "name": f"web@{ONE}"},
                "referencePolicy": {"type": "Local"},
            },
            {
                "name": "upstream",
                "from": {"kind": "DockerImage", "name": "quay.io/team/web:1"},
                "importPolicy": {"scheduled": True, "insecure": True},
            },
            {
                "name": "noted",
                "reference": True,
                "from": {"kind": "DockerImage", "name": "quay.io/team/web:2"},
            },
        ],
    },
    "status": {
        "publicDockerImageRepository": REPOSITORY,
        "tags": [
            {
                "tag": "1",
                "items": [event(TWO, "2027-01-15T07:00:00Z"), event(ONE, "2027-01-15T06:00:00Z")],
            },
            {"tag": "prod", "items": [event(ONE, "2027-01-15T06:30:00Z")]},
            {
                "tag": "upstream",
                "items": [],
                "conditions": [
                    {"type": "ImportSuccess", "status": "False", "message": "not found\x1b[2J"}
                ],
            },
        ],
    },
}

IMAGE = {
    "metadata": {"name": ONE, "creationTimestamp": "2027-01-15T06:00:00Z"},
    "dockerImageReference": f"{REPOSITORY}@{ONE}",
    "dockerImageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
    "dockerImageLayers": [
        {"name": "sha256:aa", "size": 1536, "mediaType": "x"},
        {"name": "sha256:bb", "size": 10, "mediaType": "x"},
    ],
    "dockerImageManifests": [
        {"digest": TWO, "os": "linux", "architecture": "arm64", "variant": "v8"}
    ],
    "signatures": [{"metadata": {"name": f"{ONE}@a"}, "type": "AtomicImageV1"}],
    "dockerImageMetadata": {
        "Id": "sha256:cc",
        "Created": "2027-01-14T08:00:00Z",
        "Architecture": "amd64",
        "Size": 2048,
        "Config": {
            "Env": ["PATH=/bin", "A=b"],
            "Cmd": ["serve", "--all"],
            "Entrypoint": ["/web"],
            "WorkingDir": "/srv",
            "ExposedPorts": {"8080/tcp": {}},
            "Labels": {"version": "1"},
        },
    },
}


def squeezed(lines: list[str]) -> list[str]:
    """The lines without what is there for the looks alone."""
    return [" ".join(line.split()) for line in lines if line]


def test_a_stream_is_shown_with_its_tags_and_their_history() -> None:
    assert squeezed(image_stream(STREAM, NOW)) == [
        "Name: web",
        "Namespace: team",
        "Created: 2 hours ago",
        "Labels: app=web",
        f"Image Repository: {REPOSITORY}",
        "Image Lookup: local=true",
        "Unique Images: 2",
        "Tags: 4",
        "1",
        "no spec tag: fed by pushes",
        f"* About an hour ago {REPOSITORY}@{TWO}",
        TWO,
        f"2 hours ago {REPOSITORY}@{ONE}",
        ONE,
        "prod",
        f"tagged from web@{ONE}",
        "prefer registry pullthrough when referencing this tag",
        f"* 2 hours ago {REPOSITORY}@{ONE}",
        ONE,
        "upstream",
        "updates automatically from registry quay.io/team/web:1",
        "will use insecure HTTPS or HTTP connections",
        "! error: not found\\x1b[2J",
        "noted",
        "reference to registry quay.io/team/web:2",
    ]


def test_an_image_is_shown_with_what_it_is_made_of_and_how_it_runs() -> None:
    assert squeezed(image(IMAGE, NOW)) == [
        f"Image Name: {ONE}",
        f"Docker Image: {REPOSITORY}@{ONE}",
        "Media Type: application/vnd.oci.image.manifest.v1+json",
        "Image Id: sha256:cc",
        "Pushed: 2 hours ago",
        "Image Created: 24 hours ago",
        "Arch: amd64",
        "Image Size: 2KiB in 2 layers",
        "Layers:",
        "1.5KiB sha256:aa",
        "10B sha256:bb",
        "Manifests:",
        f"linux/arm64/v8 {TWO}",
        "Signatures:",
        f"{ONE}@a AtomicImageV1",
        "Entrypoint: /web",
        "Command: serve --all",
        "Working Dir: /srv",
        "Exposes Ports: 8080/tcp",
        "Docker Labels:",
        "version=1",
        "Environment:",
        "PATH=/bin",
        "A=b",
    ]


def test_a_tag_is_shown_with_its_image() -> None:
    found = {
        "metadata": {"name": "web:prod", "namespace": "team"},
        "tag": {
            "name": "prod",
            "from": {"kind": "ImageStreamTag", "namespace": "a", "name": "b:1"},
        },
        "image": IMAGE,
    }
    lines = squeezed(stream_tag(found, NOW))
    assert lines[:4] == [
        "Name: web:prod",
        "Namespace: team",
        "tagged from a/b:1",
        f"Image Name: {ONE}",
    ]


def test_a_pushed_tag_has_no_source() -> None:
    found = {"metadata": {"name": "web:1"}, "tag": None, "image": IMAGE}
    assert "no spec tag: fed by pushes" in squeezed(stream_tag(found, NOW))


def test_a_tag_without_an_image_is_shown_all_the_same() -> None:
    found = {"metadata": {"name": "web:noted"}, "spec": STREAM["spec"]["tags"][2], "image": None}  # type: ignore[index]
    assert squeezed(image_tag(found, NOW)) == [
        "Name: web:noted",
        "reference to registry quay.io/team/web:2",
    ]


def test_an_image_of_a_stream_is_shown_as_an_image() -> None:
    found = {"metadata": {"name": f"web@{ONE}"}, "image": IMAGE}
    assert f"Image Name: {ONE}" in squeezed(stream_image(found, NOW))


@pytest.mark.parametrize("writer", WRITERS.values())
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"metadata": 7, "status": [], "spec": "x", "tag": 1, "image": "y"},
        {"status": {"tags": [7, {"items": [1, {}]}], "items": [{}]}, "spec": {"tags": [{}]}},
        {"dockerImageMetadata": {"Config": {"Env": 1, "Labels": [], "Cmd": None}, "Size": "x"}},
        {"metadata": {"labels": {"a": 1}, "creationTimestamp": "yesterday"}},
    ],
)
def test_an_object_of_another_shape_is_shown_as_far_as_it_goes(
    writer: Any, answer: dict[str, Any]
) -> None:
    assert all(isinstance(line, str) for line in writer(answer, NOW))
