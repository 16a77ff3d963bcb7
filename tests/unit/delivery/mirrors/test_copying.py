"""Copying an image with all that belongs to it: what goes, in which order, and what is refused."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.images import (
    IMAGE_INDEX,
    Content,
    Pushable,
    artifact,
    encode,
    image,
    index,
    layer,
    small_image,
)
from tests.unit.delivery.mirrors.world import Shelf, run
from tidegate.delivery.layout.errors import LayoutError
from tidegate.delivery.mirrors import closure
from tidegate.delivery.mirrors.attached import fallback_tag
from tidegate.delivery.mirrors.closure import Wanted
from tidegate.delivery.mirrors.copying import Copied, Copier, Order
from tidegate.delivery.mirrors.errors import ClosureTooLarge, ImageMissing, NotCopied
from tidegate.delivery.mirrors.layout_place import LayoutTarget
from tidegate.delivery.mirrors.places import Content as Sent
from tidegate.delivery.mirrors.places import Held, Place
from tidegate.oci.digest import Digest

BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "there")


def copy(here: Shelf, there: Shelf, name: str = "1", *, to: str = "1", **options: object) -> Copied:
    order = Order(here.place(), name, there.target(), to, f"oci:{name}")
    return run(Copier(**options).copy(order))  # type: ignore[arg-type]


class Written(LayoutTarget):
    """A layout that remembers in which order it got what."""

    def __init__(self, shelf: Shelf, *, domain: str = "", fails: str = "") -> None:
        inner = shelf.target()
        super().__init__(inner.name, inner._writable)
        self.order: list[str] = []
        self.mounted: list[str] = []
        self._domain = domain
        self._fails = fails

    @property
    def domain(self) -> str:
        return self._domain or super().domain

    async def mount_blob(self, digest: Digest, size: int, holder: Place) -> bool:
        self.mounted.append(digest)

        async def content(offset: int) -> AsyncGenerator[bytes, None]:
            async for piece in holder.blob(digest, size, offset):
                yield piece

        await super().push_blob(digest, size, content)
        return True

    async def push_blob(self, digest: Digest, size: int, content: Sent) -> None:
        if digest == self._fails:
            raise LayoutError("no space left")
        await super().push_blob(digest, size, content)
        self.order.append(digest)

    async def push_manifest(self, reference: str, manifest: Held, origin: str) -> None:
        await super().push_manifest(reference, manifest, origin)
        self.order.append(reference)


def test_an_index_goes_with_its_images_referrers_and_cosign_tags(here: Shelf, there: Shelf) -> None:
    child = BOTH.children[0]
    sbom = artifact("application/spdx+json", b"sbom", child)
    signed = artifact("application/vnd.sig", b"signature of the sbom", sbom)
    cosign = artifact("application/vnd.cosign", b"cosign")
    cosign_tag = BOTH.digest.replace(":", "-") + ".sig"
    here.put(BOTH, "1")
    here.refer(child, sbom)
    here.refer(sbom, signed)
    here.put(cosign, cosign_tag)
    copied = copy(here, there)
    assert copied.moved
    for each in (BOTH, sbom, signed, cosign):
        assert there.has(each)
    names = there.names()
    assert names["1"] == BOTH.digest
    assert names[cosign_tag] == cosign.digest
    assert run(there.place().referrers(Digest(child.digest))) == [sbom.digest]
    assert run(there.place().referrers(Digest(sbom.digest))) == [signed.digest]
    assert {each.how for each in (*copied.manifests, *copied.blobs)} == {"copied"}
    assert {each.digest for each in copied.manifests} == {
        BOTH.digest,
        *(each.digest for each in BOTH.children),
        *(each.digest for each in (sbom, signed, cosign)),
    }


def test_blobs_go_first_then_children_then_what_refers_and_the_tag_last(
    here: Shelf, there: Shelf
) -> None:
    referrer = artifact("application/x", b"about", BOTH)
    here.put(BOTH, "1")
    here.refer(BOTH, referrer)
    target = Written(there)
    run(Copier().copy(Order(here.place(), "1", target, "1", "x")))
    order = target.order
    blobs = {blob.digest for each in BOTH.children for blob in each.blobs}
    last_blob = max(order.index(each) for each in blobs)
    for child in BOTH.children:
        assert last_blob < order.index(child.digest) < order.index(BOTH.digest)
    assert order.index(BOTH.digest) < order.index(referrer.digest)
    assert order.index(referrer.digest) < order.index(fallback_tag(Digest(BOTH.digest)))
    assert order[-1] == "1"


def test_a_failure_leaves_the_tag_as_it_was_and_the_next_try_goes_on(
    here: Shelf, there: Shelf
) -> None:
    old, new = small_image("old"), small_image("new")
    there.put(old, "1")
    here.put(new, "1")
    layers = new.blobs[1].digest
    target = Written(there, fails=layers)
    with pytest.raises(LayoutError, match="no space left"):
        run(Copier().copy(Order(here.place(), "1", target, "1", "x")))
    assert there.names()["1"] == old.digest
    copied = copy(here, there)
    assert there.names()["1"] == new.digest
    assert {each.digest: each.how for each in copied.blobs}[Digest(layers)] == "copied"


def test_what_the_target_has_is_not_read_at_the_source_again(here: Shelf, there: Shelf) -> None:
    here.put(BOTH, "1")
    copy(here, there)
    for child in BOTH.children:
        for blob in child.blobs:
            (here.path / "blobs" / blob.digest.replace(":", "/")).unlink()
        (here.path / "blobs" / child.digest.replace(":", "/")).unlink()
    again = copy(here, there)
    assert not again.moved
    assert {each.how for each in (*again.manifests, *again.blobs)} == {"present"}


def test_a_signature_that_came_later_follows_its_image(here: Shelf, there: Shelf) -> None:
    signed = small_image("signed")
    here.put(signed, "1")
    copy(here, there)
    first = artifact("application/x", b"first", signed)
    second = artifact("application/x", b"second", signed)
    here.refer(signed, first)
    assert not copy(here, there).moved
    there.refer(signed, first, second)  # and what others said at the target stays
    third = artifact("application/x", b"third", signed)
    here.refer(signed, first, third)
    copy(here, there)
    listed = run(there.place().referrers(Digest(signed.digest)))
    assert listed == [first.digest, second.digest, third.digest]


def test_a_cosign_tag_that_moved_is_moved_at_the_target(here: Shelf, there: Shelf) -> None:
    signed = small_image("signed")
    tag = signed.digest.replace(":", "-") + ".sig"
    here.put(signed, "1")
    for mark in (b"one signature", b"two signatures"):
        signature = artifact("application/x", mark)
        here.put(signature, tag)
        copy(here, there)
        assert there.names()[tag] == signature.digest


def test_without_referrers_the_image_goes_alone(here: Shelf, there: Shelf) -> None:
    here.put(BOTH, "1")
    here.refer(BOTH, artifact("application/x", b"about", BOTH))
    copied = copy(here, there, wanted=Wanted(referrers=False))
    assert len(copied.manifests) == 3
    assert list(there.names()) == ["1"]


def test_one_platform_is_its_image_and_several_are_the_index_with_those_alone(
    here: Shelf, there: Shelf
) -> None:
    three = index(*BOTH.children, small_image("s390", "s390x"))
    here.put(three, "1")
    copied = copy(here, there, to="one", wanted=Wanted(platforms=["linux/arm64"]))
    assert copied.digest == BOTH.children[1].digest
    copied = copy(here, there, to="two", wanted=Wanted(platforms=["linux/amd64", "linux/arm64"]))
    assert copied.digest == three.digest
    assert there.has(BOTH.children[0])
    assert there.read(three.children[2].digest) is None
    with pytest.raises(NotCopied, match="no image for linux/riscv64"):
        copy(here, there, wanted=Wanted(platforms=["linux/riscv64"]))


def test_an_attestation_goes_with_the_platform_that_it_is_about(here: Shelf, there: Shelf) -> None:
    amd, arm = BOTH.children
    attestations = [small_image(f"attestation of {each}") for each in ("amd", "arm")]
    listed = [
        *(each.manifest.descriptor(platform=dict(each.platform)) for each in (amd, arm)),
        *(
            each.manifest.descriptor(
                platform={"os": "unknown", "architecture": "unknown"},
                annotations={"vnd.docker.reference.digest": about.digest},
            )
            for each, about in zip(attestations, (amd, arm), strict=True)
        ),
    ]
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": listed}
    here.put(
        Pushable(Content(encode(document), IMAGE_INDEX), children=(amd, arm, *attestations)), "1"
    )
    copy(here, there, wanted=Wanted(platforms=["linux/arm64", "linux/arm/v7"]))
    assert there.has(attestations[1])
    assert not there.has(attestations[0])


def test_blobs_that_an_index_names_itself_are_blobs(here: Shelf, there: Shelf) -> None:
    """BuildKit's caches are indexes of layers."""
    cached = layer({"cache": b"x"})
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [cached.descriptor()]}
    cache = Pushable(Content(encode(document), IMAGE_INDEX), blobs=(cached,))
    here.put(cache, "1")
    copied = copy(here, there)
    assert there.has(cache)
    assert [each.digest for each in copied.blobs] == [cached.digest]


