"""A stream of this registry as a side of a copy: what a push does, and by the same rules."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.images import artifact, image, index, layer, small_image
from tests.unit.delivery.mirrors.local_world import WEB, WHO, Registry, content_of, held_of
from tests.unit.delivery.mirrors.world import Shelf
from tidegate.delivery.mirrors import local_upload
from tidegate.delivery.mirrors.copying import Copied, Copier, Order
from tidegate.delivery.mirrors.errors import NotCopied
from tidegate.delivery.mirrors.local_place import LocalPlace, LocalTarget
from tidegate.delivery.mirrors.local_upload import Local
from tidegate.images.streams.errors import LimitExceeded, QuotaExceeded, TagImmutable, TagRefused
from tidegate.metastore import uploads
from tidegate.metastore.projects import ProjectGone
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName
from tidegate.storage.memory import Memory

BOTH = index(small_image("amd", "amd64"), small_image("arm", "arm64"))
ORIGIN = "quay.io/org/app:1"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "here")


def pull(registry: Registry, here: Shelf, tag: str = "1", name: RepositoryName = WEB) -> Copied:
    """Copy a tag into the registry."""

    async def work(local: Local) -> Copied:
        target = LocalTarget(local, name, WHO)
        return await Copier().copy(Order(here.place(), tag, target, tag, ORIGIN))

    return registry.run(work)


def test_what_comes_in_is_as_if_it_had_been_pushed_but_for_its_history(
    registry: Registry, here: Shelf
) -> None:
    sbom = artifact("application/spdx+json", b"sbom", BOTH)
    here.put(BOTH, "1")
    here.refer(BOTH, sbom)
    assert pull(registry, here).moved
    assert registry.has(BOTH)
    assert registry.has(sbom)
    assert registry.tag("1") == BOTH.digest
    (event,) = registry.events("1")
    assert (event.how, event.who, event.detail) == ("import", WHO, ORIGIN)
    assert event.reference == f"/shop/web@{BOTH.digest}"
    made = registry.image(BOTH.children[0].digest)
    assert made is not None
    assert made.docker_image_metadata["Architecture"] == "amd64"
    assert made.metadata.annotations["openshift.io/image.managed"] == "true"
    # a registry of ours lists referrers by itself
    place = registry.run(lambda local: LocalPlace(local, WEB).referrers(Digest(BOTH.digest)))
    assert place == [sbom.digest]
    assert registry.run(lambda local: LocalPlace(local, WEB).tags()) == ["1"]


def test_the_same_again_writes_no_event_and_asks_the_source_for_no_blob(
    registry: Registry, here: Shelf
) -> None:
    here.put(BOTH, "1")
    pull(registry, here)
    for child in BOTH.children:
        for blob in child.blobs:
            (here.path / "blobs" / blob.digest.replace(":", "/")).unlink()
    again = pull(registry, here)
    assert not again.moved
    assert len(registry.events("1")) == 1


def test_a_stream_goes_out_with_all_that_it_has(
    registry: Registry, here: Shelf, tmp_path: Path
) -> None:
    sbom = artifact("application/spdx+json", b"sbom", BOTH)
    here.put(BOTH, "1")
    here.refer(BOTH, sbom)
    pull(registry, here)
    there = Shelf(tmp_path / "there")

    async def push(local: Local) -> Copied:
        order = Order(LocalPlace(local, WEB), "1", there.target(), "1", "shop/web:1")
        return await Copier().copy(order)

    registry.run(push)
    assert there.has(BOTH)
    assert there.has(sbom)


def test_what_another_project_has_is_not_taken_for_what_the_source_has(
    registry: Registry, here: Shelf
) -> None:
    """Whoever knows a digest could else read another's layers."""
    secret = small_image("secret")
    registry.fill(secret, "1", RepositoryName("other/private"))
    here.put(secret, "1")
    blob = secret.blobs[1]
    (here.path / "blobs" / blob.digest.replace(":", "/")).unlink()
    with pytest.raises(Exception, match=f"has no blob {blob.digest}"):
        pull(registry, here)
    assert registry.links(blob.digest) is None


def test_a_blob_of_another_stream_of_the_run_is_linked_and_not_sent_again(
    registry: Registry, here: Shelf
) -> None:
    here.put(BOTH, "1")

    async def both(local: Local) -> list[str]:
        copier = Copier()
        found = []
        for name in ("shop/web", "shop/second", "other/third"):
            target = LocalTarget(local, RepositoryName(name), WHO)
            copied = await copier.copy(Order(here.place(), "1", target, "1", ORIGIN))
            found.append(",".join(sorted({each.how for each in copied.blobs})))
        return found

    assert registry.run(both) == ["copied", "mounted", "copied"]


def test_the_projects_rules_hold(registry: Registry, here: Shelf) -> None:
    here.put(small_image("x"), "1")
    here.put(small_image("y"), "v1")
    pull(registry, here, "v1")
    _policy(registry, immutable=["v*"], naming={"tags": {"channels": ["v1"]}})
    here.put(small_image("z"), "v1")
    with pytest.raises(TagImmutable):
        pull(registry, here, "v1")
    with pytest.raises(TagRefused, match="tag 1 is not allowed"):
        pull(registry, here)
    assert registry.tag("v1") == small_image("y").digest


def test_the_projects_quota_holds(registry: Registry, here: Shelf) -> None:
    _quota(registry)
    here.put(image(layer({"large": bytes(range(256)) * 40})), "1")
    with pytest.raises(QuotaExceeded):
        pull(registry, here)
    assert registry.tag("1") is None


