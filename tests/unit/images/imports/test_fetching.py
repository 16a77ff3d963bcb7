"""An image from another registry: which of its parts are fetched, and what is refused."""

import asyncio
import json
from typing import Any, cast

import pytest

from tests.images import (
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    Content,
    Pushable,
    artifact,
    encode,
    index,
    layer,
)
from tests.images import small_image as small
from tests.unit.images.imports.far_registry import Far
from tidegate.images.imports.attached import REFERRERS, Attached
from tidegate.images.imports.fetched import Fetched
from tidegate.images.imports.fetching import LAYERS, MEMBERS, Allowance, fetch
from tidegate.images.imports.platforms import ANY, Platform
from tidegate.images.kinds.tag_reference import LEGACY, PRESERVE_ORIGINAL
from tidegate.oci.digest import Digest
from tidegate.remote.errors import ContentMissing, RemoteError, Unavailable
from tidegate.remote.gateway import Registries
from tidegate.remote.location import Location

APP = Location("far.example", "team/app")


def registries(far: Far) -> Registries:
    return cast("Registries", far.registries())


def fetched(
    far: Far,
    reference: str = "1",
    mode: str = LEGACY,
    prefer: Platform = ANY,
    allowance: Allowance | None = None,
) -> Fetched:
    return asyncio.run(fetch(registries(far), APP, reference, mode, prefer, allowance=allowance))


def refused(far: Far, mode: str = PRESERVE_ORIGINAL, allowance: Allowance | None = None) -> str:
    with pytest.raises(RemoteError) as error:
        fetched(far, mode=mode, allowance=allowance)
    return str(error.value)


def with_layers(count: int, **descriptor: Any) -> Pushable:
    """An image of so many layers that nobody has."""
    config = Content(
        b'{"architecture":"amd64","os":"linux"}', "application/vnd.oci.image.config.v1+json"
    )
    part = {"mediaType": "a/b", "digest": f"sha256:{'0' * 64}", "size": 1, **descriptor}
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [part] * count,
    }
    return Pushable(Content(encode(document), IMAGE_MANIFEST), (config,))


def test_an_image_comes_with_its_configuration_and_no_layer_is_read() -> None:
    far = Far()
    pushed = far.put(str(APP), small("a"), "1")
    found = fetched(far)
    assert found.digest == found.named == pushed.digest
    assert found.config == pushed.blobs[0].data
    assert found.location == APP
    assert far.asked == {
        f"GET {APP}:1": 1,
        f"GET blob {APP}@{pushed.blobs[0].digest}": 1,
    }


def test_of_an_index_legacy_takes_the_image_of_the_platform_that_is_preferred() -> None:
    far = Far()
    amd, arm = small("a", "amd64"), small("a", "arm64")
    multi = far.put(str(APP), index(amd, arm), "1")
    found = fetched(far, prefer=Platform("arm64"))
    assert found.digest == arm.digest
    assert found.named == multi.digest
    assert not found.children
    assert f"GET {APP}@{amd.digest}" not in far.asked


def test_preserve_original_brings_every_image_of_the_index() -> None:
    far = Far()
    amd, arm = small("a", "amd64"), small("a", "arm64")
    multi = far.put(str(APP), index(amd, arm), "1")
    found = fetched(far, mode=PRESERVE_ORIGINAL)
    assert found.digest == found.named == multi.digest
    assert [each.digest for each in found.children] == [amd.digest, arm.digest]
    assert all(each.config for each in found.children)
    assert [each.digest for each in found.members()][-1] == multi.digest


def test_an_image_that_an_index_names_twice_is_fetched_once() -> None:
    far = Far()
    one = small("a")
    far.put(str(APP), index(one, one), "1")
    assert len(fetched(far, mode=PRESERVE_ORIGINAL).children) == 1
    assert far.asked[f"GET {APP}@{one.digest}"] == 1