def test_two_images_of_a_run_send_what_they_share_once(here: Shelf, there: Shelf) -> None:
    shared = layer({"base": b"the same"})
    one, two = image(shared), image(shared, layer({"more": b"y"}))
    here.put(one, "1")
    here.put(two, "2")
    target = Written(there)

    async def both() -> list[Copied]:
        copier = Copier()
        orders = [Order(here.place(), tag, target, tag, tag) for tag in ("1", "2")]
        return [await copier.copy(each) for each in orders]

    run(both())
    assert target.order.count(shared.digest) == 1
    assert there.has(one)
    assert there.has(two)


def test_what_another_repository_of_the_target_has_is_mounted(here: Shelf, tmp_path: Path) -> None:
    here.put(small_image("x"), "1")
    first, second = Shelf(tmp_path / "first"), Shelf(tmp_path / "second")
    targets = [Written(each, domain="registry") for each in (first, second)]

    async def both() -> Copied:
        copier = Copier()
        await copier.copy(Order(here.place(), "1", targets[0], "1", "x"))
        return await copier.copy(Order(here.place(), "1", targets[1], "1", "x"))

    copied = run(both())
    assert {each.how for each in copied.blobs} == {"mounted"}
    assert sorted(targets[1].mounted) == sorted(each.digest for each in copied.blobs)
    assert targets[0].mounted == []


