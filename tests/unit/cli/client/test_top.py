"""What images and streams take, added up as `oc adm top` adds."""

from typing import Any

from tidegate.cli.client.top import image_rows, read_image, read_stream, stream_rows

EMPTY = "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4"


def image(name: str, *layers: tuple[str, int], manifest: str = "", config: str = "") -> Any:
    return read_image(
        {
            "metadata": {"name": name},
            "dockerImageLayers": [{"name": layer, "size": size} for layer, size in layers],
            "dockerImageManifest": manifest,
            "dockerImageConfig": config,
            "dockerImageMetadata": {"Id": f"config-of-{name}"},
        }
    )


def stream(name: str, **tags: list[str]) -> Any:
    return read_stream(
        {
            "metadata": {"name": name, "namespace": "team"},
            "status": {
                "tags": [
                    {"tag": tag, "items": [{"image": each} for each in images]}
                    for tag, images in tags.items()
                ]
            },
        }
    )


BASE = image("sha256:base", ("l1", 1024))
APP = image(
    "sha256:application-of-the-team", ("l1", 1024), ("l2", 512), manifest="{}", config="x" * 10
)
TOP = image("sha256:top", ("l1", 1024), ("l2", 512), (EMPTY, 32), ("l3", 1))
FOUND = [BASE, APP, TOP]
WEB = stream("web", prod=[APP.name, BASE.name], test=[APP.name])
DB = stream("db", prod=[BASE.name])


def test_an_image_has_its_tags_parents_and_bytes() -> None:
    assert image_rows(FOUND, [WEB, DB]) == [
        ["sha256:base", "team/web (), team/db (prod)", "<none>", "<none>", "no", "1KiB"],
        [
            "sha256:application-of-the-team",
            "team/web (prod,test)",
            "sha256:base",
            "<none>",
            "yes",
            "1.51KiB",
        ],
        [
            "sha256:top",
            "<none>",
            "sha256:applicatio..., sha256:base",
            "<none>",
            "no",
            "1.532KiB",
        ],
    ]


def test_a_stream_counts_each_layer_once_in_its_bytes() -> None:
    assert stream_rows(FOUND, [DB, WEB]) == [
        ["team/web", "1.51KiB", "2", "3"],
        ["team/db", "1KiB", "1", "1"],
    ]


def test_images_that_are_gone_count_nothing() -> None:
    assert stream_rows([], [WEB]) == [["team/web", "0B", "0", "0"]]


def test_images_of_the_same_layers_are_not_each_others_parents() -> None:
    twins = [image("a", ("l1", 1)), image("b", ("l1", 1))]
    assert [row[2] for row in image_rows(twins, [])] == ["<none>", "<none>"]


def test_a_layer_named_twice_counts_once() -> None:
    assert image_rows([image("a", ("l1", 1024), ("l1", 1024))], [])[0][5] == "1KiB"


def test_objects_of_another_shape_are_empty() -> None:
    assert read_image({"dockerImageLayers": 7, "metadata": []}).blobs() == {}
    assert read_stream({"status": {"tags": [{"items": [{"image": 7}]}, 3]}}).images == frozenset()