def test_an_index_may_be_in_an_index_and_no_deeper() -> None:
    far = Far()
    inner = index(small("a"))
    far.put(str(APP), index(inner), "1")
    assert fetched(far, mode=LEGACY).digest == small("a").digest
    assert fetched(far, mode=PRESERVE_ORIGINAL).children[0].digest == inner.digest
    far.put(str(APP), index(index(inner)), "1")
    assert "more than 2 indexes are in one another" in refused(far)
    assert "more than 2 indexes are in one another" in refused(far, mode=LEGACY)


def test_one_image_that_is_missing_fails_the_whole_index() -> None:
    far = Far()
    lost = small("lost")
    far.put(str(APP), index(small("a"), lost), "1")
    del far.manifests[f"{APP}@{lost.digest}"]
    with pytest.raises(ContentMissing):
        fetched(far, mode=PRESERVE_ORIGINAL)


def test_an_index_of_more_manifests_than_an_image_has_is_refused_before_any_is_fetched() -> None:
    far = Far()
    entry = {"mediaType": IMAGE_INDEX, "size": 2}
    many = [{**entry, "digest": f"sha256:{n:064x}"} for n in range(MEMBERS + 1)]
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": many}
    far.put(str(APP), Pushable(Content(json.dumps(document).encode(), IMAGE_INDEX)), "1")
    assert f"more than {MEMBERS} manifests" in refused(far)
    assert sum(far.asked.values()) == 1


def test_manifests_of_nested_indexes_count_together() -> None:
    far = Far()
    inner = [index(*(small(f"{n} {m}") for m in range(MEMBERS // 2))) for n in range(2)]
    far.put(str(APP), index(*inner), "1")
    assert f"more than {MEMBERS} manifests" in refused(far)


def test_an_image_of_thousands_of_layers_is_refused() -> None:
    far = Far()
    far.put(str(APP), with_layers(LAYERS + 1), "1")
    assert f"{LAYERS + 1} layers, more than {LAYERS}" in refused(far)


def test_what_an_import_brings_is_bounded_in_bytes_over_all_its_images() -> None:
    far = Far()
    pushed = far.put(str(APP), small("a"), "1")
    size = len(pushed.manifest.data) + len(pushed.blobs[0].data)
    allowance = Allowance(2 * size - 1)
    fetched(far, allowance=allowance)
    assert f"more than {2 * size - 1} bytes" in refused(far, allowance=allowance)


def test_what_an_import_brings_is_bounded_in_manifests_too() -> None:
    """Small ones cost as much to write as large ones."""
    far = Far()
    far.put(str(APP), index(small("a"), small("b")), "1")
    allowance = Allowance(manifests=3)
    fetched(far, mode=PRESERVE_ORIGINAL, allowance=allowance)
    assert "more than 3 manifests together" in refused(far, allowance=allowance)


def test_a_configuration_that_is_not_as_large_as_the_manifest_says_is_refused() -> None:
    far = Far()
    pushed = far.put(str(APP), small("a"), "1")
    for data in (b"short", pushed.blobs[0].data + b" more"):
        far.blobs[pushed.blobs[0].digest] = data
        assert "it has another number" in refused(far)


def test_a_configuration_too_large_to_be_read_is_left_where_it_is() -> None:
    far = Far()
    config = Content(b" " * (1024 * 1024 + 1), "application/vnd.oci.image.config.v1+json")
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": config.descriptor(),
        "layers": [],
    }
    manifest = Content(encode(document), IMAGE_MANIFEST)
    far.put(str(APP), Pushable(manifest, (config,)), "1")
    assert fetched(far).config is None
    assert not any(each.startswith("GET blob") for each in far.asked)


def test_an_index_that_lies_about_the_size_of_its_image_is_refused() -> None:
    far = Far()
    one = far.put(str(APP), small("a"))
    entry = {**one.manifest.descriptor(), "size": 7}
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [entry]}
    far.put(str(APP), Pushable(Content(encode(document), IMAGE_INDEX)), "1")
    assert f"{one.digest} has 7 bytes, it has {len(one.manifest.data)}" in refused(far)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"not json", b'{"schemaVersion":2,"layers":7}', b"[" * 100_000]
)
def test_what_is_no_manifest_is_refused_with_a_sentence(content: bytes) -> None:
    far = Far()
    kind = IMAGE_MANIFEST
    far.manifests[f"{APP}:1"] = Content(content, kind)
    assert "is no manifest: " in refused(far)