def test_wrong_bytes_at_the_source_are_refused_and_no_tag_moves(here: Shelf, there: Shelf) -> None:
    lying = small_image("lying")
    here.put(lying, "1")
    here.write(lying.blobs[1].digest, b"x" * len(lying.blobs[1].data))
    with pytest.raises(LayoutError, match="another digest"):
        copy(here, there)
    here.write(lying.blobs[1].digest, b"short")
    with pytest.raises(LayoutError, match="5 bytes"):
        copy(here, there)
    here.put(lying)
    here.write(lying.digest, lying.manifest.data.replace(b"linux", b"xunil") + b" ")
    with pytest.raises(LayoutError, match="have another digest"):
        copy(here, there)
    assert there.names() == {}


def test_a_manifest_that_gives_one_blob_two_sizes_is_refused(here: Shelf, there: Shelf) -> None:
    good = small_image("x")
    document = json.loads(good.manifest.data)
    document["layers"].append({**document["layers"][0], "size": 1})
    bad = Pushable(Content(encode(document), good.manifest.media_type), good.blobs)
    here.put(bad, "1")
    with pytest.raises(NotCopied, match="two sizes"):
        copy(here, there)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no json", "cannot be copied"),
        (b'{"schemaVersion":1}', "cannot be copied"),
        (b'{"schemaVersion":2,"manifests":[{"digest":"../../etc/passwd"}]}', "cannot be copied"),
    ],
)
def test_what_is_no_manifest_is_refused(
    here: Shelf, there: Shelf, content: bytes, why: str
) -> None:
    here.put(Pushable(Content(content, IMAGE_INDEX)), "1")
    with pytest.raises(NotCopied, match=why):
        copy(here, there)


