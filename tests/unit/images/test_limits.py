"""LimitRanges of images and streams: image-api section 11, and statement 23 of its section 18."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.images import limits
from tidegate.images.kinds.image_stream import ImageStream, TagReference
from tidegate.images.streams.errors import LimitExceeded
from tidegate.images.streams.rules import Rules
from tidegate.images.streams.stream import PUSH, Actor, Change, Stream
from tidegate.metastore.database import Transaction
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.name import RepositoryName

T = TypeVar("T")

WEB = RepositoryName("shop/web")
ANN = Actor("ann", PUSH, 100.0)


def limit_range(kind: str, **maximum: Any) -> bytes:
    amounts = {name.replace("_", "-"): amount for name, amount in maximum.items()}
    return msgspec.json.encode({"spec": {"limits": [{"type": kind, "max": amounts}]}})


def of_streams(resource: str, amount: int) -> bytes:
    return msgspec.json.encode(
        {
            "spec": {
                "limits": [
                    {
                        "type": "openshift.io/ImageStream",
                        "max": {f"openshift.io/{resource}": amount},
                    }
                ]
            }
        }
    )


def test_an_image_of_more_than_the_smallest_maximum_is_refused() -> None:
    ranges = [limit_range("openshift.io/Image", storage=each) for each in ("2Gi", "1Mi", "1G")]
    limits.check_image(2**20, ranges)
    with pytest.raises(LimitExceeded) as caught:
        limits.check_image(3 * 2**20, ranges)
    assert str(caught.value) == (
        "requested usage of storage exceeds the maximum limit per openshift.io/Image (3Mi > 1Mi)"
    )


def test_limits_of_other_things_do_not_count_for_images() -> None:
    others = [limit_range("PersistentVolumeClaim", storage="1"), b'{"spec":{}}']
    others.append(limit_range("openshift.io/Image", cpu="1"))
    limits.check_image(2**40, others)


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def pushed(letter: str) -> Change:
    return Change(f"/{WEB}@{digest(letter)}", digest(letter), 1)


def spec_of(kind: str, name: str, namespace: str = "") -> TagReference:
    return TagReference(name="t", from_=ObjectReference(kind=kind, name=name, namespace=namespace))


@pytest.mark.parametrize(
    ("spec", "reference"),
    [
        (spec_of("DockerImage", "redis"), "docker.io/redis"),
        (spec_of("DockerImage", "docker.io/library/redis:latest"), "docker.io/redis"),
        (spec_of("DockerImage", "index.docker.io/redis:1"), "docker.io/redis:1"),
        (spec_of("DockerImage", "quay.io/a/b:latest"), "quay.io/a/b"),
        (spec_of("DockerImage", "NOT VALID"), ""),
        (spec_of("ImageStreamTag", "base:1"), "shop/base:1"),
        (spec_of("ImageStreamTag", "base:1", "shop"), "shop/base:1"),
        (spec_of("ImageStreamTag", "base:1", "other"), "other/base:1"),
        (spec_of("ImageStreamTag", "v1"), "shop/web:v1"),
        (spec_of("ImageStreamImage", f"base@{digest('a')}"), f"shop/base@{digest('a')}"),
        (spec_of("ImageStreamImage", digest("a"), "shop"), f"shop/web@{digest('a')}"),
        (spec_of("Secret", "x"), ""),
        (TagReference(name="t"), ""),
    ],
)
def test_a_source_counts_once_however_it_is_written(spec: TagReference, reference: str) -> None:
    assert limits.reference_of(WEB, spec) == reference


class World:
    """A stream on an embedded database, and the limits that hold for each change of it."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)
        self.ranges: list[bytes] = []
        metadata = ObjectMeta(name="web", namespace="shop", uid="u", generation=1)
        self._write(lambda tx: Stream.make(tx, WEB, ImageStream(metadata=metadata)).save())

    def _write(self, unit: Callable[[Transaction], T]) -> T:
        async def run() -> T:
            db = await open_database(self._url)
            try:
                return await db.write(unit)
            finally:
                await db.close()

        return asyncio.run(run())

    def change(self, *changes: Callable[[Stream], object]) -> None:
        """Change the stream and save it."""

        def unit(tx: Transaction) -> None:
            stream = Stream.open(tx, WEB, Rules("shop", self.ranges))
            assert stream is not None
            for each in changes:
                each(stream)
            stream.save()

        self._write(unit)

    def push(self, **images: str) -> None:
        """Push images, by their letter, to tags."""

        def record(stream: Stream) -> None:
            for tag, letter in images.items():
                stream.record(tag, pushed(letter), ANN)

        self.change(record)

    def want(self, **sources: str) -> None:
        """Let tags come from pull specs."""

        def want(stream: Stream) -> None:
            for tag, source in sources.items():
                stream.want(tag, spec_of("DockerImage", source))

        self.change(want)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_one_image_too_many_is_refused_and_nothing_of_it_is_kept(world: World) -> None:
    world.ranges = [of_streams("images", 9), of_streams("images", 2)]
    world.push(a="1", b="2")
    with pytest.raises(LimitExceeded) as caught:
        world.push(c="3")
    assert str(caught.value) == (
        "requested usage of openshift.io/images exceeds the maximum limit"
        " per openshift.io/ImageStream (3 > 2)"
    )
    world.change(lambda stream: None if stream.current("c") is None else pytest.fail("kept"))


