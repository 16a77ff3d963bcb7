"""How the port `ObjectStore` tells of changes: every engine passes this suite."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest

from tests.conformance.metadata_store import image, push
from tests.conformance.metadata_store_watch import PATIENCE
from tests.conformance.object_store import (
    ROLES,
    SECRETS,
    Model,
    compact,
    key,
    put,
    store_of,
    using,
    value_of,
)
from tidegate.apimachinery.errors import Expired
from tidegate.apimachinery.store import Change, Document, Key, Subscription
from tidegate.metastore.database import Database, Row, Transaction, Value
from tidegate.metastore.documents import Documents
from tidegate.metastore.errors import MetastoreUnavailable
from tidegate.metastore.feed import Feed

T = TypeVar("T")

FEW = 8
"""Changes that a store keeps in memory, where a test is about those that it does not."""


async def until(watching: Subscription, revision: int) -> list[Change]:
    """What a watch tells up to a revision, which is one of its resource."""
    heard: list[Change] = []
    async with asyncio.timeout(PATIENCE):
        while not heard or heard[-1].revision < revision:
            heard += await watching.next()
    return heard


def replayed(documents: Sequence[Document], heard: Sequence[Change]) -> dict[Key, bytes]:
    """A list with a watch's changes applied; each says rightly what was before it."""
    state = {each.key: each.body for each in documents}
    for change in heard:
        assert state.pop(change.key, None) == change.before
        if change.after is not None:
            state[change.key] = change.after
    return state


def revisions(heard: Sequence[Change]) -> list[int]:
    return [change.revision for change in heard]