def test_an_index_of_more_than_anybody_needs_is_refused_before_a_blob_moves(
    here: Shelf, there: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closure, "MEMBERS_LIMIT", 20)
    child = small_image("child")
    here.put(child)
    listed = []
    for number in range(21):
        manifest = Content(child.manifest.data + b" " * number, child.manifest.media_type)
        here.write(manifest.digest, manifest.data)
        listed.append(manifest.descriptor())
    document = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": listed}
    here.put(Pushable(Content(encode(document), IMAGE_INDEX)), "1")
    with pytest.raises(ClosureTooLarge):
        copy(here, there)
    assert not (there.path / "blobs").exists()


def test_indexes_nested_deeper_than_anybody_would_are_copied(here: Shelf, there: Shelf) -> None:
    nested = small_image("innermost")
    for _ in range(100):
        document = {
            "schemaVersion": 2,
            "mediaType": IMAGE_INDEX,
            "manifests": [nested.manifest.descriptor()],
        }
        here.put(nested)
        nested = Pushable(Content(encode(document), IMAGE_INDEX))
    here.put(nested, "1")
    assert len(copy(here, there).manifests) == 101


def test_a_listed_referrer_that_is_gone_is_left_out_with_a_word(here: Shelf, there: Shelf) -> None:
    there_is = small_image("x")
    gone = artifact("application/x", b"gone", there_is)
    here.put(there_is, "1")
    here.refer(there_is, gone)
    (here.path / "blobs" / gone.digest.replace(":", "/")).unlink()
    copied = copy(here, there)
    assert copied.warnings == (
        f"{gone.digest}, which is said to refer to {there_is.digest}, is not there",
    )


def test_an_image_that_is_not_there_is_said_to_be_missing(here: Shelf, there: Shelf) -> None:
    with pytest.raises(ImageMissing, match="has no 1"):
        copy(here, there)


def test_a_digest_without_a_tag_is_listed_by_its_digest(here: Shelf, there: Shelf) -> None:
    alone = small_image("x")
    here.put(alone, "1")
    copied = copy(here, there, alone.digest, to="")
    assert copied.digest == alone.digest
    assert there.names() == {"": alone.digest}


def test_a_dry_run_writes_nothing_and_says_what_would_go(here: Shelf, there: Shelf) -> None:
    here.put(BOTH, "1")
    there.put(BOTH.children[0])
    copied = copy(here, there, dry_run=True)
    assert copied.moved
    how = {str(each.digest): each.how for each in (*copied.manifests, *copied.blobs)}
    assert how[BOTH.children[0].digest] == how[BOTH.children[0].blobs[1].digest] == "present"
    assert how[BOTH.children[1].digest] == how[BOTH.children[1].blobs[1].digest] == "copied"
    assert there.names() == {}


def test_to_verify_reads_every_byte_at_the_target_again(here: Shelf, there: Shelf) -> None:
    checked = small_image("x")
    here.put(checked, "1")
    copy(here, there)
    blob = checked.blobs[1]
    there.write(blob.digest, b"z" * len(blob.data))
    copy(here, there)  # its size is as it was
    with pytest.raises(NotCopied, match=f"has other bytes for {blob.digest}"):
        copy(here, there, verify=True)
    there.write(blob.digest, blob.data)
    copy(here, there, verify=True)


def test_what_an_earlier_archive_brought_is_named_but_not_written(
    here: Shelf, there: Shelf
) -> None:
    shared = layer({"base": b"the same"})
    old, new = image(shared), image(shared, layer({"more": b"new"}))
    here.put(old, "1")
    here.put(new, "2")
    known = {old.digest, *(each.digest for each in old.blobs)}
    shelf = there.target()
    target = LayoutTarget(shelf.name, shelf._writable, known)

    async def both() -> Copied:
        copier = Copier(assumed=known)
        await copier.copy(Order(here.place(), "1", target, "1", "x"))
        return await copier.copy(Order(here.place(), "2", target, "2", "x"))

    copied = run(both())
    assert {each.how for each in copied.blobs} == {"assumed", "copied"}
    assert there.names() == {"1": old.digest, "2": new.digest}
    assert [there.read(each) for each in known] == [None] * len(known)
    assert there.read(new.digest) == new.manifest.data