@pytest.mark.parametrize(("name", "why"), [("shop/web", QuotaExceeded), ("none/web", ProjectGone)])
def test_a_blob_that_may_not_be_leaves_no_session(
    registry: Registry, name: str, why: type[Exception]
) -> None:
    _quota(registry)
    data = b"x" * 1000

    async def push(local: Local) -> None:
        target = LocalTarget(local, RepositoryName(name), WHO)
        await target.push_blob(Digest.of(data), len(data), content_of(data))

    with pytest.raises(why):
        registry.run(push)
    assert _sessions(registry) == 0


def test_the_projects_limit_of_one_image_holds(registry: Registry, here: Shelf) -> None:
    limits = [{"type": "openshift.io/Image", "max": {"storage": "100"}}]
    body = {"metadata": {"name": "l", "namespace": "shop"}, "spec": {"limits": limits}}
    registry.put("limitranges", "shop", "l", msgspec.json.encode(body))
    here.put(image(layer({"large": bytes(range(256)) * 40})), "1")
    with pytest.raises(LimitExceeded):
        pull(registry, here)


def test_nothing_comes_into_a_project_that_is_gone_or_going(
    registry: Registry, here: Shelf
) -> None:
    here.put(small_image("x"), "1")
    with pytest.raises(ProjectGone):
        pull(registry, here, name=RepositoryName("none/web"))
    registry.namespace("shop", ending="2026-01-01T00:00:00Z")
    with pytest.raises(ProjectGone):
        pull(registry, here)


def test_a_name_that_means_another_tag_at_a_time_is_refused(
    registry: Registry, here: Shelf
) -> None:
    here.put(small_image("x"), "1.at-20260101T000000Z")
    with pytest.raises(NotCopied, match="means another tag"):
        pull(registry, here, "1.at-20260101T000000Z")


def test_a_killed_process_loses_less_than_one_note_of_an_upload(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_upload, "NOTED", 3 << 20)
    data = bytes(range(256)) * (10 << 12)  # 10 MB
    digest = Digest.of(data)
    asked: list[int] = []

    async def cut(offset: int) -> AsyncGenerator[bytes, None]:
        asked.append(offset)
        for start in range(offset, 8 << 20, 1 << 20):
            yield data[start : start + (1 << 20)]
        raise NotCopied("the line is dead")

    async def rest(offset: int) -> AsyncGenerator[bytes, None]:
        asked.append(offset)
        yield data[offset:]

    def push(content: Any) -> None:
        registry.run(
            lambda local: LocalTarget(local, WEB, WHO).push_blob(digest, len(data), content)
        )

    with pytest.raises(NotCopied, match="dead"):
        push(cut)
    assert registry.links(digest) is None
    push(rest)
    assert asked == [0, 8 << 20]
    assert registry.links(digest) == len(data)
    assert _sessions(registry) == 0


def test_bytes_with_another_digest_are_not_kept_and_the_next_try_begins_anew(
    registry: Registry,
) -> None:
    data = b"right" * 1000
    digest = Digest.of(data)

    def push(content: bytes) -> None:
        registry.run(
            lambda local: LocalTarget(local, WEB, WHO).push_blob(
                digest, len(data), content_of(content)
            )
        )

    with pytest.raises(NotCopied, match="not " + digest):
        push(b"wrong" * 1000)
    assert _sessions(registry) == 0
    push(data)
    assert registry.links(digest) == len(data)


def test_two_that_copy_one_blob_at_once_do_not_write_into_each_other(tmp_path: Path) -> None:
    registry = Registry(tmp_path, Memory())
    data = b"x" * 5000
    digest = Digest.of(data)

    async def both(local: Local) -> None:
        target = LocalTarget(local, WEB, WHO)

        async def slow(offset: int) -> AsyncGenerator[bytes, None]:
            with pytest.raises(NotCopied, match="being copied"):
                await target.push_blob(digest, len(data), content_of(data))
            yield data[offset:]

        await target.push_blob(digest, len(data), slow)

    registry.run(both)
    assert registry.links(digest) == len(data)


def test_a_manifest_whose_blobs_are_not_here_is_refused(registry: Registry) -> None:
    lonely = small_image("x")

    async def push(local: Local) -> None:
        await LocalTarget(local, WEB, WHO).push_manifest("1", held_of(lonely), ORIGIN)

    with pytest.raises(NotCopied, match="has no sha256"):
        registry.run(push)


def test_a_tag_is_dropped_unless_it_is_to_stay(registry: Registry) -> None:
    registry.fill(small_image("x"), "1")
    registry.fill(small_image("x"), "v1")
    _policy(registry, immutable=["v*"])

    def drop(tag: str) -> bool:
        return registry.run(lambda local: LocalTarget(local, WEB, WHO).drop_tag(tag))

    assert drop("1")
    assert not drop("1")
    with pytest.raises(TagImmutable):
        drop("v1")
    assert registry.tag("v1") == small_image("x").digest


def _quota(registry: Registry) -> None:
    hard = {"hard": {"tidegate.io/storage": "100"}}
    body = {"metadata": {"name": "q", "namespace": "shop"}, "spec": hard}
    registry.put("resourcequotas", "shop", "q", msgspec.json.encode(body))


def _policy(registry: Registry, **spec: Any) -> None:
    body = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"mode": "Enforce", **spec}}
    registry.put("tagpolicies.tidegate.io", "shop", "p", json.dumps(body).encode())


def _sessions(registry: Registry) -> int:
    found = registry.run(lambda local: uploads.expired(local.database, 9e12, 100))
    return len(found)