def test_the_same_image_in_more_tags_is_one_image(world: World) -> None:
    world.ranges = [of_streams("images", 1)]
    world.push(a="1", b="1")
    world.push(c="1")


def test_images_of_before_the_limit_stay_and_only_new_ones_are_refused(world: World) -> None:
    world.push(a="1", b="2", c="3")
    world.ranges = [of_streams("images", 2)]
    world.change(Stream.touch)
    world.push(d="1")
    world.push(a="3")
    world.want(e="redis")
    with pytest.raises(LimitExceeded, match=r"\(4 > 2\)"):
        world.push(a="4")


def test_what_a_deleted_tag_showed_is_free_and_counts_when_it_comes_back(world: World) -> None:
    world.ranges = [of_streams("images", 1)]
    world.push(a="1")
    world.change(lambda stream: stream.drop("a", ANN))
    world.push(b="2")
    with pytest.raises(LimitExceeded):
        world.change(lambda stream: stream.bring_back("a", ANN))
    world.change(lambda stream: stream.drop("b", ANN))
    world.change(lambda stream: stream.bring_back("a", ANN))


def test_a_tag_that_comes_back_with_known_images_adds_none(world: World) -> None:
    world.push(a="1", b="1", c="2")
    world.change(lambda stream: stream.drop("a", ANN))
    world.ranges = [of_streams("images", 1)]
    world.change(lambda stream: stream.bring_back("a", ANN))


def test_an_image_that_replaces_another_in_its_event_is_new(world: World) -> None:
    world.push(a="1")
    world.ranges = [of_streams("images", 0)]
    other = Change(pushed("1").reference, digest("2"), 1)
    with pytest.raises(LimitExceeded):
        world.change(lambda stream: stream.record("a", other, ANN))


def test_one_source_too_many_is_refused(world: World) -> None:
    world.ranges = [of_streams("image-tags", 2)]
    world.want(a="redis", b="docker.io/library/redis:latest", c="redis:7")
    with pytest.raises(LimitExceeded) as caught:
        world.want(d="redis:8")
    assert str(caught.value) == (
        "requested usage of openshift.io/image-tags exceeds the maximum limit"
        " per openshift.io/ImageStream (3 > 2)"
    )


def test_sources_of_before_the_limit_stay_and_only_new_ones_are_refused(world: World) -> None:
    world.want(a="redis:1", b="redis:2", c="redis:3")
    world.ranges = [of_streams("image-tags", 2)]
    world.want(d="docker.io/redis:1")
    world.change(lambda stream: stream.want("a", None))
    world.change(lambda stream: stream.want("e", TagReference(name="e")))
    world.push(f="1")
    with pytest.raises(LimitExceeded, match=r"\(3 > 2\)"):
        world.want(b="redis:4")


def test_a_source_of_a_tag_that_comes_back_counts(world: World) -> None:
    world.want(a="redis:1")
    world.change(lambda stream: stream.drop("a", ANN))
    world.ranges = [of_streams("image-tags", 1)]
    world.want(b="redis:2")
    with pytest.raises(LimitExceeded):
        world.change(lambda stream: stream.bring_back("a", ANN))


def test_a_tag_may_move_its_source_within_one_write(world: World) -> None:
    world.ranges = [of_streams("image-tags", 1)]
    world.want(a="redis:1")
    world.change(
        lambda stream: stream.want("a", None),
        lambda stream: stream.want("b", spec_of("DockerImage", "redis:2")),
    )


def test_a_limit_may_be_larger_than_any_number_of_a_database(world: World) -> None:
    world.ranges = [of_streams("images", 2**70)]
    world.push(a="1", b="2")
    world.ranges = [of_streams("images", 0)]
    with pytest.raises(LimitExceeded, match=r"\(3 > 0\)"):
        world.push(a="3")
