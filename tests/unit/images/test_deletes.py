"""Deletes through the registry, as the stream has them."""

from pathlib import Path

import pytest

from tests.unit.images.push_world import ANN, MANIFEST, WEB, PushWorld, pushed
from tidegate.images.deletes import drop_image, drop_tag
from tidegate.images.streams.errors import ImageHeld
from tidegate.images.streams.stream import Actor, Stream
from tidegate.metastore import stream_tags, tag_events
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import DELETE, SHOWN
from tidegate.oci.digest import Digest
from tidegate.oci.name import Tag

BOB = Actor("bob", DELETE, ANN.now + 100)
ONE, TWO = MANIFEST, MANIFEST + b" "
FIRST, SECOND = Digest.of(ONE), Digest.of(TWO)


@pytest.fixture
def world(tmp_path: Path) -> PushWorld:
    world = PushWorld(tmp_path)
    world.push(pushed("gone", "stays", content=ONE))
    world.push(pushed("stays", content=TWO))
    return world


def dropped(world: PushWorld, tag: str) -> bool:
    return world.change(lambda stream: drop_tag(stream, Tag(tag), BOB))


def test_a_tag_that_ends_says_who_ended_it(world: PushWorld) -> None:
    assert dropped(world, "gone")
    (end, push) = world.run(lambda db: tag_events.history(db, WEB, "gone", 1000, 10))
    assert (end.how, end.who, end.recorded_at) == ("delete", "bob", BOB.now)
    assert (push.how, push.who) == ("push", "ann")
    assert world.pulled("gone") is None
    assert world.shown("gone") == []
    assert not dropped(world, "gone")
    assert not dropped(world, "never-there")


def test_an_image_that_goes_ends_its_tags_and_leaves_the_histories_of_others(
    world: PushWorld,
) -> None:
    world.change(lambda stream: drop_image(stream, FIRST, BOB))
    assert world.shown("gone") == []
    assert world.shown("stays") == [SECOND]
    assert world.pulled("stays") == SECOND
    assert not world.stream(
        lambda stream: tag_events.names_image(stream.tx, stream.repository_id, FIRST)
    )


def test_a_tag_that_an_image_took_along_comes_back_with_it(world: PushWorld) -> None:
    world.change(lambda stream: drop_image(stream, FIRST, BOB))
    assert world.change(lambda stream: stream.bring_back("gone", BOB))
    assert world.shown("gone") == [FIRST]


def as_of(world: PushWorld, tag: str, time: float) -> Digest | None:
    return world.run(lambda db: tag_events.as_of(db, WEB, Tag(tag), time))


def test_a_tag_as_it_was_while_it_was_deleted_is_none(world: PushWorld) -> None:
    dropped(world, "gone")
    assert as_of(world, "gone", ANN.now - 1) is None
    assert as_of(world, "gone", ANN.now) == FIRST
    assert as_of(world, "gone", BOB.now) is None


def test_a_tag_as_it_was_after_it_came_back_is_what_it_was_before(world: PushWorld) -> None:
    for start in (100.0, 300.0):
        leave = Actor("bob", DELETE, ANN.now + start)
        back = Actor("bob", DELETE, ANN.now + start + 100)
        world.change(lambda stream: stream.drop("gone", leave))  # noqa: B023
        world.change(lambda stream: stream.bring_back("gone", back))  # noqa: B023
    named = [as_of(world, "gone", ANN.now + after) for after in (99, 100, 200, 300, 400, 999)]
    assert named == [FIRST, None, FIRST, None, FIRST, FIRST]


def test_what_was_pruned_counts_for_the_time_before(world: PushWorld) -> None:
    def prune(stream: Stream) -> None:
        (newest, _) = tag_events.visible(stream.tx, stream.repository_id, "stays", 0, 2)
        stream.prune("stays", [newest.number], BOB.now)

    world.change(prune)
    assert as_of(world, "stays", BOB.now - 1) == SECOND
    assert as_of(world, "stays", BOB.now) == FIRST


def test_rows_of_ended_tags_stay(world: PushWorld) -> None:
    dropped(world, "gone")
    row = world.stream(lambda stream: stream_tags.find(stream.tx, stream.repository_id, "gone"))
    assert row is not None
    assert (row.is_live, row.hidden, row.newest) == (False, 2, 2)


def test_an_image_in_the_part_of_a_history_that_is_not_shown_stays(world: PushWorld) -> None:
    for number in range(SHOWN):
        world.push(pushed("stays", content=MANIFEST + b" " * (2 + number)))
    with pytest.raises(ImageHeld, match="the history of tag stays of"):
        world.change(lambda stream: drop_image(stream, FIRST, BOB))
    assert world.shown("gone") == [FIRST]
    assert world.pulled("gone") == FIRST


def test_an_image_that_a_large_stream_has_no_room_to_show_stays(world: PushWorld) -> None:
    def grow(stream: Stream) -> None:
        for number in range(200):
            row = TagRow(f"v{number}", None, None, None, 0, SHOWN, SHOWN, 10**6)
            stream_tags.put(stream.tx, stream.repository_id, row)

    world.change(grow)
    with pytest.raises(ImageHeld, match=r"tag gone of .* delete the tag first"):
        world.change(lambda stream: drop_image(stream, FIRST, BOB))
    assert world.pulled("gone") == FIRST
    assert dropped(world, "gone")


def test_an_image_of_a_large_stream_that_is_shown_goes(world: PushWorld) -> None:
    def grow(stream: Stream) -> None:
        for number in range(200):
            row = TagRow(f"v{number}", None, None, None, 0, SHOWN, SHOWN, 0)
            stream_tags.put(stream.tx, stream.repository_id, row)

    world.change(grow)
    world.change(lambda stream: drop_image(stream, FIRST, BOB))
    assert world.shown("gone") == []
