"""Which image of an index is meant where one is wanted."""

import pytest

from tidegate.images.imports.platforms import PREFER_ARCHITECTURE, PREFER_OS, Platform, choose
from tidegate.images.kinds.content import ImageManifest

HERE = Platform("arm64", "linux")


def listed(*platforms: str) -> list[ImageManifest]:
    images = []
    for number, each in enumerate(platforms):
        os, _, architecture = each.partition("/")
        images.append(
            ImageManifest(
                digest=f"sha256:{number:064}",
                media_type="",
                manifest_size=1,
                architecture=architecture,
                os=os,
            )
        )
    return images


@pytest.mark.parametrize(
    ("platforms", "prefer", "chosen"),
    [
        (["linux/amd64", "linux/arm64"], Platform(), "linux/arm64"),  # where the server runs
        (["linux/s390x", "linux/amd64"], Platform(), "linux/amd64"),  # the usual one
        (["linux/s390x", "linux/ppc64le"], Platform(), "linux/s390x"),  # the first
        (["linux/amd64", "linux/arm64", "linux/s390x"], Platform("s390x"), "linux/s390x"),
        (["windows/amd64", "linux/amd64"], Platform("amd64"), "linux/amd64"),
        (["windows/amd64", "linux/arm64"], Platform("amd64"), "windows/amd64"),
        (["linux/amd64", "windows/amd64"], Platform("", "windows"), "windows/amd64"),
        (["linux/amd64", "linux/arm64"], Platform("riscv64", "linux"), "linux/arm64"),
        (["unknown/unknown", "linux/s390x"], Platform(), "linux/s390x"),  # an attestation
        (["unknown/unknown"], Platform(), "unknown/unknown"),
        (["/"], Platform(), "/"),
    ],
)
def test_an_image_is_chosen_by_preference_then_by_where_the_server_runs(
    platforms: list[str], prefer: Platform, chosen: str
) -> None:
    found = choose(listed(*platforms), prefer, HERE)
    assert found is not None
    assert f"{found.os}/{found.architecture}" == chosen


def test_of_an_index_without_images_none_is_chosen() -> None:
    assert choose([], Platform("amd64"), HERE) is None


def test_a_tag_says_in_annotations_what_it_prefers() -> None:
    assert Platform.preferred({PREFER_ARCHITECTURE: "arm64", "other": "x"}) == Platform("arm64")
    assert Platform.preferred({PREFER_OS: "windows"}) == Platform("", "windows")


def test_the_servers_own_platform_is_named_as_images_name_it() -> None:
    assert Platform.own().architecture not in ("x86_64", "aarch64", "")
