"""How the metadata database is watched: every engine passes this suite.

As in `metadata_store.py`, a subclass gives the fixture `url`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.metadata_store import APP, OTHER, digest_of, image, link, opened, push, using
from tidegate.apimachinery.errors import Expired
from tidegate.metastore import changes, links, manifests, tags
from tidegate.metastore.changes import BOOKMARK, Change, keep_newest, span, watch
from tidegate.metastore.database import Database
from tidegate.oci.name import RepositoryName, Tag

PATIENCE = 30.0
"""Seconds after which a test that hears nothing fails; nothing is measured."""


async def take(watching: AsyncIterator[Change], count: int) -> list[Change]:
    async with asyncio.timeout(PATIENCE):
        return [await anext(watching) for _ in range(count)]


async def until(watching: AsyncIterator[Change], revision: int) -> list[Change]:
    """What is heard up to `revision`."""
    heard: list[Change] = []
    async with asyncio.timeout(PATIENCE):
        while not heard or heard[-1].revision < revision:
            heard.append(await anext(watching))
    return heard


class MetadataWatchSuite:
    """The suite; collected through its subclasses only."""

    def test_the_token_changes_with_a_commit_of_any_process_and_not_without(self, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as mine, opened(url) as theirs:
                await push(mine, image("zero"))
                await push(theirs, image("first"))
                async with asyncio.timeout(PATIENCE):
                    await settled(mine)
                    for writer in (mine, theirs):
                        token = mine.fresh()
                        assert mine.fresh() == token
                        waiting = asyncio.create_task(until_changed(mine, token))
                        await asyncio.sleep(0)
                        await push(writer, image("next"))
                        await waiting
                        await settled(mine)

        async def until_changed(db: Database, token: int) -> None:
            while db.fresh() == token:
                await db.changed(token)

        async def settled(db: Database) -> None:
            """Until all that was committed has been heard of."""
            token = -1
            while db.fresh() != token:
                token = db.fresh()
                await asyncio.sleep(0.3)

        asyncio.run(scenario())

    def test_only_the_newest_changes_are_kept_when_asked(self, url: str) -> None:
        async def scenario() -> None:
            async with opened(url) as db:
                for number in range(3):
                    await push(db, image(f"kept-{number}"))
                newest = (await span(db)).newest
                assert await keep_newest(db, 2) > 0
                assert await span(db) == (newest - 2, newest)
                assert await keep_newest(db, 2) == 0
                async with aclosing(watch(db, newest - 2)) as watching:
                    assert len(await take(watching, 2)) == 2

        asyncio.run(scenario())

    def test_a_watch_tells_of_both_processes_in_order_and_of_every_action(self, url: str) -> None:
        async def scenario() -> None:
            async with (
                opened(url) as mine,
                opened(url) as theirs,
                aclosing(watch(mine, 0)) as watching,
            ):
                first = asyncio.create_task(take(watching, 3))
                await asyncio.sleep(0)
                await push(theirs, image("one"), "a")
                assert await first == [
                    (1, "repositories", APP, "put"),
                    (2, "manifests", f"{APP}@{digest_of('one')}", "put"),
                    (3, "tags", f"{APP}:a", "put"),
                ]
                await mine.write(lambda tx: manifests.delete(tx, APP, digest_of("one"), 2))
                await link(theirs, digest_of("blob"), 1)
                await theirs.write(lambda tx: links.unlink(tx, APP, digest_of("blob"), 2))
                assert await take(watching, 3) == [
                    (4, "tags", f"{APP}:a", "delete"),
                    (5, "manifests", f"{APP}@{digest_of('one')}", "delete"),
                    (6, "blobs", f"{APP}@{digest_of('blob')}", "delete"),
                ]

        asyncio.run(scenario())

    def test_a_watch_begins_where_it_is_told_even_amid_a_unit(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), *(f"t{number:03d}" for number in range(500)))
            async with aclosing(watch(db, 250)) as watching:
                heard = await take(watching, 252)
            assert [change.revision for change in heard] == list(range(251, 503))

        using(url, scenario)

    def test_a_watch_of_one_kind_hears_of_others_by_bookmarks_at_most(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a")
            await push(db, image("two"))
            async with aclosing(watch(db, 0, "tags", bookmarks=True)) as watching:
                assert await take(watching, 2) == [
                    (3, "tags", f"{APP}:a", "put"),
                    (4, "tags", "", BOOKMARK),
                ]
            async with aclosing(watch(db, 0, "tags")) as watching:
                await take(watching, 1)
                later = asyncio.create_task(take(watching, 1))
                await push(db, image("three"))
                await push(db, image("three"), "b")
                assert [change.name for change in await later] == [f"{APP}:b"]

        using(url, scenario)

    def test_compacted_history_and_a_foreign_revision_are_expired(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a", "b", "c")
            assert await span(db) == (0, 5)
            assert await db.write(lambda tx: changes.compact(tx, 3, limit=2)) == 2
            assert await db.write(lambda tx: changes.compact(tx, 3)) == 1
            assert await db.write(lambda tx: changes.compact(tx, 3)) == 0
            assert await span(db) == (3, 5)
            for after in (2, 6):
                async with aclosing(watch(db, after)) as watching:
                    with pytest.raises(Expired):
                        await take(watching, 1)
            async with aclosing(watch(db, 3)) as watching:
                heard = await take(watching, 2)
            assert [change.revision for change in heard] == [4, 5]

        using(url, scenario)

    def test_a_watch_that_was_overtaken_by_compaction_expires(self, url: str) -> None:
        async def scenario(db: Database) -> None:
            await push(db, image("one"), "a", "b")
            async with aclosing(watch(db, 0)) as watching:
                await take(watching, 4)
                await push(db, image("two"), "c", "d")
                await db.write(lambda tx: changes.compact(tx, 6))
                with pytest.raises(Expired):
                    await take(watching, 1)

        using(url, scenario)

    @settings(
        max_examples=15,
        deadline=None,
        # one database for all examples: each goes on from where the last one ended
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,  # the suite's subclasses
        ],
    )
    @given(
        steps=st.lists(
            st.tuples(
                st.sampled_from(["push", "untag", "delete"]),
                st.booleans(),
                st.sampled_from([APP, OTHER]),
                st.integers(0, 3),
                st.integers(0, 4),
            ),
            min_size=1,
            max_size=30,
        )
    )
    def test_replaying_a_watch_gives_the_final_state(
        self, url: str, steps: list[tuple[str, bool, RepositoryName, int, int]]
    ) -> None:
        async def scenario() -> None:
            async with opened(url) as one, opened(url) as two:
                await asyncio.gather(*(step(two if second else one, *s) for s, second in split))
                newest = (await span(one)).newest
                state: set[str] = set()
                if newest:
                    async with aclosing(watch(two, 0)) as watching:
                        for change in await until(watching, newest):
                            replay(state, change)
                assert state == await everything(one)

        split = [((verb, name, body, tag), second) for verb, second, name, body, tag in steps]
        asyncio.run(scenario())


async def step(db: Database, verb: str, name: RepositoryName, body: int, tag: int) -> None:
    """One random write."""
    if verb == "push":
        await push(db, image(f"body {body}"), f"t{tag}", repository=name)
    elif verb == "untag":
        await db.write(lambda tx: tags.delete(tx, name, Tag(f"t{tag}"), 2))
    else:
        await db.write(lambda tx: manifests.delete(tx, name, digest_of(f"body {body}"), 2))


def replay(state: set[str], change: Change) -> None:
    if change.kind in ("tags", "manifests"):
        (state.add if change.action == "put" else state.discard)(f"{change.kind} {change.name}")


async def everything(db: Database) -> set[str]:
    """What is there, said as `replay` says it."""
    found: set[str] = set()
    for name in (APP, OTHER):
        found.update(f"tags {name}:{tag}" for tag in await tags.page(db, name, "", 1000))
        for body in range(4):
            digest = digest_of(f"body {body}")
            if await manifests.by_digest(db, name, digest) is not None:
                found.add(f"manifests {name}@{digest}")
    return found