async def fill(store: Documents, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        await store.write(lambda tx, n=number: put(tx, key(f"n{n}"), n))  # type: ignore[misc]  # a default binds the loop variable


class Watches:
    """Subscriptions."""

    def test_a_watch_tells_creation_change_and_removal_with_what_was_before(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            watching = await store.watch(SECRETS, 0)
            made = await store.write(lambda tx: put(tx, key("one"), 1))
            changed = await store.write(lambda tx: put(tx, key("one"), 2))
            gone = await store.write(lambda tx: tx.delete(key("one")))
            assert gone is not None
            assert await until(watching, gone.revision) == [
                Change(made.revision, key("one"), None, made.body),
                Change(changed.revision, key("one"), made.body, changed.body),
                Change(gone.revision, key("one"), changed.body, None),
            ]
            watching.close()

        using(url, scenario)

    @pytest.mark.parametrize("kept", [FEW, 8192])
    def test_a_watch_from_any_revision_replays_to_the_final_list(self, url: str, kept: int) -> None:
        async def scenario() -> None:
            async with store_of(url, kept) as (mine, _), store_of(url) as (theirs, _):
                model = Model(theirs, 3)
                for _ in range(100):
                    await model.write()
                await theirs.write(lambda tx: put(tx, key("last")))
                newest = await mine.catch_up()
                final = {each.key: each.body for each in (await mine.list(SECRETS)).documents}
                for revision in range(newest):
                    heard = await until(await mine.watch(SECRETS, revision), newest)
                    assert revisions(heard) == list(range(revision + 1, newest + 1))
                    assert replayed(model.at(revision), heard) == final

        asyncio.run(scenario())

    def test_watches_begun_while_others_write_have_no_gap(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url, FEW) as (mine, _), store_of(url) as (theirs, _):

                async def read() -> list[Change]:
                    return await until(await mine.watch(SECRETS, 0), 150)

                writing = asyncio.create_task(fill(theirs, 150))
                readers = []
                for _ in range(10):
                    readers.append(asyncio.create_task(read()))
                    await asyncio.sleep(0.005)
                await writing
                for heard in await asyncio.gather(*readers):
                    assert revisions(heard) == list(range(1, 151))

        asyncio.run(scenario())

    def test_a_thousand_watchers_share_each_change(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            watchers = [await store.watch(SECRETS, 0) for _ in range(1000)]
            waiting = [asyncio.create_task(until(each, 3)) for each in watchers]
            await asyncio.sleep(0)
            await fill(store, 3)
            first, *others = await asyncio.gather(*waiting)
            assert revisions(first) == [1, 2, 3]
            for heard in others:
                assert all(mine is theirs for mine, theirs in zip(first, heard, strict=True))

        using(url, scenario)

    def test_an_idle_watch_moves_on_with_what_others_are_told(self, url: str) -> None:
        async def scenario(store: Documents, db: Database) -> None:
            watching = await store.watch(SECRETS, 0)
            assert watching.position() == 0
            await store.write(lambda tx: put(tx, key("role", resource=ROLES)))
            await push(db, image("one"), "tag")
            newest = await store.catch_up()
            assert newest == await store.revision() > 1
            assert watching.position() == newest
            made = await store.write(lambda tx: put(tx, key("one")))
            await store.write(lambda tx: put(tx, key("role", resource=ROLES)))
            await store.catch_up()
            assert watching.position() < made.revision  # it has yet to be told
            assert revisions(await watching.next()) == [made.revision]
            assert watching.position() == await store.revision()
            behind = await store.watch(ROLES, 0)
            assert behind.position() == 0
            assert len(await until(behind, await store.revision())) == 2

        using(url, scenario)

    def test_what_nobody_watched_is_found_by_who_comes_later(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            first = await store.watch(SECRETS, 0)
            await fill(store, 2)
            assert revisions(await until(first, 2)) == [1, 2]
            first.close()
            first.close()
            await fill(store, 2, 2)  # while nobody watches
            await store.catch_up()
            later, newer = await store.watch(SECRETS, 1), await store.watch(SECRETS, 4)
            await fill(store, 2, 4)
            assert revisions(await until(later, 6)) == [2, 3, 4, 5, 6]
            assert revisions(await until(newer, 6)) == [5, 6]
            bodies = [change.after for change in await until(await store.watch(SECRETS, 0), 6)]
            assert all(bodies)

        using(url, scenario)

    def test_a_watch_that_begins_during_a_read_misses_nothing(self, url: str) -> None:
        async def scenario(store: Documents, _: Database) -> None:
            watching: list[Subscription] = []

            async def begin() -> None:
                for _ in range(20):
                    watching.append(await store.watch(SECRETS, 0))
                    await asyncio.sleep(0)

            await asyncio.gather(fill(store, 30), begin(), store.catch_up(), begin())
            for each in watching:
                assert revisions(await until(each, 30)) == list(range(1, 31))

        using(url, scenario)

    def test_a_slow_watcher_expires_and_the_others_do_not(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url, FEW) as (store, _):
                slow, idle = await store.watch(SECRETS, 0), await store.watch(ROLES, 0)
                quick = asyncio.create_task(until(await store.watch(SECRETS, 0), 30))
                for number in range(0, 30, 2):
                    await fill(store, 2, number)
                    await store.catch_up()
                    await asyncio.sleep(0)
                assert revisions(await quick) == list(range(1, 31))
                with pytest.raises(Expired):
                    await slow.next()
                assert slow.position() == 0
                assert idle.position() == 30
                role = await store.write(lambda tx: put(tx, key("role", resource=ROLES)))
                assert revisions(await until(idle, role.revision)) == [31]
                # from there the database still knows
                assert len(await until(await store.watch(SECRETS, 0), 30)) == 30

        asyncio.run(scenario())

    def test_what_is_compacted_or_yet_to_come_cannot_be_watched(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url) as (writing, db), store_of(url, FEW) as (store, _):
                await fill(writing, 20)
                await compact(db, 10)
                await store.catch_up()
                with pytest.raises(Expired):
                    await store.watch(SECRETS, 21)
                heard = await until(await store.watch(SECRETS, 10), 20)
                assert revisions(heard) == list(range(11, 21))
                async with store_of(url) as (later, _):
                    with pytest.raises(Expired):
                        await later.watch(SECRETS, 9)
                    overtaken = await later.watch(SECRETS, 10)
                    await compact(db, 12)
                    with pytest.raises(Expired):
                        await overtaken.next()
                last = await writing.write(lambda tx: put(tx, key("x")))
                after = await store.watch(SECRETS, last.revision)  # which this process learns now
                assert after.position() == last.revision

        asyncio.run(scenario())

    def test_a_watch_ends_with_the_store(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url) as (store, _):
                watching = await store.watch(SECRETS, 0)
                waiting = asyncio.create_task(watching.next())
                await asyncio.sleep(0)
            with pytest.raises(Expired):
                await waiting
            with pytest.raises(Expired):
                await watching.next()

        asyncio.run(scenario())


class Followers:
    """Callbacks, and catching up."""

    def test_a_follower_is_told_everything_of_two_writers_once_and_in_order(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url) as (mine, _), store_of(url) as (theirs, _):
                heard: list[Change] = []
                roles: list[Change] = []
                mine.follow([SECRETS, ROLES], heard.append)
                mine.follow([ROLES], roles.append)

                async def write(store: Documents, resource: str) -> None:
                    for number in range(100):
                        where = key(f"n{number % 7}", resource=resource)
                        await store.write(lambda tx, k=where, n=number: put(tx, k, n))  # type: ignore[misc]  # defaults bind the loop variables

                async def ask() -> None:
                    for _ in range(50):
                        reached = await mine.catch_up()
                        assert not heard or heard[-1].revision <= reached
                        await asyncio.sleep(0)

                await asyncio.gather(
                    write(mine, SECRETS), write(theirs, ROLES), ask(), ask(), mine.catch_up()
                )
                assert await mine.catch_up() == 200
                assert revisions(heard) == list(range(1, 201))
                assert roles == [change for change in heard if change.key.resource == ROLES]
                assert len(roles) == 100

        asyncio.run(scenario())

    def test_what_another_process_committed_is_told_when_caught_up(self, url: str) -> None:
        async def scenario() -> None:
            async with store_of(url) as (mine, _), store_of(url) as (theirs, _):
                heard: list[object] = []
                mine.follow([SECRETS], lambda change: heard.append(value_of(change.after)))
                for number in range(50):
                    made = await theirs.write(lambda tx, n=number: put(tx, key("one"), n))  # type: ignore[misc]  # a default binds the loop variable
                    assert await mine.catch_up() == made.revision
                    assert heard == list(range(number + 1))
                    assert await mine.catch_up() == made.revision

        asyncio.run(scenario())

    def test_a_follower_hears_without_asking_and_one_that_fails_costs_the_others_nothing(
        self, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        def failing(change: Change) -> None:
            raise ValueError(change.revision)

        async def scenario() -> None:
            async with store_of(url) as (mine, _), store_of(url) as (theirs, _):
                heard: list[Change] = []
                mine.follow([SECRETS], failing)
                mine.follow([SECRETS], heard.append)
                watching = await mine.watch(SECRETS, 0)
                await fill(theirs, 3)
                await until(watching, 3)
                assert revisions(heard) == [1, 2, 3]

        asyncio.run(scenario())
        assert caplog.text.count("a follower failed") == 3

    def test_who_missed_changes_is_told_to_begin_anew(
        self, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            async with store_of(url) as (writing, db):
                away = Unheard(db)
                feed = Feed(away)
                await feed.start()
                events: list[object] = []
                feed.follow(
                    [SECRETS],
                    lambda change: events.append(change.revision),
                    lambda: events.append("anew"),
                )
                feed.follow([SECRETS], lambda _: None, fail)
                feed.follow([SECRETS], lambda _: None)
                await away.waiting.wait()
                watching = await feed.watch(SECRETS, 0)
                await fill(writing, 5)
                await compact(db, 3)
                assert await feed.catch_up() == 5
                assert events == ["anew"]
                with pytest.raises(Expired):
                    await watching.next()
                await fill(writing, 1)
                assert await feed.catch_up() == 6
                assert events == ["anew", 6]
                heard = await until(await feed.watch(SECRETS, 3), 6)
                assert revisions(heard) == [4, 5, 6]
                await feed.close()

        def fail() -> None:
            raise ValueError

        asyncio.run(scenario())
        assert "changes from 0 to 5 were missed" in caplog.text
        assert "could not be reset" in caplog.text

    def test_a_feed_outlives_errors_of_the_database(
        self, url: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            async with store_of(url) as (writing, db):
                failing = Failing(db)
                feed = Feed(failing)
                await feed.start()
                watching = await feed.watch(SECRETS, 0)
                failing.remaining = 1
                await fill(writing, 1)
                assert revisions(await until(watching, 1)) == [1]
                await feed.close()

        asyncio.run(scenario())
        assert "following the changes failed" in caplog.text

    def test_nothing_is_told_before_the_start(self, url: str) -> None:
        async def scenario(_: Documents, db: Database) -> None:
            store = Documents(db)
            with pytest.raises(RuntimeError):
                store.follow([SECRETS], lambda _: None)
            with pytest.raises(RuntimeError):
                await store.watch(SECRETS, 0)
            with pytest.raises(RuntimeError):
                await store.catch_up()
            await store.close()

        using(url, scenario)


class Through:
    """A database seen through another object, as the feed sees it."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.fresh_is_proof = db.fresh_is_proof

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self.db.fetch(sql, params)

    async def scan(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        return await self.db.scan(sql, params)

    async def write(self, unit: Callable[[Transaction], T], *, durable: bool = True) -> T:
        return await self.db.write(unit, durable=durable)

    def fresh(self) -> int:
        return self.db.fresh()

    async def changed(self, token: int, look: float | None = None) -> None:
        await self.db.changed(token, look)

    async def close(self) -> None:
        await self.db.close()


class Unheard(Through):
    """Hears of no change by itself, as a process that was stopped."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.waiting = asyncio.Event()

    async def changed(self, token: int, look: float | None = None) -> None:
        self.waiting.set()
        await asyncio.Event().wait()


class Failing(Through):
    """Fails to read a number of times."""

    remaining = 0

    async def fetch(self, sql: str, params: Sequence[Value] = ()) -> list[Row]:
        if self.remaining:
            self.remaining -= 1
            raise MetastoreUnavailable("for the test")
        return await super().fetch(sql, params)


class ObjectStoreChangesSuite(Watches, Followers):
    """All of it; collected through its subclasses only."""
