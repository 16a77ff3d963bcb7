"""Rules of openshift-apiserver's image strategy and validation."""

import json

from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images.kinds.image import IMAGES, Image, ImageLayer, ImageManifest
from tidegate.oci.digest import Digest
from tidegate.oci.mediatype import DOCKER_MANIFEST

STRATEGY = IMAGES.strategy
CONFIG = json.dumps({"architecture": "amd64", "config": {"User": "1"}})
CONFIG_DIGEST = Digest.of(CONFIG.encode())
BASE, TOP = "sha256:" + "a" * 64, "sha256:" + "b" * 64
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"digest": CONFIG_DIGEST, "size": len(CONFIG), "mediaType": "c"},
        "layers": [
            {"digest": BASE, "size": 3, "mediaType": "l"},
            {"digest": TOP, "size": 4, "mediaType": "l"},
        ],
    }
)
NAME = Digest.of(MANIFEST.encode())


def posted() -> Image:
    return Image(
        metadata=ObjectMeta(name=NAME),
        docker_image_reference="r.io/a",
        docker_image_manifest=MANIFEST,
        docker_image_config=CONFIG,
    )


def created() -> Image:
    image = posted()
    STRATEGY.prepare(image, None)
    return image


def faults(image: Image) -> list[str]:
    return [str(each) for each in STRATEGY.validate(image, None)]


def test_what_the_manifest_says_is_derived_on_create() -> None:
    image = created()
    assert image.docker_image_metadata["Id"] == CONFIG_DIGEST
    assert image.docker_image_metadata["Size"] == len(CONFIG) + 7
    assert image.docker_image_metadata["Architecture"] == "amd64"
    assert image.docker_image_metadata_version == "1.0"
    assert image.docker_image_manifest_media_type == DOCKER_MANIFEST
    assert [each.name for each in image.docker_image_layers] == [BASE, TOP]
    assert image.metadata.annotations == {"image.openshift.io/dockerLayersOrder": "ascending"}


def test_what_was_said_already_is_not_derived() -> None:
    image = posted()
    image.docker_image_metadata = {"Size": 5}
    image.docker_image_layers = [ImageLayer(name=TOP, size=1, media_type="x")]
    STRATEGY.prepare(image, None)
    assert image.docker_image_metadata == {"Size": 5}
    assert [each.size for each in image.docker_image_layers] == [1]


def test_texts_kept_as_content_are_dropped() -> None:
    image = posted()
    image.metadata.annotations = {"image.openshift.io/manifestBlobStored": "true"}
    STRATEGY.prepare(image, None)
    assert image.docker_image_manifest == image.docker_image_config == ""
    assert image.docker_image_metadata["Id"] == CONFIG_DIGEST


def test_layers_that_begin_with_the_top_are_turned_once() -> None:
    layers = [ImageLayer(name=each, size=1, media_type="l") for each in (TOP, BASE)]
    image = Image(docker_image_layers=layers, docker_image_manifest_media_type=DOCKER_MANIFEST)
    for _ in range(2):
        STRATEGY.prepare(image, None)
        assert [each.name for each in image.docker_image_layers] == [BASE, TOP]
    other = Image(docker_image_layers=layers)
    STRATEGY.prepare(other, None)
    assert [each.name for each in other.docker_image_layers] == [TOP, BASE]


def test_an_update_keeps_what_was_derived_silently() -> None:
    old, new = created(), created()
    new.docker_image_metadata, new.docker_image_metadata_version = {"Size": 1}, "2"
    new.docker_image_layers = []
    new.docker_image_manifest, new.docker_image_config = "{}", "{}"
    new.docker_image_reference = "other.io/a"
    STRATEGY.prepare(new, old)
    assert new.docker_image_reference == "other.io/a"
    new.docker_image_reference = "r.io/a"
    assert new == old


def test_an_update_may_take_the_texts_away_and_bring_the_right_ones_back() -> None:
    old, new = created(), created()
    new.docker_image_manifest = new.docker_image_config = ""
    STRATEGY.prepare(new, old)
    assert new.docker_image_manifest == new.docker_image_config == ""
    back = created()
    STRATEGY.prepare(back, new)
    assert (back.docker_image_manifest, back.docker_image_config) == (MANIFEST, CONFIG)


def test_an_image_has_a_pull_spec() -> None:
    assert faults(created()) == []
    assert faults(Image()) == ["dockerImageReference: Required value"]
    assert faults(Image(docker_image_reference="A/B")) == [
        'dockerImageReference: Invalid value: "A/B": repository name must be lowercase'
    ]


def test_an_image_has_layers_or_manifests() -> None:
    child = ImageManifest(digest="x", media_type="m", manifest_size=-1, architecture="", os="")
    image = created()
    image.docker_image_manifests = [child]
    assert [each.partition(":")[0] for each in faults(image)] == [
        "dockerImageLayers",
        "dockerImageManifests[0].digest",
        "dockerImageManifests[0].architecture",
        "dockerImageManifests[0].os",
        "dockerImageManifests[0].size",
    ]


def test_an_index_whose_manifests_name_no_platform_can_still_be_annotated() -> None:
    child = ImageManifest(digest=BASE, media_type="m", manifest_size=1, architecture="", os="")
    image = Image(docker_image_reference="r.io/a", docker_image_manifests=[child])
    assert len(faults(image)) == 2
    assert list(STRATEGY.validate(image, image)) == []


def test_a_name_may_stand_in_a_path() -> None:
    assert STRATEGY.name_fault is not None
    assert STRATEGY.name_fault(NAME) is None
    assert STRATEGY.name_fault("a/b") == "may not contain '/'"
