"""Tags as those see them who follow them: every engine passes this suite."""

from tests.conformance.metadata_store import APP, OTHER, digest_of, using
from tidegate.metastore import followed_tags, repositories, stream_tags, tag_events
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.followed_tags import FARTHEST, ChangedTag, FollowedTag, Stay
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import DELETE, UNDELETE, TagEvent

ONE, TWO = digest_of("one"), digest_of("two")


def event(number: int, image: str, how: str = "push") -> TagEvent:
    return TagEvent(number, 10.0 * number, 10.0 * number, f"/{APP}@{image}", image, 1, how, "ann")


def tag(
    tx: Transaction, name: str, changed: int, *events: TagEvent, spec: str | None = None
) -> None:
    """A tag at the last of its events; without any it names nothing."""
    stream = repositories.ensure(tx, APP)
    for each in events:
        tag_events.append(tx, stream, name, each)
    current = events[-1].number if events and events[-1].how != DELETE else None
    row = TagRow(name, spec, newest=len(events), current=current, changed=changed)
    stream_tags.put(tx, stream, row)


def filled(tx: Transaction) -> None:
    tag(tx, "a", 5, event(1, ONE), event(2, TWO))
    tag(tx, "b", 7, event(1, ONE), event(2, "", DELETE))
    tag(tx, "c", 6, spec='{"name": "c"}')


class MetadataFollowedSuite:
    """What tags name, which changed last, and what they named."""

    def test_tags_are_given_by_name_and_those_that_are_not_there_are_not(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(filled)
            found = await followed_tags.named(db, APP, ["a", "b", "c", "none"])
            assert found == {
                "a": FollowedTag("a", None, f"/{APP}@{TWO}", TWO, 20.0),
                "c": FollowedTag("c", '{"name": "c"}', None, None, None),
            }
            assert await followed_tags.named(db, OTHER, ["a"]) == {}
            assert await followed_tags.named(db, APP, []) == {}

        using(url, scenario)

    def test_tags_come_in_the_order_of_their_changes_deleted_ones_among_them(
        self, url: str
    ) -> None:
        async def scenario(db: Database) -> None:
            await db.write(filled)
            everything = await followed_tags.changed_last(db, APP, FARTHEST, 0, 10)
            assert everything == [
                ChangedTag(7, "b", False),
                ChangedTag(6, "c", False),  # which names nothing
                ChangedTag(5, "a", True),
            ]
            page = await followed_tags.changed_last(db, APP, FARTHEST, 6, 10)
            assert page == everything[:2]
            assert await followed_tags.changed_last(db, APP, FARTHEST, 0, 1) == everything[:1]
            assert await followed_tags.changed_last(db, APP, (6, "c"), 0, 9) == everything[2:]

        using(url, scenario)

    def test_a_stay_ends_with_another_image_or_the_tag_and_goes_on_when_it_comes_back(
        self, url: str
    ) -> None:
        async def scenario(db: Database) -> None:
            events = (event(1, ONE), event(2, "", DELETE), event(3, "", UNDELETE), event(4, TWO))
            await db.write(lambda tx: tag(tx, "a", 1, *events))
            assert await followed_tags.stays(db, APP, "a") == [
                Stay(ONE, 10.0, 20.0),
                Stay("", 20.0, 30.0),
                Stay(ONE, 30.0, 40.0),
                Stay(TWO, 40.0, None),
            ]
            assert await followed_tags.stays(db, APP, "none") == []

        using(url, scenario)