def test_an_index_without_images_is_imported_as_it_is_and_has_none_to_choose() -> None:
    far = Far()
    far.put(str(APP), index(), "1")
    assert fetched(far, mode=PRESERVE_ORIGINAL).children == ()
    assert "names no image" in refused(far, mode=LEGACY)


def test_sizes_that_the_manifest_does_not_tell_are_asked_for() -> None:
    far = Far()
    blob = layer({"a": b"b"})
    far.blobs[blob.digest] = blob.data
    far.put(str(APP), with_layers(2, digest=blob.digest, size=0), "1")
    assert fetched(far).sizes == {Digest(blob.digest): len(blob.data)}
    assert far.asked[f"HEAD blob {APP}@{blob.digest}"] == 1


def about(far: Far, one: Pushable) -> tuple[Fetched, list[str]]:
    async def look() -> tuple[Fetched, list[str]]:
        found = await fetch(registries(far), APP, one.digest, LEGACY, ANY)
        attached = Attached(registries(far), APP, Allowance())
        return await attached.of(found), attached.faults

    return asyncio.run(look())


def cosign(one: Pushable, suffix: str) -> str:
    return one.digest.replace(":", "-") + suffix


def test_what_is_about_an_image_comes_along_by_either_way() -> None:
    far = Far()
    one = far.put(str(APP), small("signed"), "1")
    signature = far.put(str(APP), artifact("application/x.sig", b"sig"), cosign(one, ".sig"))
    bill = far.put(str(APP), artifact("application/spdx+json", b"bill", one))
    far.signing[one.digest] = [b"one", b"two"]
    found, faults = about(far, one)
    assert {each.digest: each.tag for each in found.referrers} == {
        signature.digest: cosign(one, ".sig"),
        bill.digest: "",
    }
    assert found.signatures == (b"one", b"two")
    assert faults == []


def test_what_is_not_about_the_image_or_cannot_be_had_is_left_out_and_told() -> None:
    far = Far()
    one = far.put(str(APP), small("signed"), "1")
    stranger = far.put(str(APP), artifact("application/x", b"of another", small("other")))
    listed = far.put(str(APP), index(small("x")))
    far.referring[one.digest] = [stranger.manifest, listed.manifest]
    far.failing[f"{APP}:{cosign(one, '.att')}"] = Unavailable("down")
    found, faults = about(far, one)
    alone = "it is an index, which is imported as an image alone"
    assert found.referrers == ()
    assert sorted(faults) == sorted(
        [
            f"{APP}:{cosign(one, '.att')} was not imported: down",
            f"{stranger.digest} was not imported: it does not refer to {one.digest}",
            f"{listed.digest} was not imported: {alone}",
        ]
    )


def test_of_many_referrers_some_come() -> None:
    far = Far()
    one = far.put(str(APP), small("popular"), "1")
    for number in range(REFERRERS + 3):
        far.put(str(APP), artifact("application/x", str(number).encode(), one))
    found, faults = about(far, one)
    assert len(found.referrers) == REFERRERS
    assert faults == [
        f"{REFERRERS + 3} manifests refer to {one.digest}, of which {REFERRERS} were imported"
    ]


def test_at_most_ten_small_signatures_come() -> None:
    far = Far()
    one = far.put(str(APP), small("signed often"), "1")
    far.signing[one.digest] = [b"x" * 100_000, *(str(n).encode() for n in range(20))]
    found, _ = about(far, one)
    assert found.signatures == tuple(str(n).encode() for n in range(10))
