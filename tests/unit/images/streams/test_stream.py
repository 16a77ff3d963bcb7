"""What happens to the tags of a stream in a unit of work (image-api 4.4 and 4.6)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from tidegate.apimachinery.documents.references import ObjectReference
from tidegate.apimachinery.meta import ObjectMeta
from tidegate.apimachinery.store import Key
from tidegate.images.kinds.image_stream import ImageStream, TagReference
from tidegate.images.streams.errors import (
    SourceAmbiguous,
    SourceForbidden,
    SourceMissing,
    TagImmutable,
    TagRefused,
)
from tidegate.images.streams.resolving import resolve
from tidegate.images.streams.stream import FOLLOWERS, PUSH, TAG, Actor, Change, Stream
from tidegate.kinds.tag_policy import TAG_POLICIES, TagPolicy
from tidegate.metastore import manifests, stream_tags, tag_events, tags
from tidegate.metastore.database import Transaction
from tidegate.metastore.documents import DocumentUnit
from tidegate.metastore.manifests import Manifest
from tidegate.metastore.migrate import migrate
from tidegate.metastore.open import open_database
from tidegate.oci.digest import Digest
from tidegate.oci.name import RepositoryName, Tag

T = TypeVar("T")

WEB = RepositoryName("shop/web")
PROD = RepositoryName("prod/web")
ANN = Actor("ann", PUSH, 100.0)


def digest(letter: str) -> Digest:
    return Digest("sha256:" + letter * 64)


def pushed(name: RepositoryName, letter: str, generation: int = 1) -> Change:
    return Change(f"/{name}@{digest(letter)}", digest(letter), generation)


class World:
    """Units of work on an embedded database."""

    def __init__(self, directory: Path) -> None:
        self._url = f"sqlite:///{directory / 'metadata.db'}"
        migrate(self._url)

    def write(self, unit: Callable[[Transaction], T]) -> T:
        async def run() -> T:
            db = await open_database(self._url)
            try:
                return await db.write(unit)
            finally:
                await db.close()

        return asyncio.run(run())

    def make(self, name: RepositoryName = WEB) -> None:
        def unit(tx: Transaction) -> None:
            metadata = ObjectMeta(
                name=name.stream, namespace=name.project, uid=f"uid-{name}", generation=1
            )
            Stream.make(tx, name, ImageStream(metadata=metadata)).save()

        self.write(unit)

    def change(self, change: Callable[[Stream], T], name: RepositoryName = WEB) -> T:
        """Change the stream and save it."""

        def unit(tx: Transaction) -> T:
            stream = Stream.open(tx, name)
            assert stream is not None
            answer = change(stream)
            stream.save()
            return answer

        return self.write(unit)

    def manifest(self, letter: str, name: RepositoryName = WEB, **more: object) -> None:
        record = Manifest(digest(letter), "application/vnd.oci.image.manifest.v1+json", b"{}")
        self.write(lambda tx: manifests.put(tx, name, record, [], 1.0))

    def history(self, tag: str, name: RepositoryName = WEB) -> list[str]:
        """Letters of the images that the tag is shown with, newest first."""

        def read(stream: Stream) -> list[str]:
            row = stream.row(tag)
            shown = tag_events.visible(stream.tx, stream.repository_id, tag, row.hidden, 100)
            return [event.image[7:8] for event in shown]

        return self.change(read, name)

    def pulled(self, tag: str, name: RepositoryName = WEB) -> str | None:
        async def read() -> str | None:
            db = await open_database(self._url)
            try:
                found = await manifests.by_tag(db, name, Tag(tag))
                return None if found is None else found.digest[7:8]
            finally:
                await db.close()

        return asyncio.run(read())

    def revision(self, name: RepositoryName = WEB) -> str:
        return self.change(lambda stream: stream.header.metadata.resource_version, name)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.make()
    return world


def test_events_come_newest_first_and_are_kept(world: World) -> None:
    for letter in "ded":
        world.change(lambda stream: stream.record("v1", pushed(WEB, letter), ANN))  # noqa: B023
    assert world.history("v1") == ["d", "e", "d"]


def test_the_same_event_again_writes_nothing(world: World) -> None:
    assert world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    before = world.revision()
    assert not world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    assert world.revision() == before


def test_a_newer_generation_changes_the_newest_event_in_its_place(world: World) -> None:
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    before = world.revision()
    assert world.change(lambda stream: stream.record("v1", pushed(WEB, "d", 2), ANN))
    assert world.history("v1") == ["d"]
    assert world.revision() != before
    event = world.change(lambda stream: stream.current("v1"))
    assert event is not None
    assert (event.generation, event.created_at) == (2, 100.0)


def test_the_registry_follows_the_newest_event(world: World) -> None:
    world.manifest("d")
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    assert world.pulled("v1") == "d"
    world.change(lambda stream: stream.record("v1", Change("docker.io/x:1", "", 1), ANN))
    assert world.pulled("v1") is None


def follow(stream: Stream, tag: str, source: str) -> None:
    spec = TagReference(
        name=tag, from_=ObjectReference(kind="ImageStreamTag", name=source), generation=2
    )
    stream.want(tag, spec)
    resolve(stream, tag, spec, ANN, ())


def test_a_tag_that_tracks_another_follows_it_through_a_chain(world: World) -> None:
    world.change(lambda stream: follow(stream, "latest", "1.0"))
    world.change(lambda stream: follow(stream, "stable", "web:latest"))
    world.change(lambda stream: follow(stream, "1.0", "stable"))  # a ring
    world.change(lambda stream: stream.record("1.0", pushed(WEB, "d"), ANN))
    assert [world.history(tag) for tag in ("1.0", "latest", "stable")] == [["d"]] * 3


def test_a_tag_has_only_so_many_followers(world: World) -> None:
    def many(stream: Stream) -> None:
        for number in range(FOLLOWERS):
            follow(stream, f"f{number}", "v1")

    world.change(many)
    with pytest.raises(TagRefused, match=f"{FOLLOWERS} tags follow tag v1"):
        world.change(lambda stream: follow(stream, "one-more", "v1"))
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    assert world.history("f199") == ["d"]
    world.change(lambda stream: follow(stream, "one-more", "f7"))  # through another
    with pytest.raises(TagRefused, match=f"more than {FOLLOWERS} tags of shop/web follow v1"):
        world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    assert world.history("v1") == ["d"]


def test_who_stops_following_in_a_unit_does_not_follow_in_it(world: World) -> None:
    world.change(lambda stream: follow(stream, "latest", "v1"))

    def unit(stream: Stream) -> None:
        stream.want("latest", None)
        follow(stream, "newest", "v1")
        follow(stream, "newest", "v2")
        stream.record("v1", pushed(WEB, "d"), ANN)

    world.change(unit)
    assert world.history("v1") == ["d"]
    assert world.history("latest") == world.history("newest") == []


def test_a_deleted_tag_is_gone_and_comes_back_as_it_was(world: World) -> None:
    world.manifest("d")
    world.manifest("e")
    for letter in "de":
        world.change(lambda stream: stream.record("v1", pushed(WEB, letter), ANN))  # noqa: B023
    assert world.change(lambda stream: stream.drop("v1", ANN))
    assert not world.change(lambda stream: stream.drop("v1", ANN))
    assert world.history("v1") == []
    assert world.pulled("v1") is None
    assert world.change(lambda stream: stream.bring_back("v1", ANN))
    assert not world.change(lambda stream: stream.bring_back("v1", ANN))
    assert world.history("v1") == ["e", "d"]
    assert world.pulled("v1") == "e"


def test_a_tag_made_anew_does_not_show_what_was_deleted(world: World) -> None:
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    world.change(lambda stream: stream.drop("v1", ANN))
    world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    assert world.history("v1") == ["e"]


def test_what_is_copied_from_another_stream_can_be_pulled_from_this_one(world: World) -> None:
    world.make(PROD)
    world.manifest("d")
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    spec = TagReference(
        name="v1",
        from_=ObjectReference(kind="ImageStreamTag", namespace="shop", name="web:v1"),
        generation=3,
    )
    with pytest.raises(SourceForbidden):
        world.change(lambda stream: resolve(stream, "v1", spec, ANN, ()), PROD)
    assert world.change(lambda stream: resolve(stream, "v1", spec, ANN, {WEB}), PROD)
    assert world.pulled("v1", PROD) == "d"
    event = world.change(lambda stream: stream.current("v1"), PROD)
    assert event is not None
    assert event.reference == f"/{PROD}@{digest('d')}"
    world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    assert world.history("v1", PROD) == ["d"]


def test_a_copy_by_reference_keeps_where_the_image_is(world: World) -> None:
    world.make(PROD)
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    origin = ObjectReference(kind="ImageStreamTag", namespace="shop", name="web:v1")
    spec = TagReference(name="v1", from_=origin, reference=True, generation=1)
    world.change(lambda stream: resolve(stream, "v1", spec, ANN, {WEB}), PROD)
    event = world.change(lambda stream: stream.current("v1"), PROD)
    assert event is not None
    assert event.reference == f"/{WEB}@{digest('d')}"


def by_image(part: str) -> TagReference:
    origin = ObjectReference(kind="ImageStreamImage", name=f"web@{part}")
    return TagReference(name="x", from_=origin, generation=1)


def test_an_image_is_found_by_the_beginning_of_its_digest(world: World) -> None:
    world.manifest("d")
    world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    actor = Actor("ann", TAG, 200.0)
    for part, letter in (("ddd", "d"), ("sha256:ee", "e"), (digest("e"), "e")):
        world.change(lambda stream: resolve(stream, "x", by_image(part), actor, ()))  # noqa: B023
        assert world.history("x")[0] == letter
    with pytest.raises(SourceMissing):
        world.change(lambda stream: resolve(stream, "x", by_image("abc"), actor, ()))
    other = Digest("sha256:d" + "a" * 63)
    change = Change(f"/{WEB}@{other}", other, 1)
    world.change(lambda stream: stream.record("v2", change, ANN))
    with pytest.raises(SourceAmbiguous):
        world.change(lambda stream: resolve(stream, "x", by_image("d"), actor, ()))


def test_pruned_events_are_gone_from_the_history_and_the_tag_falls_back(world: World) -> None:
    world.manifest("d")
    for letter in "def":
        world.change(lambda stream: stream.record("v1", pushed(WEB, letter), ANN))  # noqa: B023
    world.change(lambda stream: stream.prune("v1", [2, 3], 300.0))
    assert world.history("v1") == ["d"]
    assert world.pulled("v1") == "d"
    world.change(lambda stream: stream.prune("v1", [1], 300.0))
    row = world.change(lambda stream: stream.row("v1"))
    assert not row.is_live


def test_tags_that_changed_last_come_first(world: World) -> None:
    for tag in ("a", "b", "c"):
        world.change(lambda stream: stream.record(tag, pushed(WEB, "d"), ANN))  # noqa: B023
    world.change(lambda stream: stream.record("a", pushed(WEB, "e"), ANN))

    def read(stream: Stream) -> list[str]:
        start = (stream_tags.FARTHEST, "")
        shown = stream_tags.changed_last(stream.tx, stream.repository_id, start, 2)
        last = (shown[-1].row.changed, shown[-1].row.name)
        shown += stream_tags.changed_last(stream.tx, stream.repository_id, last, 2)
        return [f"{each.row.name}{len(each.events)}" for each in shown]

    assert world.change(read) == ["a2", "c1", "b1"]


def test_the_registry_names_no_tag_of_a_deleted_one(world: World) -> None:
    world.manifest("d")
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    named = world.change(lambda stream: tags.naming_now(stream.tx, WEB, digest("d")))
    assert named == ["v1"]
    world.change(lambda stream: stream.drop("v1", ANN))
    assert world.change(lambda stream: tags.naming_now(stream.tx, WEB, digest("d"))) == []


def policy(world: World, mode: str, **spec: object) -> None:
    """A TagPolicy of the project."""
    body = {"metadata": {"name": "rules", "namespace": "shop"}, "spec": {"mode": mode, **spec}}
    stored = msgspec.json.encode(msgspec.convert(body, TagPolicy))
    key = Key(TAG_POLICIES.key, "shop", "rules")
    world.write(lambda tx: DocumentUnit(tx).put(key, "u", lambda _: stored))


def test_an_immutable_tag_stays_and_takes_the_same_image_again(world: World) -> None:
    policy(world, "Enforce", immutable=["v*"])
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    assert not world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    with pytest.raises(TagImmutable, match='TagPolicy "rules"'):
        world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    with pytest.raises(TagImmutable, match="may not be deleted"):
        world.change(lambda stream: stream.drop("v1", ANN))
    assert world.history("v1") == ["d"]


def test_an_immutable_tag_is_not_pulled_by_a_reference_that_can_move(world: World) -> None:
    policy(world, "Enforce", immutable=["v*"])
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    elsewhere = Change("example.com/app:latest", digest("d"), 2)
    with pytest.raises(TagImmutable):
        world.change(lambda stream: stream.record("v1", elsewhere, ANN))
    copied = Change(f"example.com/app@{digest('d')}", digest("d"), 2)
    assert world.change(lambda stream: stream.record("v1", copied, ANN))


def test_a_tag_that_tracks_may_not_be_moved_either(world: World) -> None:
    policy(world, "Enforce", immutable=["v*"])
    world.change(lambda stream: stream.record("dev", pushed(WEB, "d"), ANN))
    world.change(lambda stream: follow(stream, "v1", "dev"))
    with pytest.raises(TagImmutable):
        world.change(lambda stream: stream.record("dev", pushed(WEB, "e"), ANN))
    assert world.history("dev") == ["d"]


def test_names_are_judged_and_in_trial_only_warned_of(world: World) -> None:
    policy(world, "Enforce", naming={"tags": {"semver": True}})
    with pytest.raises(TagRefused, match="tag nightly is not allowed"):
        world.change(lambda stream: stream.record("nightly", pushed(WEB, "d"), ANN))
    world.change(lambda stream: stream.record("1.2.3", pushed(WEB, "d"), ANN))
    policy(world, "Warn", naming={"tags": {"semver": True}})

    def push(stream: Stream) -> list[str]:
        stream.record("nightly", pushed(WEB, "d"), ANN)
        return stream.warnings

    (warning,) = world.change(push)
    assert "tag nightly is not allowed" in warning


def test_an_image_that_is_out_of_every_history_is_no_longer_the_streams(world: World) -> None:
    world.manifest("d")
    world.manifest("e")
    for tag, letter in (("v1", "d"), ("v1", "e"), ("v2", "d")):
        world.change(lambda stream: stream.record(tag, pushed(WEB, letter), ANN))  # noqa: B023

    def known(stream: Stream) -> set[str]:
        found = manifests.known(stream.tx, WEB, [digest("d"), digest("e")])
        return {each[7] for each in found}

    def prune(stream: Stream, tag: str) -> None:
        stream.prune(tag, [1], 300.0)
        stream.release(tag, [1], 300.0)

    world.change(lambda stream: prune(stream, "v1"))
    assert world.change(known) == {"d", "e"}
    world.change(lambda stream: prune(stream, "v2"))
    assert world.change(known) == {"e"}


def test_an_event_says_what_it_was_copied_from(world: World) -> None:
    world.make(PROD)
    world.change(lambda stream: stream.record("v1", pushed(WEB, "d"), ANN))
    world.change(lambda stream: follow(stream, "latest", "v1"))
    world.change(lambda stream: stream.record("v1", pushed(WEB, "e"), ANN))
    origin = ObjectReference(kind="ImageStreamTag", namespace="shop", name="web:v1")
    spec = TagReference(name="v1", from_=origin, generation=1)
    world.change(lambda stream: resolve(stream, "v1", spec, ANN, {WEB}), PROD)

    def copied(stream: Stream, tag: str) -> str | None:
        event = stream.current(tag)
        return None if event is None else event.detail

    assert world.change(lambda stream: copied(stream, "v1")) is None
    assert world.change(lambda stream: copied(stream, "latest")) == "shop/web:v1"
    assert world.change(lambda stream: copied(stream, "v1"), PROD) == "shop/web:v1"
