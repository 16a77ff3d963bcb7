import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.oci import mediatype
from tidegate.oci.digest import Digest
from tidegate.oci.errors import ManifestInvalid
from tidegate.oci.manifest import parse_manifest

CONFIG = {
    "mediaType": "application/vnd.oci.image.config.v1+json",
    "digest": Digest.of(b"config"),
    "size": 6,
}
LAYER = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
    "digest": Digest.of(b"layer"),
    "size": 5,
}
FOREIGN = {**LAYER, "mediaType": mediatype.DOCKER_FOREIGN_LAYER, "urls": ["https://example.com/l"]}
NONDISTRIBUTABLE = {
    **LAYER,
    "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "urls": ["https://example.com/l"],
}


def image(**fields: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": CONFIG,
        "layers": [LAYER],
        **fields,
    }


def index(**fields: Any) -> dict[str, Any]:
    child = {**LAYER, "mediaType": mediatype.OCI_MANIFEST}
    return {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [child],
        **fields,
    }


def read(document: object, content_type: str | None = None) -> Any:
    return parse_manifest(json.dumps(document).encode(), content_type)


def test_an_image_needs_its_config_and_its_layers() -> None:
    manifest = read(image())
    assert [blob.digest for blob in manifest.blobs] == [CONFIG["digest"], LAYER["digest"]]
    assert manifest.manifests == ()


def test_an_index_names_manifests_and_no_blobs() -> None:
    manifest = read(index())
    assert manifest.blobs == ()
    assert [child.digest for child in manifest.manifests] == [LAYER["digest"]]


@pytest.mark.parametrize("layer", [FOREIGN, NONDISTRIBUTABLE])
def test_a_layer_that_may_not_be_distributed_need_not_be_there(layer: dict[str, Any]) -> None:
    assert [blob.digest for blob in read(image(layers=[layer])).blobs] == [CONFIG["digest"]]


def test_the_header_decides_and_its_parameters_are_ignored() -> None:
    document = image()
    del document["mediaType"]
    assert read(document, f"{mediatype.OCI_MANIFEST}; charset=utf-8").media_type == (
        mediatype.OCI_MANIFEST
    )


def test_without_a_header_the_body_decides() -> None:
    assert read(index(), None).media_type == mediatype.OCI_INDEX


def test_a_referrer_without_artifact_type_has_its_config_type() -> None:
    assert read(image()).referrer_type == CONFIG["mediaType"]
    assert read(image(artifactType="a/b")).referrer_type == "a/b"
    assert read(image(artifactType="")).referrer_type == CONFIG["mediaType"]
    assert read(index()).referrer_type is None


def test_unknown_fields_empty_layers_and_data_are_legal() -> None:
    config = {**CONFIG, "data": "e30=", "annotations": {"x": "y"}}
    manifest = read(image(config=config, layers=[], org={"example": [1]}, annotations={"k": "v"}))
    assert manifest.layers == ()
    assert manifest.annotations == {"k": "v"}


def test_layers_may_be_null_as_go_writes_an_empty_list() -> None:
    assert read(image(layers=None)).layers == ()


@pytest.mark.parametrize(
    ("document", "content_type", "hint"),
    [
        ([], None, "object"),
        ("text", None, "object"),
        ({"schemaVersion": 2}, None, "neither"),
        (image(schemaVersion=1), None, "schema 1"),
        (image(schemaVersion="2"), None, "schemaVersion"),
        (image(mediaType=2), None, "string"),
        (image(), mediatype.OCI_INDEX, "Content-Type"),
        (image(mediaType="text/plain"), None, "no manifest type"),
        ({"schemaVersion": 1}, min(mediatype.DOCKER_SCHEMA1), "schema 1"),
        (image(config=None), None, "config"),
        (image(config={}), None, "mediaType"),
        (image(layers={}), None, "list"),
        (image(layers=[1]), None, "descriptor"),
        (image(layers=[{**LAYER, "digest": "sha256:x"}]), None, "no digest"),
        (image(layers=[{**LAYER, "digest": None}]), None, "digest is missing"),
        (image(layers=[{**LAYER, "size": -1}]), None, "size"),
        (image(layers=[{**LAYER, "size": 2**63}]), None, "size"),
        (image(layers=[{**LAYER, "size": True}]), None, "size"),
        (image(layers=[{**LAYER, "size": 1.5}]), None, "size"),
        (image(layers=[{**LAYER, "mediaType": "a\x00b"}]), None, "media type"),
        (image(layers=[{**LAYER, "urls": ["https://example.com"]}]), None, "urls"),
        (image(layers=[{**FOREIGN, "urls": []}]), None, "without urls"),
        (image(layers=[LAYER] * 10_001), None, "10001"),
        (image(manifests=[]), None, "that is an index"),
        (index(layers=[]), None, "those are an image's"),
        (image(subject={"digest": "x"}), None, "subject"),
        (image(artifactType=["a"]), None, "artifactType"),
        (image(artifactType="\ud800"), None, "artifactType"),
        (image(annotations={"a": 1}), None, "annotations"),
    ],
)
def test_a_broken_manifest_is_refused_with_the_part_that_is_wrong(
    document: object, content_type: str | None, hint: str
) -> None:
    with pytest.raises(ManifestInvalid, match=hint):
        read(document, content_type)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 200_000, "too deeply"),
        (b'{"a":' * 200_000, "too deeply"),
        (b'{"schemaVersion": ' + b"9" * 10_000 + b"}", "not JSON"),
    ],
)
def test_bytes_that_are_no_json_document_are_refused(content: bytes, hint: str) -> None:
    with pytest.raises(ManifestInvalid, match=hint):
        parse_manifest(content, mediatype.OCI_MANIFEST)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "digest"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(JSON, st.sampled_from([None, mediatype.OCI_MANIFEST, mediatype.OCI_INDEX]))
def test_any_json_is_either_a_manifest_or_refused(document: Any, content_type: str | None) -> None:
    if isinstance(document, dict):
        document["schemaVersion"] = 2
    try:
        manifest = read(document, content_type)
    except ManifestInvalid:
        return
    assert manifest.media_type in mediatype.MANIFESTS | mediatype.INDEXES
