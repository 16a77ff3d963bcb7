"""What an Image says of a manifest: names and shapes of openshift/api's docker10.DockerImage."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.images.docker_image import described, image_of
from tidegate.images.kinds.image import Image
from tidegate.oci import mediatype

DIGEST = "sha256:" + "d" * 64
CONFIG_DIGEST = "sha256:" + "c" * 64
BASE, TOP = "sha256:" + "a" * 64, "sha256:" + "b" * 64
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

MANIFEST = {
    "schemaVersion": 2,
    "mediaType": mediatype.OCI_MANIFEST,
    "config": {"mediaType": "x", "digest": CONFIG_DIGEST, "size": 7},
    "layers": [
        {"mediaType": LAYER, "digest": BASE, "size": 100},
        {"mediaType": LAYER, "digest": TOP, "size": 10},
        {"mediaType": LAYER, "digest": BASE, "size": 100},
    ],
}
CONFIG = {
    "architecture": "arm64",
    "os": "linux",
    "author": "me",
    "created": "2024-02-29T12:00:00.123456789+02:00",
    "docker_version": "20.10",
    "container_config": {"Hostname": "h", "Cmd": ["/bin/sh"]},
    "config": {
        "User": "1001",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/bin"],
        "Entrypoint": ["/run"],
        "Cmd": None,
        "Volumes": {"/data": {}},
        "WorkingDir": "/app",
        "Labels": {"name": "app"},
        "OnBuild": [],
        "Tty": False,
        "Memory": 5,
        "StopSignal": "TERM",
    },
    "history": [],
    "rootfs": {},
}


def bytes_of(value: Any) -> bytes:
    return json.dumps(value).encode()


def metadata_of(config: Any) -> dict[str, Any]:
    content = config if isinstance(config, bytes) else bytes_of(config)
    return described(DIGEST, mediatype.OCI_MANIFEST, bytes_of(MANIFEST), content).metadata


def test_an_image_says_what_its_configuration_says() -> None:
    config = bytes_of(CONFIG)
    assert metadata_of(CONFIG) == {
        "kind": "DockerImage",
        "apiVersion": "image.openshift.io/1.0",
        "Id": CONFIG_DIGEST,
        "Created": "2024-02-29T10:00:00Z",
        "ContainerConfig": {"Hostname": "h", "Cmd": ["/bin/sh"]},
        "DockerVersion": "20.10",
        "Author": "me",
        "Config": {
            "User": "1001",
            "Memory": 5,
            "ExposedPorts": {"8080/tcp": {}},
            "Env": ["PATH=/bin"],
            "Volumes": {"/data": {}},
            "WorkingDir": "/app",
            "Entrypoint": ["/run"],
            "Labels": {"name": "app"},
        },
        "Architecture": "arm64",
        "Size": len(config) + 110,
    }


def test_layers_are_listed_as_often_as_they_occur_but_weigh_once() -> None:
    found = described(DIGEST, mediatype.OCI_MANIFEST, bytes_of(MANIFEST))
    assert [(each.name, each.size, each.media_type) for each in found.layers] == [
        (BASE, 100, LAYER),
        (TOP, 10, LAYER),
        (BASE, 100, LAYER),
    ]
    assert found.size == 117
    assert found.id == CONFIG_DIGEST


def test_an_index_says_which_manifests_it_has() -> None:
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                "mediaType": mediatype.OCI_MANIFEST,
                "digest": BASE,
                "size": 5,
                "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
            },
            {"mediaType": mediatype.OCI_MANIFEST, "digest": TOP, "size": 6},
        ],
    }
    image = image_of(
        DIGEST,
        mediatype.OCI_INDEX,
        bytes_of(index),
        None,
        "/ns/s@" + DIGEST,
        "2024-01-01T00:00:00Z",
    )
    assert msgspec.to_builtins(image)["dockerImageManifests"] == [
        {
            "digest": BASE,
            "mediaType": mediatype.OCI_MANIFEST,
            "manifestSize": 5,
            "architecture": "arm",
            "os": "linux",
            "variant": "v7",
        },
        {
            "digest": TOP,
            "mediaType": mediatype.OCI_MANIFEST,
            "manifestSize": 6,
            "architecture": "",
            "os": "",
        },
    ]
    assert image.docker_image_metadata == {
        "kind": "DockerImage",
        "apiVersion": "image.openshift.io/1.0",
        "Id": DIGEST,
        "Created": "2024-01-01T00:00:00Z",
        "ContainerConfig": {},
    }
    assert image.docker_image_layers == []
    assert "Created" not in described(DIGEST, mediatype.OCI_INDEX, bytes_of(index)).metadata


def test_an_image_of_this_registry_keeps_neither_text() -> None:
    image = image_of(
        DIGEST, mediatype.OCI_MANIFEST, bytes_of(MANIFEST), bytes_of(CONFIG), "/ns/s@" + DIGEST
    )
    assert image.metadata.name == DIGEST
    assert image.metadata.annotations == {
        "openshift.io/image.managed": "true",
        "image.openshift.io/manifestBlobStored": "true",
        "image.openshift.io/dockerLayersOrder": "ascending",
    }
    assert image.docker_image_reference == "/ns/s@" + DIGEST
    assert image.docker_image_metadata_version == "1.0"
    assert image.docker_image_manifest_media_type == mediatype.OCI_MANIFEST
    assert image.docker_image_manifest == image.docker_image_config == ""
    assert msgspec.json.decode(msgspec.json.encode(image), type=Image) == image


@pytest.mark.parametrize(
    "config",
    [
        b"",
        b"\xff\xfe",
        b"\x00" * 50,
        b"not json",
        b"[" * 100_000,
        b'{"config":' * 100_000,
        b'["a"]',
        b'{"config": "text", "container_config": [], "created": 7, "author": {}}',
        b'{"author": "\\ud800"}',
        b'{"architecture": 5, "docker_version": null}',
        b'{"x": 1e999}',
        bytes_of({"author": "a" * 2_000_000}),
    ],
)
def test_a_broken_configuration_only_says_less(config: bytes) -> None:
    metadata = metadata_of(config)
    assert metadata.pop("Size") == len(config) + 110
    assert metadata == {
        "kind": "DockerImage",
        "apiVersion": "image.openshift.io/1.0",
        "Id": CONFIG_DIGEST,
        "ContainerConfig": {},
    }


def test_a_field_of_the_wrong_type_is_not_there() -> None:
    hostile = {
        "User": 5,
        "Env": ["A=1", 7],
        "Cmd": "sh",
        "Labels": {"a": "1", "b": 2},
        "ExposedPorts": ["80"],
        "Volumes": {"/v": "ignored"},
        "Memory": 2**63,
        "MemorySwap": True,
        "CpuShares": 1.5,
        "Tty": "yes",
        "OpenStdin": True,
    }
    assert metadata_of({"config": hostile})["Config"] == {
        "Labels": {"a": "1"},
        "Volumes": {"/v": {}},
        "OpenStdin": True,
    }


@pytest.mark.parametrize(
    "created",
    [
        "yesterday",
        "2024-13-01T00:00:00Z",
        "2024-01-01",
        "20240101T000000Z",
        "2024-01-01T00:00:00",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2024-01-01T00:00:00+24:00",
        5,
    ],
)
def test_what_is_no_time_is_no_creation(created: Any) -> None:
    assert "Created" not in metadata_of({"created": created})


def test_a_time_of_an_early_year_has_four_figures() -> None:
    assert metadata_of({"created": "0980-01-01T00:00:00Z"})["Created"] == "0980-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        bytes_of({"layers": 5, "config": []}),
        bytes_of({"layers": [5, {}, {"digest": "x"}, {"digest": 7}], "config": {"digest": "x"}}),
        bytes_of({"config": {"size": -1}}),
    ],
)
def test_a_broken_manifest_has_no_layers_and_its_own_name_as_id(content: bytes) -> None:
    found = described(DIGEST, mediatype.OCI_MANIFEST, content)
    assert (found.id, found.layers, found.size) == (DIGEST, [], 0)
    assert described(DIGEST, mediatype.OCI_INDEX, content).manifests == []


def test_sizes_stay_what_a_client_can_read() -> None:
    layers = [{"digest": BASE, "size": 2**63 - 1}, {"digest": TOP, "size": 2**63 - 1}]
    found = described(DIGEST, "", bytes_of({"mediaType": "x", "layers": layers}))
    assert found.size == found.metadata["Size"] == 2**63 - 1
    assert found.media_type == "x"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda each: (
        st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3)
    ),
    max_leaves=8,
)
KNOWN = st.sampled_from(["config", "container_config", "created", "layers", "Env", "Labels", "os"])


@given(st.dictionaries(KNOWN, st.dictionaries(KNOWN, VALUES) | VALUES))
def test_whatever_is_pushed_an_image_can_be_written_and_read(value: dict[str, Any]) -> None:
    content = bytes_of(value)
    image = image_of(DIGEST, mediatype.OCI_MANIFEST, content, content, "r.io/a")
    assert msgspec.json.decode(msgspec.json.encode(image), type=Image) == image


def test_of_a_layer_that_is_named_twice_the_larger_size_counts() -> None:
    layers = [{"digest": BASE, "size": size, "mediaType": LAYER} for size in (0, 100, 3)]
    assert described(DIGEST, mediatype.OCI_MANIFEST, bytes_of({"layers": layers})).size == 100
