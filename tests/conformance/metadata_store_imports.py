"""What importing keeps beside the streams: every engine passes this suite."""

import asyncio

from tests.conformance.metadata_store import APP, OTHER, opened, using
from tidegate.metastore import import_counts, paces, repositories, stream_tags, tag_events
from tidegate.metastore import wanted_tags as wanted
from tidegate.metastore.database import Database, Transaction
from tidegate.metastore.import_counts import OTHERS, REGISTRIES, ImportCount
from tidegate.metastore.stream_tags import TagRow
from tidegate.metastore.tag_events import TagEvent
from tidegate.metastore.wanted_tags import WantedTag


def fill(tx: Transaction) -> None:
    """A stream with tags in every state, and another one."""
    number = repositories.ensure(tx, APP)
    event = TagEvent(1, 1.0, 1.0, "quay.io/a@sha256:1", "sha256:1", 7, "import", "ann")
    tag_events.append(tx, number, "b", event)
    for row in (
        TagRow("a", spec="{}", changed=3),
        TagRow("b", spec="{}", newest=1, current=1, changed=5),
        TagRow("c", conditions="[]", changed=5),
        TagRow("d", changed=9),
    ):
        stream_tags.put(tx, number, row)
    stream_tags.put(tx, repositories.ensure(tx, OTHER), TagRow("a", spec="{}", changed=5))


class MetadataImportsSuite:
    """Tags to import, the pace, and the counts."""

    def test_tags_are_found_of_which_something_is_wanted(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(fill)
            first, second = WantedTag("a", "{}", None, None, 3), WantedTag("b", "{}", None, 7, 5)
            assert await wanted.of_stream(db, APP, "", 9) == [first, second]
            assert await wanted.of_stream(db, APP, "a", 1) == [second]
            assert await wanted.named(db, APP, ["b", "never"]) == [second]

        using(url, scenario)

    def test_tags_that_changed_since_are_found_with_those_that_went(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await db.write(fill)
            found = await wanted.changed_since(db, APP, (3, "a"), 9)
            assert [(each.name, each.spec) for each in found] == [
                *(("b", "{}"), ("c", None), ("d", None))
            ]
            found = await wanted.changed_since(db, APP, (5, "b"), 1)
            assert [each.name for each in found] == ["c"]

        using(url, scenario)

    def test_a_pace_is_one_for_all_processes(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            async def take(database: Database, now: float) -> float:
                return await database.write(
                    lambda tx: paces.step(tx, "imports", now, 2.0, 3), durable=False
                )

            async with opened(url) as other:
                taken = [
                    1000.0 + second
                    for second in range(20)
                    for database in (db, other, db)
                    if await take(database, 1000.0 + second) == 0
                ]
            # a burst of three, then one in two seconds
            assert taken == [1000.0] * 3 + [1002.0 + 2 * number for number in range(9)]
            assert await take(db, 1020.0) == 0.0
            assert await take(db, 1021.0) == 1.0
            assert await take(db, 5.0) == 2.0  # the clock was set back: no wait for days

        using(url, scenario)

    def test_imports_are_counted_by_registry_and_reason(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            async def add(registry: str, reason: str, *, scheduled: bool) -> None:
                await db.write(
                    lambda tx: import_counts.add(tx, registry, reason, scheduled=scheduled),
                    durable=False,
                )

            additions = [add("quay.io", "", scheduled=True) for _ in range(5)]
            await asyncio.gather(*additions, add("quay.io", "NotFound", scheduled=False))
            assert await import_counts.every(db) == [
                ImportCount(False, "quay.io", "NotFound", 1),
                ImportCount(True, "quay.io", "", 5),
            ]

        using(url, scenario)

    def test_tenants_cannot_name_registries_without_end(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            def many(tx: Transaction) -> None:
                for number in range(REGISTRIES + 20):
                    import_counts.add(tx, f"r{number}.example", "", scheduled=True)

            await db.write(many)
            found = {each.registry: each.number for each in await import_counts.every(db)}
            assert len(found) == REGISTRIES + 1
            assert found[OTHERS] == 20

        using(url, scenario)
