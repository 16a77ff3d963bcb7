"""The surface of image.openshift.io/v1 (openshift/api, image/v1; recorded discovery)."""

import msgspec
import pytest

from tidegate.apimachinery.openapi.definitions import Definitions
from tidegate.apimachinery.resource import STANDARD
from tidegate.apimachinery.schema import schema_of
from tidegate.images.kinds.image import IMAGES, Image
from tidegate.images.kinds.image_signature import IMAGE_SIGNATURES
from tidegate.images.kinds.image_stream import IMAGE_STREAMS, ImageStream
from tidegate.images.kinds.image_stream_image import IMAGE_STREAM_IMAGES
from tidegate.images.kinds.image_stream_import import IMAGE_STREAM_IMPORTS
from tidegate.images.kinds.image_stream_layers import ImageBlobReferences, ImageLayerData
from tidegate.images.kinds.image_stream_mapping import IMAGE_STREAM_MAPPINGS
from tidegate.images.kinds.image_stream_tag import IMAGE_STREAM_TAGS
from tidegate.images.kinds.image_tag import IMAGE_TAGS
from tidegate.images.kinds.tag_history import (
    HOWS,
    TagHistory,
    TagHistoryEvent,
    TagHistoryMeta,
    TagRollback,
    TagRollbackTarget,
)

RESOURCES = (
    IMAGES,
    IMAGE_SIGNATURES,
    IMAGE_STREAMS,
    IMAGE_STREAM_TAGS,
    IMAGE_TAGS,
    IMAGE_STREAM_IMAGES,
    IMAGE_STREAM_MAPPINGS,
    IMAGE_STREAM_IMPORTS,
)
TAG_VERBS = ("create", "delete", "get", "list", "patch", "update")


def test_resources_have_the_verbs_and_short_names_that_clients_discover() -> None:
    assert [
        (each.plural, each.kind, each.namespaced, each.short_names, each.verbs)
        for each in RESOURCES
    ] == [
        ("images", "Image", False, (), STANDARD),
        ("imagesignatures", "ImageSignature", False, (), ("create", "delete")),
        ("imagestreams", "ImageStream", True, ("is",), STANDARD),
        ("imagestreamtags", "ImageStreamTag", True, ("istag",), TAG_VERBS),
        ("imagetags", "ImageTag", True, ("itag",), TAG_VERBS),
        ("imagestreamimages", "ImageStreamImage", True, ("isimage",), ("get",)),
        ("imagestreammappings", "ImageStreamMapping", True, (), ("create",)),
        ("imagestreamimports", "ImageStreamImport", True, (), ("create",)),
    ]
    assert {each.api_version for each in RESOURCES} == {"image.openshift.io/v1"}
    assert IMAGE_STREAMS.categories == ("all",)


def test_subresources_have_their_own_kinds() -> None:
    found = {
        f"{each.plural}/{name}": (sub.kind, sub.verbs)
        for each in RESOURCES
        for name, sub in each.subresources.items()
    }
    assert found == {
        "images/undelete": ("ImageUndelete", ("create",)),
        "imagestreams/layers": ("ImageStreamLayers", ("get",)),
        "imagestreams/secrets": ("SecretList", ("get",)),
        "imagestreams/status": ("ImageStream", ("get", "patch", "update")),
        "imagestreams/undelete": ("ImageStream", ("create",)),
        "imagestreamtags/history": ("TagHistory", ("get",)),
        "imagestreamtags/rollback": ("TagRollback", ("create",)),
        "imagestreamtags/undelete": ("TagUndelete", ("create",)),
    }


def test_lists_are_merged_by_the_keys_that_clients_have_compiled_in() -> None:
    stream, image = schema_of(ImageStream), schema_of(Image)
    assert stream.fields["spec"].fields["tags"].merge_key == "name"
    assert stream.fields["status"].fields["tags"].merge_key == "tag"
    assert image.fields["signatures"].merge_key == "name"
    assert image.fields["signatures"].list_keys == ()
    assert image.fields["dockerImageMetadata"].patch_strategy == "replace"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.plural)
def test_an_empty_object_is_written_and_read(resource: object) -> None:
    kind = next(each for each in RESOURCES if each is resource).type
    assert msgspec.json.decode(msgspec.json.encode(kind()), type=kind) == kind()


def test_no_two_kinds_have_one_definition() -> None:
    written = Definitions(RESOURCES, "#/definitions/").json()
    assert "com.github.openshift.api.image.v1.ImageStream" in written
    assert "com.github.openshift.api.image.v1.TagHistory" in written


def test_an_image_says_only_what_it_has() -> None:
    assert msgspec.to_builtins(Image()) == {"metadata": {}}


def test_what_is_not_known_of_a_blob_is_null() -> None:
    assert msgspec.to_builtins(ImageLayerData()) == {"size": None, "mediaType": ""}
    assert msgspec.to_builtins(ImageBlobReferences(image_missing=True)) == {
        "imageMissing": True,
        "layers": [],
        "config": None,
        "manifests": [],
    }


def test_a_history_is_read_in_pages() -> None:
    event = TagHistoryEvent(number=1, from_="r.io/a", how=HOWS[0])
    history = TagHistory(metadata=TagHistoryMeta(name="s:t", continue_="c"), items=[event])
    assert msgspec.to_builtins(history) == {
        "metadata": {"name": "s:t", "continue": "c"},
        "items": [{"number": 1, "how": "push", "hidden": False, "from": "r.io/a"}],
    }
    assert msgspec.convert({"to": {"number": 3}}, TagRollback).to == TagRollbackTarget(number=3)
